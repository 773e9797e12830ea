//! `callboard jobs …`.

use std::process::ExitCode;

use callboard::{
    client::{Client, JobQuery},
    contracts::{JobState, api::JobDetail},
};
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::output::{Failure, Printer, line, table};

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// List jobs, newest first.
    List(ListArgs),
    /// Show a job with its attempts.
    Show {
        /// The job's id, in full.
        id: Uuid,
    },
    /// Call jobs off.
    Cancel {
        /// The jobs' ids, in full.
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
    /// Run waiting jobs now, and finished ones again as new jobs.
    Retry {
        /// The jobs' ids, in full.
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
}

/// Which jobs are listed.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only jobs in this state, such as discarded. May be given more than once.
    #[arg(long)]
    state: Vec<JobState>,
    /// Only jobs of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only jobs of this type.
    #[arg(long = "type")]
    job_type: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub(super) async fn run(
    client: &Client,
    command: JobsCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    match command {
        JobsCommand::List(args) => list(client, args, printer).await,
        JobsCommand::Show { id } => {
            let job = client.job(id).await?;
            if printer.json {
                printer.document(&job);
            } else {
                show(&job);
            }
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Cancel { ids } => {
            let mut all = ExitCode::SUCCESS;
            for id in ids {
                match client.cancel(id).await {
                    Ok(cancelled) if printer.json => printer.record(&cancelled),
                    Ok(cancelled) => line(&format!("{id}  {}", cancelled.state)),
                    Err(error) => all = printer.failure(&error.into()),
                }
            }
            Ok(all)
        }
        JobsCommand::Retry { ids } => {
            let mut all = ExitCode::SUCCESS;
            for id in ids {
                match client.retry(id).await {
                    Ok(retried) if printer.json => printer.record(&retried),
                    Ok(retried) if retried.replay_of.is_some() => {
                        line(&format!("{}  a replay of {id}", retried.id))
                    }
                    Ok(retried) => line(&format!("{id}  {}", retried.state)),
                    Err(error) => all = printer.failure(&error.into()),
                }
            }
            Ok(all)
        }
    }
}

async fn list(client: &Client, args: ListArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let query = JobQuery {
        states: args.state,
        queue: args.queue,
        job_type: args.job_type,
        limit: Some(args.limit),
        cursor: None,
    };
    let list = client.jobs(&query).await?;
    if printer.json {
        printer.document(&list);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = list
        .jobs
        .iter()
        .map(|job| {
            vec![
                job.id.to_string(),
                job.job_type.clone(),
                job.queue.clone(),
                job.state.to_string(),
                format!("{}/{}", job.attempt, job.max_attempts),
                job.created_at.to_string(),
                first_line(job.last_error.as_deref().unwrap_or("")),
            ]
        })
        .collect();
    table(&["ID", "TYPE", "QUEUE", "STATE", "ATTEMPT", "CREATED", "LAST ERROR"], &rows);
    Ok(ExitCode::SUCCESS)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").chars().take(60).collect()
}

fn show(job: &JobDetail) {
    let summary = &job.summary;
    line(&format!("{}  {}  {}", summary.id, summary.job_type, summary.state));
    line(&format!("queue     {}", summary.queue));
    line(&format!("attempt   {} of {}", summary.attempt, summary.max_attempts));
    line(&format!("created   {}", summary.created_at));
    for (name, at) in [("started", summary.started_at), ("finished", summary.finished_at)] {
        if let Some(at) = at {
            line(&format!("{name:<9} {at}"));
        }
    }
    if let Some(reason) = &summary.wait_reason {
        line(&format!("waits     {reason}"));
    }
    line(&format!("payload   {}", serde_json::Value::Object(job.payload.clone())));
    if let Some(result) = &job.result {
        line(&format!("result    {result}"));
    }
    for attempt in &job.attempts {
        let error = attempt.error.as_ref().map(|error| format!(": {}", first_line(&error.message)));
        let outcome = serde_json::to_value(attempt.outcome).unwrap_or_default();
        let outcome = outcome.as_str().unwrap_or("").to_owned();
        line(&format!(
            "  {:>3}  {outcome} at {} on {}{}",
            attempt.attempt,
            attempt.finished_at,
            attempt.node,
            error.unwrap_or_default()
        ));
    }
}
