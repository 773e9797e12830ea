//! `callboard cron`.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use callboard::{
    client::Client,
    contracts::{
        Timestamp,
        api::{CronBackfill, CronDefinition, CronJob, CronOverlap, CronTime, CronView},
    },
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::{
    output::{Failure, Printer, line},
    table::{Cell, Table},
    values::duration,
};

/// What is done with the cron table.
#[derive(Debug, Subcommand)]
pub(super) enum CronCommand {
    /// Show the entries; also without a word.
    List,
    /// Show an entry, its next times, and what became of its last ones.
    Show(EntryName),
    /// Make an entry, or change it: from flags, or from a file of JSON.
    Set(Box<SetArgs>),
    /// Take an entry out. Its jobs stay.
    Delete(EntryName),
    /// Let an entry store no more jobs. Times that pass meanwhile are not made up for.
    Pause(EntryName),
    /// Let a paused entry go on.
    Resume(EntryName),
    /// Store a job of an entry now.
    Run(EntryName),
    /// Show what an expression means: in words, and its next times. Nothing is stored.
    Next(NextArgs),
}

/// Which entry.
#[derive(Debug, Args)]
pub(super) struct EntryName {
    /// The entry's name.
    name: String,
}

/// How an entry is to be.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The entry's name.
    name: String,
    /// When: minute hour day-of-month month day-of-week, in one argument; with seconds before them if there are six.
    #[arg(required_unless_present = "file")]
    expression: Option<String>,
    /// The type of the job that is stored.
    #[arg(required_unless_present = "file")]
    job_type: Option<String>,
    /// The whole definition, as JSON, as `callboard cron show --json` gives it under "definition"; nothing else is given then.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "expression", "job_type", "payload", "queue", "time_zone", "jitter", "overlap", "backfill", "timeout",
        "max_attempts", "priority", "tags", "partition_key",
    ])]
    file: Option<PathBuf>,
    /// What the job is about, a JSON object.
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// The queue; else that of the type.
    #[arg(long)]
    queue: Option<String>,
    /// The time zone that the expression is read in, by its IANA name.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Store each job by up to this time later.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    jitter: Option<Duration>,
    /// What happens while the job of the time before has not ended.
    #[arg(long, value_name = "POLICY", default_value = "allow")]
    overlap: Overlap,
    /// What happens about times that were missed while no node ran.
    #[arg(long, value_name = "POLICY", default_value = "last")]
    backfill: Backfill,
    /// How long one attempt may take; else that of the type.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How many attempts a job may take; else those of the type.
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Its priority, -1000 to 1000.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    priority: Option<i16>,
    /// A word by which the jobs are found, beside cron:NAME. May be given more than once.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Whom or what the jobs are for.
    #[arg(long, value_name = "KEY")]
    partition_key: Option<String>,
}

/// What happens while the job of the time before has not ended.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Overlap {
    /// A job is stored beside it.
    Allow,
    /// None is stored.
    Skip,
    /// It is cancelled, and a job is stored.
    Replace,
}

/// What happens about times that were missed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backfill {
    /// They are left out.
    None,
    /// A job is stored for the last of them.
    Last,
    /// A job is stored for each of them, the last 100 of a day at most.
    All,
}

/// Which expression.
#[derive(Debug, Args)]
pub(super) struct NextArgs {
    /// The expression, in one argument.
    expression: String,
    /// The time zone that it is read in, by its IANA name.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// How many times.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    count: u32,
}

