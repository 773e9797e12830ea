//! Signals to a server and to all that it has started.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::private::eventually;

/// The process's children.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("the list of processes").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

fn parent_of(id: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it is in parentheses, and may hold anything.
    let (_, after_name) = status.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

/// Sends a signal. A process that has gone already is none to complain of.
pub(crate) fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(id, signal);
    }
}

/// Stops a process where it is, and waits until it stands still: a busy machine takes its time.
pub(crate) fn freeze(id: u32) {
    signal(id, Signal::STOP);
    let stands = || {
        let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Stopped, traced, dead or gone.
        status.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
    };
    eventually("the process stands still", stands);
}

/// Whether the process is there and has not ended.
pub(crate) fn is_alive(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
