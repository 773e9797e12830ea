//! `callboard completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{
    Cli,
    output::{Failure, try_line},
};

/// For which shell.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "callboard", &mut script);
    try_line(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