impl SetArgs {
    fn definition(&self) -> Result<CronDefinition, Failure> {
        if let Some(file) = &self.file {
            let place = file.display();
            let text =
                fs::read_to_string(file).map_err(|error| Failure::usage(format!("{place}: {error}")))?;
            return serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{place}: {error}")));
        }
        let payload = match &self.payload {
            Some(text) => serde_json::from_str::<Map<String, Value>>(text).map_err(|error| {
                Failure::usage(format!("--payload: a JSON object such as {{\"ms\": 250}} is needed: {error}"))
            })?,
            None => Map::new(),
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let job = CronJob {
            job_type: self.job_type.clone().unwrap_or_default(),
            payload,
            queue: self.queue.clone(),
            max_attempts: self.max_attempts,
            timeout_ms: self.timeout.map(millis),
            priority: self.priority,
            tags: self.tags.clone(),
            partition_key: self.partition_key.clone(),
            metadata: None,
        };
        Ok(CronDefinition {
            time_zone: self.time_zone.clone(),
            jitter_ms: self.jitter.map_or(0, millis),
            overlap: match self.overlap {
                Overlap::Allow => CronOverlap::Allow,
                Overlap::Skip => CronOverlap::Skip,
                Overlap::Replace => CronOverlap::Replace,
            },
            backfill: match self.backfill {
                Backfill::None => CronBackfill::None,
                Backfill::Last => CronBackfill::Last,
                Backfill::All => CronBackfill::All,
            },
            ..CronDefinition::new(self.expression.clone().unwrap_or_default(), job)
        })
    }
}

pub(super) async fn run(
    client: &Client,
    command: CronCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let entries = match command {
        CronCommand::List => client.cron().await?,
        CronCommand::Show(entry) => {
            show(&client.cron_entry(&entry.name).await?, printer);
            return Ok(ExitCode::SUCCESS);
        }
        CronCommand::Set(args) => vec![client.put_cron(&args.name, &args.definition()?).await?],
        CronCommand::Delete(entry) => {
            client.delete_cron(&entry.name).await?;
            if !printer.quiet && !printer.json {
                line(&format!("{} is gone", entry.name));
            }
            return Ok(ExitCode::SUCCESS);
        }
        CronCommand::Pause(entry) => vec![client.pause_cron(&entry.name).await?],
        CronCommand::Resume(entry) => vec![client.resume_cron(&entry.name).await?],
        CronCommand::Run(entry) => {
            let run = client.run_cron(&entry.name).await?;
            if printer.json {
                printer.document(&run);
            } else {
                line(&run.job_id.to_string());
            }
            return Ok(ExitCode::SUCCESS);
        }
        CronCommand::Next(args) => {
            let preview = client.preview_cron(&args.expression, &args.time_zone, args.count).await?;
            if printer.json {
                printer.document(&preview);
            } else {
                line(&preview.description);
                times(printer, &preview.next_times);
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    if printer.json {
        printer.document(&entries);
    } else {
        table(printer).print(&rows(&entries));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(entry: &CronView, printer: Printer) {
    if printer.json {
        return printer.document(entry);
    }
    table(printer).print(&rows(std::slice::from_ref(entry)));
    line("");
    times(printer, &entry.next_times);
    if !entry.firings.is_empty() {
        line("");
        firings(printer).print(&entry.firings.iter().map(firing).collect::<Vec<_>>());
    }
}

fn times(printer: Printer, times: &[CronTime]) {
    let rows: Vec<Vec<Cell>> =
        times.iter().map(|time| vec![time.at.to_string().into(), time.local.as_str().into()]).collect();
    Table::new(printer, &["NEXT", "LOCAL"]).print(&rows);
}

fn firings(printer: Printer) -> Table {
    Table::new(printer, &["DUE", "RESULT", "AT", "JOB", "REASON"])
}

fn firing(firing: &callboard::contracts::api::CronFiring) -> Vec<Cell> {
    vec![
        firing.due.to_string().into(),
        firing.result.as_str().into(),
        firing.at.to_string().into(),
        firing.job_id.map(|id| id.to_string()).unwrap_or_default().into(),
        firing.reason.clone().unwrap_or_default().into(),
    ]
}

fn table(printer: Printer) -> Table {
    Table::new(
        printer,
        &[
            "ENTRY",
            "EXPRESSION",
            "TYPE",
            "NEXT",
            "FIRED",
            "SKIPPED",
            "MISSED",
            "SOURCE",
            "PAUSED SINCE",
            "WHEN",
        ],
    )
}

fn rows(entries: &[CronView]) -> Vec<Vec<Cell>> {
    let row = |entry: &CronView| {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        vec![
            entry.name.as_str().into(),
            entry.definition.expression.as_str().into(),
            entry.definition.job.job_type.as_str().into(),
            time(entry.fires_at).into(),
            Cell::number(entry.fired),
            Cell::number(entry.skipped),
            Cell::number(entry.missed),
            entry.source.as_str().into(),
            time(entry.paused_at).into(),
            entry.description.as_str().into(),
        ]
    };
    entries.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use callboard::contracts::api::CronSource;

    use super::*;

    #[test]
    fn entries_stand_in_a_table() {
        let at = Timestamp::from_micros(0);
        let job = CronJob { job_type: "backup".to_owned(), ..CronJob::default() };
        let entry = CronView {
            name: "nightly".to_owned(),
            definition: CronDefinition::new("30 2 * * *", job),
            description: "At 02:30".to_owned(),
            source: CronSource::Api,
            set_by: "cli".to_owned(),
            paused_at: None,
            fires_at: Some(at),
            next_times: Vec::new(),
            fired: 12,
            skipped: 1,
            missed: 0,
            firings: Vec::new(),
            created_at: at,
            updated_at: at,
        };
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&rows(&[entry])),
            [
                "ENTRY    EXPRESSION  TYPE    NEXT                         FIRED  SKIPPED  MISSED  SOURCE  PAUSED SINCE  WHEN",
                "nightly  30 2 * * *  backup  1970-01-01T00:00:00.000000Z     12        1       0  api                   At 02:30",
            ]
        );
    }
}
