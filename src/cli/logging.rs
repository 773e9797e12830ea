//! Log lines, for people or for machines, on standard error.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use callboard_config::{LogFormat, LogSettings};
use tracing_subscriber::{
    EnvFilter, Registry,
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

/// What part of the log is written, to be changed while it is.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// What says of itself in another place what is to be said: the client of the broker would write whole messages to the log.
const QUIET: &str = "lapin=off";

/// Begins to write log lines as the settings have them.
///
/// # Errors
/// The level is no filter directive; the text says which part of it.
pub(crate) fn begin(settings: &LogSettings) -> Result<(), String> {
    let (filter, handle) = reload::Layer::new(filter("log.level", &settings.level)?);
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
    // There is one log.
    let _ = FILTER.set(handle);
    begun.map_err(|error| error.to_string())
}

/// Writes another part of the log from now on.
///
/// # Errors
/// It is no filter directive; or nothing is written.
pub(crate) fn set_level(directives: &str) -> Result<(), String> {
    let filter = filter("the level", directives)?;
    let handle = FILTER.get().ok_or_else(|| "no log is written".to_owned())?;
    handle.reload(filter).map_err(|error| error.to_string())?;
    tracing::info!(directives, "the log is written by other directives");
    Ok(())
}

fn filter(what: &str, directives: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(format!("{QUIET},{directives}"))
        .map_err(|error| format!("{what} {directives:?} is no filter directive: {error}"))
}
