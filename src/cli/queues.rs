//! `callboard queues`.

use std::process::ExitCode;

use callboard::client::Client;

use super::output::{Failure, Printer, table};

pub(super) async fn run(client: &Client, printer: Printer) -> Result<ExitCode, Failure> {
    let queues = client.queues().await?;
    if printer.json {
        printer.document(&queues);
        return Ok(ExitCode::SUCCESS);
    }
    let headings = [
        "QUEUE",
        "CONCURRENCY",
        "AVAILABLE",
        "EXECUTING",
        "RETRYABLE",
        "PENDING",
        "COMPLETED",
        "CANCELLED",
        "DISCARDED",
    ];
    let rows: Vec<Vec<String>> = queues
        .iter()
        .map(|queue| {
            let numbers = [
                u64::from(queue.concurrency),
                queue.available,
                queue.executing,
                queue.retryable,
                queue.pending,
                queue.completed,
                queue.cancelled,
                queue.discarded,
            ];
            std::iter::once(queue.name.clone()).chain(numbers.iter().map(u64::to_string)).collect()
        })
        .collect();
    table(&headings, &rows);
    Ok(ExitCode::SUCCESS)
}
