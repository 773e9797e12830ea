//! Log lines, for people or for machines, on standard error.

use std::io::{self, IsTerminal};

use callboard_config::{LogFormat, LogSettings};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Begins to write log lines as the settings have them.
///
/// # Errors
/// The level is no filter directive; the text says which part of it.
pub(crate) fn begin(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.level)
        .map_err(|error| format!("log.level {:?} is no filter directive: {error}", settings.level))?;
    let terminal = io::stderr().is_terminal();
    let machine = match settings.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !terminal,
    };
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let begun = if machine {
        registry.with(layer.json().flatten_event(true)).try_init()
    } else {
        registry.with(layer.with_ansi(colours)).try_init()
    };
    begun.map_err(|error| error.to_string())
}
