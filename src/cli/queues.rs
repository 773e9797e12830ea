//! `callboard queues`.

use std::process::ExitCode;

use callboard::{
    client::Client,
    contracts::{
        InvalidLabels, InvalidRate, Labels, Rate,
        api::{QueueLabels, QueueLimits, QueueView},
    },
};
use clap::{ArgGroup, Args, Subcommand};

use super::{
    output::{Failure, Printer, clean_lines, first_line, line},
    table::{Cell, Table},
};

/// Characters of a reason in a table.
const REASON: usize = 60;

/// What is done with the queues.
#[derive(Debug, Subcommand)]
pub(super) enum QueuesCommand {
    /// Show the queues and what they hold; also without a word.
    List,
    /// Show one queue: what it holds, what holds for it, and why it is paused.
    Show(QueueName),
    /// Start none of a queue's jobs any more, on any node. What runs goes on.
    Pause {
        #[command(flatten)]
        queue: QueueName,
        /// Why, for whoever looks at the queue; at most 500 characters. One that is paused already keeps its reason.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let a paused queue go on, whoever has paused it. What has crashed before counts no more.
    Resume(QueueName),
    /// Say what a node must have to run a queue's jobs.
    Label {
        #[command(flatten)]
        queue: QueueName,
        /// The labels, such as gpu=yes,zone=eu; `none`: any node may run them.
        #[arg(value_parser = labels)]
        labels: Labels,
    },
    /// Change what holds for a queue on all nodes together: how many of its jobs run, and in what time. What is not given
    /// stays as it is.
    Limit(LimitArgs),
}

/// How a queue is limited.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("limits").required(true).multiple(true)))]
pub(super) struct LimitArgs {
    /// The queue's name.
    name: String,
    /// Jobs that are with all nodes together at most; `none` takes the limit away, as for the others.
    #[arg(long, value_name = "JOBS", value_parser = jobs, group = "limits")]
    running: Option<Limit<u32>>,
    /// Of those with the same key, so many at most.
    #[arg(long, value_name = "JOBS", value_parser = jobs, group = "limits")]
    running_per_key: Option<Limit<u32>>,
    /// Jobs that are claimed in a time at most, such as 100/1m; a time is in s, m, h or d.
    #[arg(long, value_name = "RATE", value_parser = rate, group = "limits")]
    rate: Option<Limit<Rate>>,
    /// Of those with the same key, so many at most.
    #[arg(long, value_name = "RATE", value_parser = rate, group = "limits")]
    rate_per_key: Option<Limit<Rate>>,
}

/// A limit, or the word that there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit<T>(Option<T>);

/// What takes a limit away.
const NONE: &str = "none";

fn jobs(text: &str) -> Result<Limit<u32>, String> {
    match text.parse() {
        _ if text == NONE => Ok(Limit(None)),
        Ok(most @ 1..) => Ok(Limit(Some(most))),
        _ => Err(format!("a number from 1 on is needed, or {NONE}")),
    }
}

fn labels(text: &str) -> Result<Labels, InvalidLabels> {
    if text == NONE { Ok(Labels::default()) } else { text.parse() }
}

fn rate(text: &str) -> Result<Limit<Rate>, InvalidRate> {
    if text == NONE { Ok(Limit(None)) } else { text.parse().map(|rate| Limit(Some(rate))) }
}

impl LimitArgs {
    fn limits(&self) -> QueueLimits {
        QueueLimits {
            max_running: self.running.map(|limit| limit.0),
            max_running_per_key: self.running_per_key.map(|limit| limit.0),
            rate: self.rate.map(|limit| limit.0),
            rate_per_key: self.rate_per_key.map(|limit| limit.0),
        }
    }
}

/// Which queue.
#[derive(Debug, Args)]
pub(super) struct QueueName {
    /// The queue's name.
    name: String,
}

pub(super) async fn run(
    client: &Client,
    command: QueuesCommand,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let queues = match command {
        QueuesCommand::List => client.queues().await?,
        QueuesCommand::Show(queue) => {
            let queue = client.queue(&queue.name).await?;
            if printer.json {
                printer.document(&queue);
            } else {
                fields(&queue).iter().for_each(|field| line(field));
            }
            return Ok(ExitCode::SUCCESS);
        }
        QueuesCommand::Pause { queue, reason: None } => vec![client.pause_queue(&queue.name).await?],
        QueuesCommand::Pause { queue, reason: Some(reason) } => {
            vec![client.pause_queue_because(&queue.name, &reason).await?]
        }
        QueuesCommand::Label { queue, labels } => {
            vec![client.label_queue(&queue.name, &QueueLabels { labels }).await?]
        }
        QueuesCommand::Resume(queue) => vec![client.resume_queue(&queue.name).await?],
        QueuesCommand::Limit(limit) => vec![client.limit_queue(&limit.name, &limit.limits()).await?],
    };
    if printer.json {
        printer.document(&queues);
    } else {
        table(printer).print(&rows(&queues));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(printer: Printer) -> Table {
    let headings = [
        "QUEUE",
        "CONCURRENCY",
        "AVAILABLE",
        "EXECUTING",
        "RETRYABLE",
        "SCHEDULED",
        "PENDING",
        "COMPLETED",
        "CANCELLED",
        "DISCARDED",
        "LIMIT",
        "LABELS",
        "PAUSED SINCE",
        "REASON",
    ];
    Table::new(printer, &headings)
}

fn rows(queues: &[QueueView]) -> Vec<Vec<Cell>> {
    let row = |queue: &QueueView| {
        let numbers = [
            u64::from(queue.concurrency),
            queue.available,
            queue.executing,
            queue.retryable,
            queue.scheduled,
            queue.pending,
            queue.completed,
            queue.cancelled,
            queue.discarded,
        ];
        let paused = queue.paused_at.map(|at| at.to_string()).unwrap_or_default();
        let reason = queue.pause.as_ref().and_then(|pause| pause.reason.as_deref());
        let reason = first_line(reason.unwrap_or_default(), REASON);
        let name = std::iter::once(queue.name.as_str().into());
        let limit = limits(queue).join(", ");
        name.chain(numbers.map(Cell::number))
            .chain([
                limit.as_str().into(),
                queue.labels.to_string().into(),
                paused.as_str().into(),
                reason.as_str().into(),
            ])
            .collect()
    };
    queues.iter().map(row).collect()
}

/// A queue, a line for each thing that there is to say of it.
fn fields(queue: &QueueView) -> Vec<String> {
    let mut fields: Vec<(&str, String)> = vec![
        ("queue", queue.name.clone()),
        ("concurrency", queue.concurrency.to_string()),
        ("max backlog", queue.max_backlog.to_string()),
        ("available", queue.available.to_string()),
        ("executing", queue.executing.to_string()),
        ("retryable", queue.retryable.to_string()),
        ("scheduled", queue.scheduled.to_string()),
        ("pending", queue.pending.to_string()),
        ("completed", queue.completed.to_string()),
        ("cancelled", queue.cancelled.to_string()),
        ("discarded", queue.discarded.to_string()),
    ];
    let limits = limits(queue);
    if !limits.is_empty() {
        fields.push(("limit", limits.join(", ")));
    }
    if !queue.labels.is_empty() {
        fields.push(("labels", queue.labels.to_string()));
    }
    if let Some(since) = queue.paused_at {
        fields.push(("paused since", since.to_string()));
    }
    if let Some(pause) = &queue.pause {
        fields.push(("paused by", pause.by.clone()));
        fields.push(("cause", pause.cause.as_str().to_owned()));
        fields.extend(pause.reason.clone().map(|reason| ("reason", reason)));
        if let Some(crashes) = &pause.crashes {
            let within = std::time::Duration::from_millis(crashes.within_ms);
            fields.push(("crashes", format!("{} within {within:?} on {}", crashes.count, crashes.node)));
            let last = &crashes.last;
            fields.push(("last crash", last.at.to_string()));
            if let (Some(job), Some(job_type)) = (last.job, &last.job_type) {
                let attempt = last.attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
                fields.push(("job", format!("{job} ({job_type}{attempt})")));
            }
            fields.extend(last.actor.clone().map(|actor| ("actor", actor)));
            fields.push(("message", last.message.clone()));
        }
    }
    let field = |(name, value): &(&str, String)| format!("{:<14}{}", format!("{name}:"), clean_lines(value));
    fields.iter().map(field).collect()
}

/// What holds for a queue on all nodes together, in words.
fn limits(queue: &QueueView) -> Vec<String> {
    let running = queue.max_running.map(|most| most.to_string());
    let per_key = queue.max_running_per_key.map(|most| format!("{most} a key"));
    let rate = queue.rate.map(|rate| rate.to_string());
    let rate_per_key = queue.rate_per_key.map(|rate| format!("{rate} a key"));
    [running, per_key, rate, rate_per_key].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use callboard::contracts::{
        Timestamp,
        api::{PauseCause, QueueCrash, QueueCrashes, QueuePause},
    };

    use super::*;

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(jobs("none"), Ok(Limit(None)));
        assert_eq!(jobs("7"), Ok(Limit(Some(7))));
        assert_eq!(rate("none"), Ok(Limit(None)));
        assert_eq!(rate("100/1m"), Ok(Limit("100/60s".parse().ok())));
        for bad in ["", "0", "-1", "None", "4294967296"] {
            assert!(jobs(bad).is_err() && rate(bad).is_err(), "{bad:?}");
        }
    }

    fn pause() -> QueuePause {
        let at = Timestamp::from_micros(0);
        let last = QueueCrash {
            at,
            job: Some(uuid::Uuid::nil()),
            job_type: Some("mail".to_owned()),
            attempt: Some(2),
            kind: None,
            actor: None,
            message: "boom\u{1b}[2J".to_owned(),
        };
        QueuePause {
            cause: PauseCause::JobCrashes,
            by: "node w1".to_owned(),
            reason: Some("20 attempts crashed".to_owned()),
            crashes: Some(QueueCrashes { node: "w1".to_owned(), count: 20, within_ms: 60_000, last }),
        }
    }

    #[test]
    fn a_paused_queue_says_why() {
        let shown = fields(&queue());
        let paused = shown.iter().position(|field| field.starts_with("paused since")).unwrap();
        assert_eq!(
            shown[paused..],
            [
                "paused since: 1970-01-01T00:00:00.000000Z",
                "paused by:    node w1",
                "cause:        job_crashes",
                "reason:       20 attempts crashed",
                "crashes:      20 within 60s on w1",
                "last crash:   1970-01-01T00:00:00.000000Z",
                "job:          00000000-0000-0000-0000-000000000000 (mail, attempt 2)",
                "message:      boom\u{fffd}[2J",
            ]
        );
    }

    fn queue() -> QueueView {
        QueueView {
            name: "default".to_owned(),
            concurrency: 50,
            max_backlog: 1000,
            pending: 0,
            scheduled: 1,
            available: 12,
            executing: 3,
            retryable: 4,
            completed: 1_000_000_000,
            cancelled: 5,
            discarded: 6,
            oldest_available_at: None,
            paused_at: Some(Timestamp::from_micros(0)),
            pause: Some(pause()),
            max_running: Some(7),
            max_running_per_key: Some(2),
            rate: "100/1m".parse().ok(),
            rate_per_key: None,
            labels: "gpu=yes".parse().unwrap(),
        }
    }

    #[test]
    fn numbers_stand_below_each_other() {
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&rows(&[queue()])),
            [
                "QUEUE    CONCURRENCY  AVAILABLE  EXECUTING  RETRYABLE  SCHEDULED  PENDING   COMPLETED  CANCELLED  DISCARDED  LIMIT               LABELS   PAUSED SINCE                 REASON",
                "default           50         12          3          4          1        0  1000000000          5          6  7, 2 a key, 100/1m  gpu=yes  1970-01-01T00:00:00.000000Z  20 attempts crashed",
            ]
        );
    }
}
