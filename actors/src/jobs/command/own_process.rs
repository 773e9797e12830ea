//! The process that a shim or a launcher is.

use std::{io::Write, path::PathBuf};

/// The running binary, as the shim to re-execute.
///
/// On Linux it is the file that runs, also after another was put in its place, so that an upgrade does not mix versions.
///
/// # Errors
/// Where the system cannot tell.
pub fn executable() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}

/// Says on standard error why the process is no use, and ends it.
pub(super) fn fail(problem: &str) -> ! {
    // Nobody is left to hear of an error in reporting an error.
    let _ = writeln!(std::io::stderr(), "callboard shim: {problem} (started by the server, not by hand)");
    std::process::exit(125)
}
