//! `callboard store migrate`.

use std::process::ExitCode;

use callboard::store::SchemaVersion;
use clap::Args;
use serde_json::json;

use super::{
    super::output::{Failure, Printer, line},
    WhichStore, failure,
};

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Only say which version is there, and which would be.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    which: WhichStore,
}

pub(super) fn run(args: &MigrateArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let upkeep = args.which.upkeep()?;
    let looked = if args.dry_run { upkeep.version() } else { upkeep.migrate() };
    let SchemaVersion { found, known } = looked.map_err(|error| failure(upkeep.place(), &error))?;
    if printer.json {
        printer.document(&json!({
            "store": upkeep.place(), "found": found, "known": known, "migrated": !args.dry_run && found != known,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    let place = upkeep.place();
    line(&match (found, args.dry_run) {
        (0, true) => format!("{place}: there is no store yet; it would be made with version {known}"),
        (0, false) => format!("{place}: made with version {known}"),
        _ if found == known => format!("{place}: version {found}, the one of this program"),
        (_, true) => format!("{place}: version {found}; it would be brought to version {known}"),
        (_, false) => format!("{place}: brought from version {found} to version {known}"),
    });
    Ok(ExitCode::SUCCESS)
}
