//! `callboard bulk`.

use std::{process::ExitCode, time::Duration};

use callboard::{
    client::Client,
    contracts::{
        JobState,
        api::{BulkAction, BulkFilter, BulkPreview, BulkState, BulkView, StartBulk},
    },
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    jobs::selection::confirm,
    output::{Failure, Printer, SOME_FAILED, line},
    table::{Cell, Table},
    values::{object, state},
};

/// How often it is asked how far an operation is.
const LOOK: Duration = Duration::from_millis(250);

/// What is done in bulk.
#[derive(Debug, Subcommand)]
pub(super) enum BulkCommand {
    /// Show bulk operations and how far they are; also without a word.
    List {
        /// Operations at most.
        #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Run many waiting jobs now, and many finished ones again as new jobs.
    Retry(RetryArgs),
    /// Call many jobs off.
    Cancel(StartArgs),
    /// Show a bulk operation and how far it is.
    Show {
        /// Its id.
        id: Uuid,
        /// Wait until it has ended.
        #[arg(long)]
        wait: bool,
    },
    /// Let a bulk operation end where it is. What is done stays done.
    Stop {
        /// Its id.
        id: Uuid,
    },
}

/// Which jobs are run again, and how.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    start: StartArgs,
    /// Only dead jobs that died of this cause.
    #[arg(long)]
    cause: Option<String>,
    /// What changes in the payload of each new job: a JSON merge patch, in which null takes a field away.
    #[arg(long, value_name = "JSON", value_parser = object)]
    patch: Option<Map<String, Value>>,
}

/// Which jobs something is done with.
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    /// Only jobs in this state. May be given more than once, or with commas.
    #[arg(long, value_parser = state(), value_delimiter = ',')]
    state: Vec<JobState>,
    /// Only jobs of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only jobs of this type.
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// Only jobs with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Why, for whoever looks at it later.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only count the jobs, and show some of them.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask whether that is meant.
    #[arg(long, short)]
    yes: bool,
    /// Wait until it has ended.
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(
    client: &Client,
    command: BulkCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    match command {
        BulkCommand::List { limit } => {
            let bulks = client.bulks(limit).await?;
            if printer.json {
                printer.document(&bulks);
            } else {
                table(printer).print(&bulks.iter().map(row).collect::<Vec<_>>());
            }
            Ok(ExitCode::SUCCESS)
        }
        BulkCommand::Retry(RetryArgs { start, cause, patch }) => {
            begin(client, BulkAction::Retry, start, cause, patch, printer).await
        }
        BulkCommand::Cancel(start) => begin(client, BulkAction::Cancel, start, None, None, printer).await,
        BulkCommand::Show { id, wait } => {
            let bulk = client.bulk(id).await?;
            told(client, bulk, wait, printer).await
        }
        BulkCommand::Stop { id } => {
            let bulk = client.stop_bulk(id).await?;
            told(client, bulk, false, printer).await
        }
    }
}

async fn begin(
    client: &Client,
    action: BulkAction,
    args: StartArgs,
    cause: Option<String>,
    patch: Option<Map<String, Value>>,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let StartArgs { state, queue, job_type, tag, reason, dry_run, yes, wait } = args;
    let filter = BulkFilter { state, cause, queue, job_type, tag };
    let start = StartBulk { id: None, action, filter, patch, reason, dry_run };
    if dry_run {
        preview(&client.preview_bulk(&start).await?, printer);
        return Ok(ExitCode::SUCCESS);
    }
    if !yes {
        confirm(async |client: &Client| Ok(question(&client.preview_bulk(&start).await?)), client).await?;
    }
    let bulk = client.start_bulk(&start).await?;
    told(client, bulk, wait, printer).await
}

fn number(preview: &BulkPreview) -> String {
    let BulkPreview { matched, at_least, .. } = preview;
    if *at_least { format!("at least {matched}") } else { matched.to_string() }
}

fn question(preview: &BulkPreview) -> String {
    match preview.action {
        BulkAction::Retry => format!("Run {} jobs again?", number(preview)),
        BulkAction::Cancel => format!("Cancel {} jobs?", number(preview)),
    }
}

/// Says what would be done.
pub(super) fn preview(preview: &BulkPreview, printer: Printer) {
    if printer.json {
        printer.document(preview);
        return;
    }
    let what = match preview.action {
        BulkAction::Retry => "would be run again",
        BulkAction::Cancel => "would be cancelled",
    };
    line(&format!("{} jobs {what}", number(preview)));
    if !preview.sample.is_empty() {
        super::jobs::list::table(printer)
            .print(&preview.sample.iter().map(super::jobs::list::row).collect::<Vec<_>>());
    }
}

/// Says how far an operation is, at once or when it has ended.
async fn told(client: &Client, bulk: BulkView, wait: bool, printer: Printer) -> Result<ExitCode, Failure> {
    let mut bulk = bulk;
    while wait && bulk.state == BulkState::Running {
        sleep(LOOK).await;
        bulk = client.bulk(bulk.id).await?;
    }
    if printer.json {
        printer.document(&bulk);
    } else {
        table(printer).print(&[row(&bulk)]);
        for problem in &bulk.problems {
            let said = if problem.message.is_empty() { problem.outcome.as_str() } else { &problem.message };
            printer.note(&format!("{}: {said}", problem.job));
        }
    }
    let refused = bulk.outcomes.iter().any(|(outcome, count)| !outcome.is_success() && *count > 0);
    Ok(ExitCode::from(if refused { SOME_FAILED } else { 0 }))
}

fn table(printer: Printer) -> Table {
    Table::new(
        printer,
        &["ID", "ACTION", "STATE", "JOBS", "DEALT WITH", "OUTCOMES", "BY", "STARTED", "WAITS FOR"],
    )
}

fn row(bulk: &BulkView) -> Vec<Cell> {
    let matched = if bulk.at_least { format!("{}+", bulk.matched) } else { bulk.matched.to_string() };
    let outcomes: Vec<String> =
        bulk.outcomes.iter().map(|(outcome, count)| format!("{} {count}", outcome.as_str())).collect();
    vec![
        bulk.id.to_string().into(),
        bulk.action.as_str().into(),
        bulk.state.as_str().into(),
        Cell::right(matched),
        Cell::number(bulk.dealt_with),
        outcomes.join(", ").into(),
        bulk.by.as_str().into(),
        bulk.started_at.to_string().into(),
        bulk.waits_for.clone().unwrap_or_default().into(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_stand_in_a_table() {
        let bulk: BulkView = serde_json::from_value(json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "action": "retry",
            "filter": {"state": ["discarded"]}, "by": "ci", "started_at": "1970-01-01T00:00:00Z", "state": "running",
            "matched": 10_000, "at_least": true, "dealt_with": 7, "outcomes": {"replayed": 6, "invalid": 1},
            "updated_at": "1970-01-01T00:00:00Z",
        }))
        .unwrap();
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&[row(&bulk)]),
            [
                "ID                                    ACTION  STATE      JOBS  DEALT WITH  OUTCOMES               BY  STARTED                      WAITS FOR",
                "01890a5d-ac96-774b-bcce-b302099a8057  retry   running  10000+           7  replayed 6, invalid 1  ci  1970-01-01T00:00:00.000000Z",
            ]
        );
    }
}
