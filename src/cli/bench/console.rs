//! `callboard bench console`.

use std::time::Duration;

use callboard_console::measure::measure;
use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;

use super::{super::output::Failure, machine::Machine, statistics::Percentiles};

#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Jobs in the list.
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<u64>::new().range(1..=100_000), value_name = "N")]
    rows: u64,
    /// How often all keys are pressed.
    #[arg(long, default_value_t = 20, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1000), value_name = "N")]
    rounds: u64,
    /// The screen, COLUMNSxROWS.
    #[arg(long, default_value = "160x50", value_parser = size, value_name = "SIZE")]
    size: (u16, u16),
}

/// What `callboard bench console` prints. The names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    optimised: bool,
    machine: Machine,
    rows: usize,
    columns: u16,
    lines: u16,
    /// From a key to the end of the frame that answers it.
    key_to_frame: Times,
    /// From a key that changes the filter or the order to the frame that shows all of it.
    key_to_whole: Times,
    /// Written to the terminal.
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Times {
    count: usize,
    #[serde(flatten)]
    times: Percentiles,
}

impl Times {
    fn of(times: Vec<Duration>) -> Self {
        Times { count: times.len(), times: Percentiles::of(times) }
    }
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let (columns, rows) = text.split_once('x').ok_or("COLUMNSxROWS is needed, such as 160x50")?;
    match (columns.parse(), rows.parse()) {
        (Ok(columns @ 40..=1000), Ok(rows @ 10..=1000)) => Ok((columns, rows)),
        _ => Err("40x10 to 1000x1000 can be drawn".to_owned()),
    }
}

pub(super) async fn run(args: &ConsoleArgs) -> Result<Report, Failure> {
    let (rows, rounds) = (usize::try_from(args.rows).unwrap_or(usize::MAX), args.rounds as usize);
    let size = args.size;
    // It works without a pause, so it has a thread of its own.
    let measured = tokio::task::spawn_blocking(move || measure(rows, rounds, size)).await;
    let measured = measured.map_err(|error| Failure::failed(error.to_string()))?;
    let measured = measured.map_err(|error| Failure::failed(error.to_string()))?;
    let machine = Machine::look(&std::env::temp_dir()).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        machine,
        rows: measured.rows,
        columns: size.0,
        lines: size.1,
        key_to_frame: Times::of(measured.keys),
        key_to_whole: Times::of(measured.whole),
        bytes: measured.bytes,
    })
}
