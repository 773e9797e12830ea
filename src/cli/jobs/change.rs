//! `callboard jobs cancel` and `callboard jobs retry`.

use std::process::ExitCode;

use callboard::{
    client::{Client, ClientError},
    contracts::api::BulkAction,
};
use uuid::Uuid;

use super::{
    super::{
        bulk::preview,
        output::{Failure, Printer, SOME_FAILED, line},
    },
    selection::Selection,
};

pub(super) async fn cancel(
    client: &Client,
    selection: Selection,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    if let Some(start) = selection.dry_run(BulkAction::Cancel) {
        preview(&client.preview_bulk(&start).await?, printer);
        return Ok(ExitCode::SUCCESS);
    }
    let question = |count, states: &str| format!("Cancel {count} {states} jobs?");
    let mut tally = Tally::new(printer);
    for id in selection.ids(client, question).await? {
        match client.cancel(id).await {
            Ok(cancelled) if printer.json => printer.record(&cancelled),
            Ok(cancelled) if cancelled.state.is_final() => {
                line(&format!("{id}  {}", printer.state(cancelled.state)))
            }
            Ok(cancelled) => line(&format!("{id}  {}, told to end", printer.state(cancelled.state))),
            Err(error) => tally.refused(id, error)?,
        }
        tally.done += 1;
    }
    Ok(tally.end())
}

pub(super) async fn retry(
    client: &Client,
    selection: Selection,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    if let Some(start) = selection.dry_run(BulkAction::Retry) {
        preview(&client.preview_bulk(&start).await?, printer);
        return Ok(ExitCode::SUCCESS);
    }
    let question = |count, states: &str| format!("Run {count} {states} jobs again?");
    let mut tally = Tally::new(printer);
    for id in selection.ids(client, question).await? {
        match client.retry(id).await {
            Ok(retried) if printer.json => printer.record(&retried),
            Ok(retried) if retried.replay_of.is_some() => line(&format!("{}  a replay of {id}", retried.id)),
            Ok(retried) => line(&format!("{id}  {}", printer.state(retried.state))),
            Err(error) => tally.refused(id, error)?,
        }
        tally.done += 1;
    }
    Ok(tally.end())
}

/// What has been done so far.
struct Tally {
    printer: Printer,
    done: usize,
    refused: usize,
}

impl Tally {
    fn new(printer: Printer) -> Self {
        Tally { printer, done: 0, refused: 0 }
    }

    /// What is wrong with one job does not keep the others; what is wrong with the server does.
    fn refused(&mut self, id: Uuid, error: ClientError) -> Result<(), Failure> {
        let mut failure = Failure::from(error);
        if failure.code != SOME_FAILED {
            let done = self.done - self.refused;
            failure.message = format!("{} (job {id}; {done} jobs were changed before it)", failure.message);
            return Err(failure);
        }
        // A job that is not there is named by the server; one in another state is not.
        if !failure.message.contains(&id.to_string()) {
            failure.message = format!("{id}: {}", failure.message);
        }
        self.printer.failure(&failure);
        self.refused += 1;
        Ok(())
    }

    fn end(self) -> ExitCode {
        if self.done == 0 {
            self.printer.note("there are no such jobs");
        }
        ExitCode::from(if self.refused > 0 { SOME_FAILED } else { 0 })
    }
}
