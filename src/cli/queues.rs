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
    output::{Failure, Printer},
    table::{Cell, Table},
};

/// What is done with the queues.
#[derive(Debug, Subcommand)]
pub(super) enum QueuesCommand {
    /// Show the queues and what they hold; also without a word.
    List,
    /// Start none of a queue's jobs any more, on any node. What runs goes on.
    Pause(QueueName),
    /// Let a paused queue go on.
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
        QueuesCommand::Pause(queue) => vec![client.pause_queue(&queue.name).await?],
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
        let name = std::iter::once(queue.name.as_str().into());
        let limit = limits(queue).join(", ");
        name.chain(numbers.map(Cell::number))
            .chain([limit.as_str().into(), queue.labels.to_string().into(), paused.as_str().into()])
            .collect()
    };
    queues.iter().map(row).collect()
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

    #[test]
    fn numbers_stand_below_each_other() {
        let queue = QueueView {
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
            paused_at: Some(callboard::contracts::Timestamp::from_micros(0)),
            max_running: Some(7),
            max_running_per_key: Some(2),
            rate: "100/1m".parse().ok(),
            rate_per_key: None,
            labels: "gpu=yes".parse().unwrap(),
        };
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&rows(&[queue])),
            [
                "QUEUE    CONCURRENCY  AVAILABLE  EXECUTING  RETRYABLE  SCHEDULED  PENDING   COMPLETED  CANCELLED  DISCARDED  LIMIT               LABELS   PAUSED SINCE",
                "default           50         12          3          4          1        0  1000000000          5          6  7, 2 a key, 100/1m  gpu=yes  1970-01-01T00:00:00.000000Z",
            ]
        );
    }
}
