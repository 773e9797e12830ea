//! The `callboard` program.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    callboard::main_if_shim();
    cli::main()
}
