//! The last stage before a program: a process that prepares itself and becomes the program.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getppid, ioctl_tiocsctty, set_parent_process_death_signal, setsid};
use rustix::thread::set_no_new_privs;

use super::own_process::fail;
use super::wire::{Launch, NotStarted, frame, read_frame_blocking};

/// The exit code that goes with a [`NotStarted`] frame; only a reader without the frame would look at it.
const NOT_STARTED: i32 = 127;

/// Becomes the program that the shim names, or reports why not.
pub(super) fn main(shim: Option<i32>) -> ! {
    // A duplicate, closed by `exec`, because standard input itself becomes the program's.
    let mut channel = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(descriptor) => UnixStream::from(descriptor),
        Err(error) => fail(&format!("standard input is not there: {error}")),
    };
    let failure = launch(shim, &mut channel);
    let report = frame(&failure).unwrap_or_default();
    if channel.write_all(&report).is_err() {
        fail(&failure.message);
    }
    std::process::exit(NOT_STARTED)
}

/// Returns only if the program could not be executed.
fn launch(shim: Option<i32>, channel: &mut UnixStream) -> NotStarted {
    let failed = |step: &str| {
        let step = step.to_owned();
        move |error: io::Error| NotStarted::new(step, &error)
    };
    let prepared = (|| {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(io::Error::from)
            .map_err(failed("asking for a signal at the shim's death"))?;
        // The shim may have died before the kernel knew that we want to hear of it.
        if getppid().map(Pid::as_raw_pid) != shim {
            fail("the shim is gone");
        }
        setsid().map_err(io::Error::from).map_err(failed("making a session"))?;
        set_no_new_privs(true).map_err(io::Error::from).map_err(failed("giving up new privileges"))?;

        let request = read_frame_blocking(channel).map_err(failed("reading the request"))?;
        let launch: Launch = serde_json::from_slice(&request)
            .map_err(io::Error::from)
            .map_err(failed("reading the request"))?;
        let stdin = match launch.terminal {
            true => controlling_terminal().map_err(failed("taking the terminal"))?,
            false => {
                standard_input(channel, launch.stdin_bytes).map_err(failed("preparing standard input"))?
            }
        };
        check_program(&launch.file).map_err(failed("checking the program"))?;
        Ok((launch, stdin))
    })();
    match prepared {
        Err(failure) => failure,
        Ok((launch, stdin)) => {
            let mut command = Command::new(&launch.file);
            command.arg0(&launch.name).args(&launch.args).env_clear().envs(&launch.env).stdin(stdin);
            NotStarted::new("executing the program", &command.exec())
        }
    }
}

/// The terminal that standard output is, as the one that controls this session, for standard input.
fn controlling_terminal() -> io::Result<Stdio> {
    let terminal = io::stdout().as_fd().try_clone_to_owned()?;
    ioctl_tiocsctty(&terminal)?;
    Ok(Stdio::from(terminal))
}

/// Standard input as a file in memory: a program that reads it late, partly or not at all keeps nobody waiting.
fn standard_input(channel: &mut UnixStream, bytes: usize) -> io::Result<Stdio> {
    if bytes == 0 {
        return Ok(Stdio::null());
    }
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    let copied = io::copy(&mut channel.take(bytes as u64), &mut file)?;
    if copied != bytes as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.rewind()?;
    Ok(Stdio::from(file))
}

/// Checks that the file still is a program, and one that the kernel itself can execute: `execvp` would hand anything
/// else to a shell.
fn check_program(path: &str) -> io::Result<()> {
    let file = std::fs::metadata(path)?;
    if !file.is_file() || file.permissions().mode() & 0o111 == 0 {
        return Err(Errno::ACCESS.into());
    }
    let mut magic = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(4).read_to_end(&mut magic)?,
        // Executable but not readable: no shell could read it either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        Err(error) => return Err(error),
    };
    if magic.starts_with(b"\x7fELF") || magic.starts_with(b"#!") { Ok(()) } else { Err(Errno::NOEXEC.into()) }
}
