//! `callboard store backup`, `export` and `import`.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use callboard::store::{Counts, TransferError, Upkeep};
use clap::Args;
use serde_json::json;

use super::{
    super::{
        output::{Failure, Printer},
        progress::Progress,
    },
    WhichStore, failure,
};

/// Bytes that are read or written at a time.
const BUFFER: usize = 256 * 1024;

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file of the copy; it must not be there yet.
    #[arg(value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    which: WhichStore,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write, which must not be there yet; `-` is standard output.
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// Leave the event log out. Jobs, attempts and totals stay.
    #[arg(long)]
    without_events: bool,
    #[command(flatten)]
    which: WhichStore,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file to read; `-` is standard input.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    which: WhichStore,
}

pub(super) fn backup(args: &BackupArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let upkeep = args.which.upkeep()?;
    let progress = Progress::new(printer, None);
    let done = upkeep.backup(&args.to, &mut |copied, all| progress.note(format!("{copied} of {all} pages")));
    progress.clear();
    done.map_err(|error| failure(&place_of(&error, &upkeep, &args.to), &error))?;
    let size = fs::metadata(&args.to).map_or(0, |file| file.len());
    if printer.json {
        printer.document(&json!({ "store": upkeep.place(), "file": args.to, "bytes": size }));
    } else {
        printer.note(&format!("{}: copied to {} ({size} bytes)", upkeep.place(), args.to.display()));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn export(args: &ExportArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let upkeep = args.which.upkeep()?;
    let progress = Progress::new(printer, None);
    let mut tell = |counts| progress.note(told("exported", counts));
    let done = if args.to.as_os_str() == "-" {
        let mut to = BufWriter::with_capacity(BUFFER, io::stdout().lock());
        upkeep.export(!args.without_events, &mut to, &mut tell)
    } else {
        export_to(&args.to, |to| upkeep.export(!args.without_events, to, &mut tell))
    };
    progress.clear();
    let counts = done.map_err(|error| failure(&place_of(&error, &upkeep, &args.to), &error))?;
    summary(printer, &upkeep, "exported", counts, args.to.as_os_str() == "-");
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that stands under another name until it is whole.
fn export_to(
    path: &Path,
    export: impl FnOnce(&mut dyn Write) -> Result<Counts, TransferError>,
) -> Result<Counts, TransferError> {
    if path.exists() {
        return Err(TransferError::Write(io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = || {
        let file = File::create(&partial).map_err(TransferError::Write)?;
        let mut to = BufWriter::with_capacity(BUFFER, &file);
        let counts = export(&mut to)?;
        drop(to);
        file.sync_all().and_then(|()| fs::rename(&partial, path)).map_err(TransferError::Write)?;
        Ok(counts)
    };
    written().inspect_err(|_| {
        // It may not have been made at all.
        let _ = fs::remove_file(&partial);
    })
}

pub(super) fn import(args: &ImportArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let upkeep = args.which.upkeep()?;
    let mut from: Box<dyn BufRead> = if args.from.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            printer.note("reading an export from standard input");
        }
        Box::new(BufReader::with_capacity(BUFFER, io::stdin().lock()))
    } else {
        let unreadable = |error: io::Error| Failure::usage(format!("{}: {error}", args.from.display()));
        let file = File::open(&args.from).map_err(unreadable)?;
        Box::new(BufReader::with_capacity(BUFFER, file))
    };
    let progress = Progress::new(printer, None);
    let done = upkeep.import(&mut *from, &mut |counts| progress.note(told("imported", counts)));
    progress.clear();
    let counts = done.map_err(|error| failure(&place_of(&error, &upkeep, &args.from), &error))?;
    summary(printer, &upkeep, "imported", counts, false);
    Ok(ExitCode::SUCCESS)
}

fn told(what: &str, Counts { jobs, attempts, events }: Counts) -> String {
    format!("{jobs} jobs, {attempts} attempts and {events} events {what}")
}

fn summary(printer: Printer, upkeep: &Upkeep, what: &str, counts: Counts, stdout_is_taken: bool) {
    if printer.json && !stdout_is_taken {
        let Counts { jobs, attempts, events } = counts;
        printer.document(
            &json!({ "store": upkeep.place(), "jobs": jobs, "attempts": attempts, "events": events }),
        );
    } else {
        printer.note(&format!("{}: {}", upkeep.place(), told(what, counts)));
    }
}

/// Where it went wrong: at the store, or at the other file.
fn place_of(error: &TransferError, upkeep: &Upkeep, file: &Path) -> String {
    match error {
        TransferError::Store(_)
        | TransferError::NotEmpty { .. }
        | TransferError::InUse { .. }
        | TransferError::OtherTool { .. }
        | TransferError::NotMigrated { .. } => upkeep.place().to_owned(),
        TransferError::Missing(_) => "callboard store".to_owned(),
        _ => file.display().to_string(),
    }
}
