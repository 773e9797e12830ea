//! `callboard jobs signal`, `callboard jobs signals` and `callboard jobs state`.

use std::{
    fs,
    io::{Read, stdin},
    path::{Path, PathBuf},
    process::ExitCode,
};

use callboard::{
    client::Client,
    contracts::api::{MAX_SIGNAL_BYTES, PublishedState, SendSignal, SignalView},
};
use clap::Args;
use serde_json::Value;
use uuid::Uuid;

use super::super::output::{Failure, Printer, clean, line};

/// Which signal is sent.
#[derive(Debug, Args)]
pub(crate) struct SignalArgs {
    /// The job's id, in full.
    id: Uuid,
    /// What the job waits for: 1 to 64 lower-case letters, digits, '_', '-' and '.'.
    name: String,
    /// What the signal says, JSON [default: null].
    #[arg(conflicts_with = "file", allow_negative_numbers = true)]
    value: Option<String>,
    /// Read the JSON from this file; - is the standard input.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The signal's id: sent again with the same id it changes nothing [default: a new one].
    #[arg(long, value_name = "UUID")]
    signal_id: Option<Uuid>,
}

/// Whose signals, or whose state, is shown.
#[derive(Debug, Args)]
pub(crate) struct OfJob {
    /// The job's id, in full.
    id: Uuid,
}

pub(super) async fn send(client: &Client, args: SignalArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let SignalArgs { id, name, value, file, signal_id } = args;
    let text = match file {
        Some(file) => Some(read(&file)?),
        None => value,
    };
    let value = match text {
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            let quoted = "text is JSON in double quotes, such as '\"yes\"'";
            Failure::usage(format!("what the signal says is no JSON: {error}; {quoted}"))
        })?,
        None => Value::Null,
    };
    let sent = client.signal(id, SendSignal { id: signal_id, name, value }).await?;
    if printer.json {
        printer.record(&sent);
    } else {
        let again = if sent.duplicate { "  it was there already" } else { "" };
        line(&format!("{id}  {}  signal {}{again}", printer.state(sent.state), sent.number));
    }
    Ok(ExitCode::SUCCESS)
}

/// No more than a signal can say, written with many blanks.
fn read(file: &Path) -> Result<String, Failure> {
    let most = MAX_SIGNAL_BYTES as u64 * 16;
    let mut text = String::new();
    let read = if file == Path::new("-") {
        stdin().lock().take(most).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    Ok(text)
}

pub(super) async fn list(client: &Client, of: &OfJob, printer: Printer) -> Result<ExitCode, Failure> {
    let found = client.signals(of.id).await?.signals;
    if printer.json {
        found.iter().for_each(|signal| printer.record(signal));
    } else {
        found.iter().for_each(|signal| line(&view(signal)));
        if found.is_empty() {
            printer.note("it has no signals");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn view(signal: &SignalView) -> String {
    let state = match (signal.acknowledged_at, signal.taken) {
        (Some(at), _) => format!("acknowledged at {at}"),
        (None, Some(taken)) => format!("taken by attempt {} at {}", taken.attempt, taken.at),
        (None, None) => "waits".to_owned(),
    };
    let SignalView { number, name, value, by, at, .. } = signal;
    format!("{number}  {}  {}  by {} at {at}  {state}", clean(name), clean(&value.to_string()), clean(by))
}

pub(super) async fn state(client: &Client, of: &OfJob, printer: Printer) -> Result<ExitCode, Failure> {
    let found = client.job_state(of.id).await?;
    if printer.json {
        printer.record(&found);
        return Ok(ExitCode::SUCCESS);
    }
    match &found.published {
        Some(published) => line(&state_of(published, found.attempt)),
        None => printer.note(&format!("the job is {}, and shows nothing of itself", found.state)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run shows, since when, and which attempt if that is not the last one.
pub(super) fn state_of(published: &PublishedState, attempt: u32) -> String {
    let PublishedState { attempt: by, at, value } = published;
    let which = if *by == attempt { String::new() } else { format!("  (attempt {by})") };
    format!("{}  at {at}{which}", clean(&value.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_became_of_a_signal_is_said_and_nothing_is_left_for_a_terminal_to_obey() {
        let at = "2026-01-01T00:00:00Z";
        let mut signal: SignalView = serde_json::from_value(json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "number": 3, "name": "approve", "value": {"a": "\u{1b}[2J"},
            "by": "an\u{1b}na", "at": at,
        }))
        .unwrap();
        let begin = "3  approve  {\"a\":\"\\u001b[2J\"}  by an\u{fffd}na at 2026-01-01T00:00:00.000000Z  ";
        assert_eq!(view(&signal), format!("{begin}waits"));
        signal.taken = serde_json::from_value(json!({ "attempt": 2, "at": at })).unwrap();
        assert_eq!(view(&signal), format!("{begin}taken by attempt 2 at 2026-01-01T00:00:00.000000Z"));
        signal.acknowledged_at = Some(signal.at);
        assert_eq!(view(&signal), format!("{begin}acknowledged at 2026-01-01T00:00:00.000000Z"));
    }
}
