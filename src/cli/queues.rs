//! `callboard queues`.

use std::process::ExitCode;

use callboard::{client::Client, contracts::api::QueueView};

use super::{
    output::{Failure, Printer},
    table::{Cell, Table},
};

pub(super) async fn run(client: &Client, printer: Printer) -> Result<ExitCode, Failure> {
    let queues = client.queues().await?;
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
        std::iter::once(queue.name.as_str().into()).chain(numbers.map(Cell::number)).collect()
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
