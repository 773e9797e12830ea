//! `callboard queues`.

use std::process::ExitCode;

use callboard::{client::Client, contracts::api::QueueView};
use clap::{Args, Subcommand};

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
    /// Let at most so many of a queue's jobs be with all nodes together.
    Limit(LimitArgs),
}

/// How a queue is limited.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// The queue's name.
    name: String,
    /// Jobs at most; without it the limit is taken away.
    #[arg(long, value_name = "JOBS", value_parser = clap::value_parser!(u32).range(1..))]
    running: Option<u32>,
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
        QueuesCommand::Resume(queue) => vec![client.resume_queue(&queue.name).await?],
        QueuesCommand::Limit(limit) => vec![client.limit_queue(&limit.name, limit.running).await?],
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
        let limit = queue.max_running.map(|most| most.to_string()).unwrap_or_default();
        name.chain(numbers.map(Cell::number)).chain([limit.as_str().into(), paused.as_str().into()]).collect()
    };
    queues.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        };
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&rows(&[queue])),
            [
                "QUEUE    CONCURRENCY  AVAILABLE  EXECUTING  RETRYABLE  SCHEDULED  PENDING   COMPLETED  CANCELLED  DISCARDED  LIMIT  PAUSED SINCE",
                "default           50         12          3          4          1        0  1000000000          5          6  7      1970-01-01T00:00:00.000000Z",
            ]
        );
    }
}
