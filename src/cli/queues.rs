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
        name.chain(numbers.map(Cell::number)).chain([paused.as_str().into()]).collect()
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
            paused_at: None,
        };
        let printer = Printer { json: false, quiet: false, colours: false };
        assert_eq!(
            table(printer).lines(&rows(&[queue])),
            [
                "QUEUE    CONCURRENCY  AVAILABLE  EXECUTING  RETRYABLE  SCHEDULED  PENDING   COMPLETED  CANCELLED  DISCARDED",
                "default           50         12          3          4          1        0  1000000000          5          6",
            ]
        );
    }
}
