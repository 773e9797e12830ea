//! `callboard jobs list`.

use std::process::ExitCode;

use callboard::{
    client::{Client, JobQuery},
    contracts::{
        JobState,
        api::{JobList, JobSummary},
    },
};
use clap::Args;

use super::super::{
    output::{Failure, Printer, first_line},
    style,
    table::{Cell, Table},
    values,
};

/// Jobs of one request at most.
const PAGE: u32 = 1000;
/// Characters of an error that a row shows.
const ERROR: usize = 60;

/// Which jobs are listed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only jobs in this state. May be given more than once, or with commas.
    #[arg(long, value_parser = values::state(), value_delimiter = ',')]
    pub(crate) state: Vec<JobState>,
    /// Only jobs of this queue.
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Only jobs of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) job_type: Option<String>,
    /// Only jobs with this tag.
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Only dead jobs that died of this cause.
    #[arg(long)]
    pub(crate) cause: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// All of them; with --json one object a line.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Go on where a list before this one ended.
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

pub(crate) async fn run(client: &Client, args: ListArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let mut left = if args.all { u64::MAX } else { u64::from(args.limit) };
    let mut query = JobQuery {
        states: args.state,
        queue: args.queue,
        job_type: args.job_type,
        tag: args.tag,
        cause: args.cause,
        limit: None,
        cursor: args.cursor,
    };
    let mut table = table(printer);
    let mut whole = JobList::default();
    loop {
        query.limit = Some(u32::try_from(left).unwrap_or(PAGE).min(PAGE));
        let page = client.jobs(&query).await?;
        left = left.saturating_sub(page.jobs.len() as u64);
        query.cursor = page.next_cursor;
        match (printer.json, args.all) {
            (true, true) => page.jobs.iter().for_each(|job| printer.record(job)),
            (true, false) => whole.jobs.extend(page.jobs),
            (false, _) => table.print(&page.jobs.iter().map(row).collect::<Vec<_>>()),
        }
        if left == 0 || query.cursor.is_none() {
            break;
        }
    }
    if printer.json && !args.all {
        whole.next_cursor = query.cursor;
        printer.document(&whole);
    } else if let Some(cursor) = query.cursor {
        printer.note(&format!("there are more: go on with --cursor {cursor}, or list all with --all"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn table(printer: Printer) -> Table {
    Table::new(printer, &["ID", "TYPE", "QUEUE", "STATE", "ATTEMPT", "CREATED", "LAST ERROR"])
}

pub(crate) fn row(job: &JobSummary) -> Vec<Cell> {
    let trouble = job.wait_reason.as_ref().or(job.last_error.as_ref());
    vec![
        job.id.to_string().into(),
        job.job_type.as_str().into(),
        job.queue.as_str().into(),
        Cell::styled(job.state.as_str(), style::of_state(job.state)),
        format!("{}/{}", job.attempt, job.max_attempts).into(),
        job.created_at.to_string().into(),
        first_line(trouble.map_or("", String::as_str), ERROR).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::{super::show::tests::detail, *};

    #[test]
    fn a_row_has_what_matters() {
        let failed = detail().summary;
        let mut waits = failed.clone();
        waits.state = JobState::Pending;
        waits.attempt = 0;
        waits.wait_reason = Some("no handler for job type \"x\"".to_owned());
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&[row(&failed), row(&waits)]),
            [
                "ID                                    TYPE     QUEUE    STATE      ATTEMPT  CREATED                      LAST ERROR",
                "01890a5d-ac96-774b-bcce-b302099a8057  command  reports  discarded  2/2      2026-01-01T00:00:00.000000Z  exit code 1: no such file: a.txt",
                "01890a5d-ac96-774b-bcce-b302099a8057  command  reports  pending    0/2      2026-01-01T00:00:00.000000Z  no handler for job type \"x\"",
            ]
        );
    }
}
