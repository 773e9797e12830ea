//! `callboard store`: what is done to a store beside serving from it.

mod check;
mod copy;
mod migrate;

use std::{path::PathBuf, process::ExitCode};

use callboard::store::{StoreError, TransferError, Upkeep};
use clap::{Args, Subcommand};

use super::{
    ServeArgs, config,
    output::{Failure, NO_SERVER, Printer, SOME_FAILED, USAGE},
};

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Bring the tables to the version of this program, as `serve` does when it starts.
    Migrate(migrate::MigrateArgs),
    /// Look whether the store is whole. Servers may go on meanwhile.
    ///
    /// Exits with 1 if anything is wrong.
    Check(WhichStore),
    /// Copy the SQLite file, as it is at one moment. The server may go on meanwhile.
    ///
    /// To restore, stop the server, put the copy in the place of the file (`callboard.db` in the data folder) and remove
    /// `callboard.db-wal` and `callboard.db-shm`. For PostgreSQL this says how to call pg_dump.
    Backup(copy::BackupArgs),
    /// Write all that the store holds as lines of JSON, as of one moment. Servers may go on meanwhile.
    Export(copy::ExportArgs),
    /// Fill an empty store from an export: all of it, or nothing.
    ///
    /// Jobs that ran when the export was made are available again; the event log begins a new epoch.
    Import(copy::ImportArgs),
}

/// Which store: that of the server with these settings.
#[derive(Debug, Args)]
pub(crate) struct WhichStore {
    /// The configuration file [default: callboard.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the database.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Any other setting, such as store.backend=postgres. May be given more than once.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl WhichStore {
    fn upkeep(&self) -> Result<Upkeep, Failure> {
        let args = ServeArgs {
            config: self.config.clone(),
            listen: None,
            data: self.data.clone(),
            allow_program: Vec::new(),
            set: self.set.clone(),
            log: None,
        };
        Upkeep::new(&config::load(config::loader(&args)?)?.running().settings)
            .map_err(|error| Failure::usage(error.to_string()))
    }
}

pub(super) fn run(command: &StoreCommand, printer: Printer) -> Result<ExitCode, Failure> {
    match command {
        StoreCommand::Migrate(args) => migrate::run(args, printer),
        StoreCommand::Check(which) => check::run(&which.upkeep()?, printer),
        StoreCommand::Backup(args) => copy::backup(args, printer),
        StoreCommand::Export(args) => copy::export(args, printer),
        StoreCommand::Import(args) => copy::import(args, printer),
    }
}

/// What went wrong at a place: a store or a file.
fn failure(place: &str, error: &TransferError) -> Failure {
    let code = match error {
        TransferError::Read(_) | TransferError::Line { .. } | TransferError::CutOff { .. } => USAGE,
        TransferError::Miscounted { .. } | TransferError::OtherTool { .. } => USAGE,
        TransferError::Store(StoreError::NotReady(_)) => NO_SERVER,
        _ => SOME_FAILED,
    };
    Failure { code, message: format!("{place}: {error}") }
}
