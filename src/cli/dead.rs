//! `callboard dead`.

use std::process::ExitCode;

use callboard::{
    client::{Client, DeadCauseQuery},
    contracts::{
        JobState,
        api::{Change, ComparedJob, DeadCause, DeadCauseList, Difference, JobComparison, RetryEdit},
    },
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    jobs::list::{self, ListArgs},
    output::{Failure, Printer, clean, first_line, line},
    table::{Cell, Table},
    values::object,
};

/// Characters of a title that a row shows.
const TITLE: usize = 80;
/// Characters of a value that a row shows.
const VALUE: usize = 60;

/// What is done with dead jobs.
#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// Show what dead jobs died of; also without a word.
    Causes(CausesArgs),
    /// List dead jobs, newest first.
    List(DeadListArgs),
    /// Show a job beside the last success of its type and queue.
    Compare {
        /// The job's id, in full.
        id: Uuid,
    },
    /// Run a finished job again as a new job, with another payload if one is given.
    Replay(ReplayArgs),
}

/// Which causes are shown.
#[derive(Debug, Default, Args)]
pub(super) struct CausesArgs {
    /// Only of jobs of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only of jobs of this type.
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// Causes at most; there are more with --cursor.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Where to go on: what was said below the page before.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// Which dead jobs are listed.
#[derive(Debug, Args)]
pub(super) struct DeadListArgs {
    /// Only jobs that died of this cause.
    #[arg(long)]
    cause: Option<String>,
    /// Only jobs of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only jobs of this type.
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// Only jobs with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them; with --json one object a line.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Go on where a list before this one ended.
    #[arg(long)]
    cursor: Option<String>,
}

/// How a job is run again.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("edit").args(["patch", "payload"]))]
pub(super) struct ReplayArgs {
    /// The job's id, in full.
    id: Uuid,
    /// What changes in its payload: a JSON merge patch, in which null takes a field away.
    #[arg(long, value_name = "JSON", value_parser = object)]
    patch: Option<Map<String, Value>>,
    /// Its payload, in the place of the old one: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    payload: Option<Map<String, Value>>,
    /// Why, for whoever looks at either job.
    #[arg(long, value_name = "TEXT", requires = "edit")]
    reason: Option<String>,
}

pub(super) async fn run(
    client: &Client,
    command: DeadCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    match command {
        DeadCommand::Causes(args) => causes(client, args, printer).await,
        DeadCommand::List(args) => {
            let DeadListArgs { cause, queue, job_type, tag, limit, all, cursor } = args;
            let state = vec![JobState::Discarded];
            list::run(client, ListArgs { state, queue, job_type, tag, cause, limit, all, cursor }, printer)
                .await
        }
        DeadCommand::Compare { id } => {
            let comparison = client.compare(id).await?;
            if printer.json {
                printer.document(&comparison);
            } else {
                show(&comparison, printer);
            }
            Ok(ExitCode::SUCCESS)
        }
        DeadCommand::Replay(ReplayArgs { id, patch, payload, reason }) => {
            let edit = RetryEdit { payload, patch, reason };
            let retried = match edit == RetryEdit::default() {
                true => client.retry(id).await?,
                false => client.retry_edited(id, &edit).await?,
            };
            if printer.json {
                printer.document(&retried);
            } else if retried.replay_of.is_some() {
                line(&format!("{}  a replay of {id}", retried.id));
            } else {
                line(&format!("{id}  {}", printer.state(retried.state)));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn causes(client: &Client, args: CausesArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let CausesArgs { queue, job_type, limit, cursor } = args;
    let page = client.dead_causes(&DeadCauseQuery { queue, job_type, limit, cursor }).await?;
    if printer.json {
        printer.document(&page);
        return Ok(ExitCode::SUCCESS);
    }
    let DeadCauseList { mut causes, next_cursor } = page;
    // What killed most jobs is what most are looking for.
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    causes_table(printer).print(&causes.iter().map(cause_row).collect::<Vec<_>>());
    if let Some(cursor) = next_cursor {
        printer.note(&format!("There are more: --cursor '{cursor}'"));
    }
    Ok(ExitCode::SUCCESS)
}

fn causes_table(printer: Printer) -> Table {
    Table::new(printer, &["CAUSE", "JOBS", "TYPE", "QUEUE", "FIRST", "LAST", "WHAT"])
}

fn cause_row(cause: &DeadCause) -> Vec<Cell> {
    let count = if cause.at_least { format!("{}+", cause.count) } else { cause.count.to_string() };
    vec![
        cause.cause.as_str().into(),
        Cell::right(count),
        cause.job_type.as_str().into(),
        cause.queue.as_str().into(),
        cause.first_at.to_string().into(),
        cause.last_at.to_string().into(),
        first_line(&cause.title, TITLE).into(),
    ]
}

fn show(comparison: &JobComparison, printer: Printer) {
    let JobComparison { job, success, differences, more_differences } = comparison;
    let Some(success) = success else {
        line(&format!("{}  {}", job.id, printer.state(job.state)));
        printer.note("no success of its type and queue was found to compare it with");
        return;
    };
    Table::new(printer, &["", "THIS JOB", "LAST SUCCESS"]).print(&facts(job, success));
    if differences.is_empty() {
        printer.note("their payloads are the same");
        return;
    }
    let rows: Vec<Vec<Cell>> = differences.iter().map(difference_row).collect();
    Table::new(printer, &["PAYLOAD", "", "THIS JOB", "LAST SUCCESS"]).print(&rows);
    if *more_differences {
        printer.note("they differ in more places than these");
    }
}

fn facts(job: &ComparedJob, success: &ComparedJob) -> Vec<Vec<Cell>> {
    let row = |name: &str, value: &dyn Fn(&ComparedJob) -> String| {
        vec![Cell::from(name), value(job).into(), value(success).into()]
    };
    let time = |ms: u64| format!("{:?}", std::time::Duration::from_millis(ms));
    vec![
        row("id", &|job| job.id.to_string()),
        row("state", &|job| job.state.to_string()),
        row("attempt", &|job| format!("{}/{}", job.attempt, job.max_attempts)),
        row("node", &|job| job.node.clone().unwrap_or_default()),
        row("ran", &|job| job.ran_ms.map(time).unwrap_or_default()),
        row("timeout", &|job| time(job.timeout_ms)),
        row("created", &|job| job.created_at.to_string()),
        row("finished", &|job| job.finished_at.map(|at| at.to_string()).unwrap_or_default()),
    ]
}

fn difference_row(difference: &Difference) -> Vec<Cell> {
    let change = match difference.change {
        Change::Added => "only here",
        Change::Removed => "missing",
        Change::Changed => "other",
    };
    let value = |value: &Option<Value>| {
        value.as_ref().map(|value| first_line(&value.to_string(), VALUE)).unwrap_or_default()
    };
    let pointer = clean(&difference.pointer).into_owned();
    let pointer = if pointer.is_empty() { "(all)".to_owned() } else { pointer };
    vec![pointer.into(), change.into(), value(&difference.job).into(), value(&difference.success).into()]
}

#[cfg(test)]
mod tests {
    use callboard::contracts::{Timestamp, api::ErrorKind};
    use serde_json::json;

    use super::*;

    const PLAIN: Printer = Printer { json: false, quiet: false, colours: false };

    #[test]
    fn causes_stand_in_a_table() {
        let at = Timestamp::from_micros(0);
        let cause = DeadCause {
            cause: "0123456789abcdef".to_owned(),
            title: "no such user #".to_owned(),
            kind: ErrorKind::Failed,
            job_type: "letter".to_owned(),
            queue: "mail".to_owned(),
            count: 10_000,
            at_least: true,
            first_at: at,
            last_at: at,
            sample: Uuid::nil(),
        };
        let few = DeadCause { count: 3, at_least: false, ..cause.clone() };
        assert_eq!(
            causes_table(PLAIN).lines(&[cause_row(&cause), cause_row(&few)]),
            [
                "CAUSE               JOBS  TYPE    QUEUE  FIRST                        LAST                         WHAT",
                "0123456789abcdef  10000+  letter  mail   1970-01-01T00:00:00.000000Z  1970-01-01T00:00:00.000000Z  no such user #",
                "0123456789abcdef       3  letter  mail   1970-01-01T00:00:00.000000Z  1970-01-01T00:00:00.000000Z  no such user #",
            ]
        );
    }

    #[test]
    fn differences_show_both_values() {
        let row = |difference: Value| {
            let difference: Difference = serde_json::from_value(difference).unwrap();
            let mut table = Table::new(PLAIN, &["P", "C", "J", "S"]);
            table.lines(&[difference_row(&difference)]).remove(1)
        };
        assert_eq!(
            row(json!({"pointer": "/a", "change": "changed", "success": null, "job": "x\ny"})),
            "/a  other  \"x\\ny\"  null"
        );
        assert_eq!(row(json!({"pointer": "/a", "change": "removed", "success": 1})), "/a  missing     1");
    }
}
