//! Running an allow-listed program for an attempt of a job, so that no process outlives it.
//!
//! The server never starts a program itself. It re-executes its own binary as a *shim*, one for each running
//! attempt, and the shim starts the program through a second stage, the *launcher*:
//!
//! ```text
//! server ──socket pair── shim ──socket pair── launcher ══exec══> program ── its children ...
//!    └──── stdout, stderr: two pipes, straight from the program ────┘
//! ```
//!
//! * The shim's standard input is one end of a Unix socket pair whose other end only the server holds (every
//!   descriptor is close-on-exec). The request goes in over it, then orders (end it, kill it), and the report comes
//!   back. When the server dies, however it dies, the kernel closes the socket: the shim reads the end of the stream
//!   and kills everything below it. The report is a message and not the shim's exit code, so that "exited 137", "killed
//!   by signal 9" and "could not be executed: no such file" are three different answers.
//! * The shim is a *child subreaper*: whatever the program starts and abandons, also from a new session, becomes the
//!   shim's child. "There is no child left to wait for" is therefore proof that the whole tree is gone.
//! * The launcher is the program before its `exec`. It asks the kernel for SIGKILL should the shim die, makes a session
//!   of its own (no terminal, no Ctrl-C of the server's), gives up the right to gain privileges (so that nothing in the
//!   tree can become unkillable), sets standard input and becomes the program. Its socket closes on `exec`, which tells
//!   the shim that the program runs; else the error comes over it.
//!
//! A program in a pseudo terminal ([`Terminal`]) is started in the same way. Its output is the terminal, which the launcher
//! makes the controlling one of its session, and it is told to end by SIGHUP instead of SIGTERM.
//!
//! All of that needs no `unsafe`: nothing runs between `fork` and `exec`, and no descriptor is passed by number.
//!
//! # Limits
//!
//! * Linux only: it needs `/proc` and subreapers. Elsewhere [`CommandRunner::run`] answers [`CommandError::Unsupported`].
//! * This bounds lifetime; it is no sandbox. A program runs as the server's user. One that is hostile can kill its
//!   shim (the program itself then dies by the kernel, and what carries the attempt's mark in its environment is killed
//!   by the server) or ask a daemon outside the tree to work for it.
//! * Descriptors that the server inherited from *its* parent without close-on-exec reach the programs.

mod allow_list;
mod attempt;
mod environment;
mod error;
mod job;
#[cfg(target_os = "linux")]
mod launcher;
mod lines;
mod output;
mod own_process;
#[cfg(target_os = "linux")]
mod process_tree;
mod request;
mod runner;
mod shim;
#[cfg(target_os = "linux")]
mod supervision;
mod terminal;
mod wire;
mod workspace;

pub use allow_list::{AllowList, AllowListError, AllowedProgram, Refusal};
pub use error::CommandError;
pub use lines::{OutputLine, OutputLog};
pub use output::CommandOutput;
pub use own_process::executable;
pub use request::{CommandRequest, InvalidRequest};
pub use runner::{AttemptName, CommandRunner};
pub use shim::main_if_shim;
pub use terminal::{
    StartedTerminal, Terminal, TerminalEnd, TerminalOrder, TerminalProcess, TerminalProgram, TerminalSize,
};
pub use workspace::KeepWorkspace;
