//! How the binary becomes a shim.

#[cfg(not(target_os = "linux"))]
use super::own_process::fail;
use super::wire::{LAUNCH_WORD, SHIM_WORD};

/// Turns the process into a shim or a launcher if it was started as one; else does nothing.
///
/// The first line of `main` of every binary whose [`CommandRunner`](super::CommandRunner) re-executes itself: before
/// threads, logging and argument parsing. If the process is a shim, it does not return.
///
/// ```
/// callboard_actors::jobs::command::main_if_shim();
/// // the rest of main
/// ```
pub fn main_if_shim() {
    let mut args = std::env::args_os().skip(1);
    let Some(word) = args.next() else { return };
    if word == SHIM_WORD {
        become_shim();
    }
    if word == LAUNCH_WORD {
        become_launcher(args.next().and_then(|pid| pid.to_str()?.parse().ok()));
    }
}

#[cfg(target_os = "linux")]
fn become_shim() -> ! {
    super::supervision::main()
}

#[cfg(target_os = "linux")]
fn become_launcher(shim: Option<i32>) -> ! {
    super::launcher::main(shim)
}

#[cfg(not(target_os = "linux"))]
fn become_shim() -> ! {
    fail("programs can be run on Linux only")
}

#[cfg(not(target_os = "linux"))]
fn become_launcher(_shim: Option<i32>) -> ! {
    fail("programs can be run on Linux only")
}
