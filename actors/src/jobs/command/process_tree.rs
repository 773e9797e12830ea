//! Finding processes in `/proc` and signalling them without hitting a stranger.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// A process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    zombie: bool,
    /// When it began, in clock ticks since boot: with the id, its identity.
    started: u64,
}

/// Sends `signal` to every living descendant of `ancestor`; returns how many there were.
///
/// A process that is forked meanwhile may be missed: repeat it until no child is left to wait for.
pub(super) fn signal_descendants(ancestor: Pid, signal: Signal) -> io::Result<usize> {
    let processes = all()?;
    let found = descendants(&processes, ancestor.as_raw_pid());
    for process in &found {
        send(*process, signal);
    }
    Ok(found.len())
}

/// Sends SIGKILL to every process whose initial environment holds `mark`; returns how many there were.
///
/// Only processes whose environment the caller may read are looked at.
pub(super) fn kill_marked(mark: &str) -> io::Result<usize> {
    let marked = |process: &&Process| {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let processes = all()?;
    let found: Vec<_> = processes.iter().filter(|process| !process.zombie).filter(marked).collect();
    for process in &found {
        send(**process, Signal::KILL);
    }
    Ok(found.len())
}

/// Signals the process unless its id has passed to another one.
fn send(process: Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // The descriptor is bound to whoever has the id now; the same starting time makes that the one we mean.
        Ok(descriptor) if read(process.pid).is_some_and(|now| now.started == process.started) => {
            // An error means that it is gone already, or not ours to signal: the caller sees it stay.
            let _ = pidfd_send_signal(descriptor, signal);
        }
        Ok(_) | Err(Errno::SRCH) => {}
        // An old kernel or a strict container knows no such descriptors.
        Err(_) => {
            let _ = kill_process(pid, signal);
        }
    }
}

fn all() -> io::Result<Vec<Process>> {
    let entries = std::fs::read_dir("/proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(read).collect())
}

fn read(pid: i32) -> Option<Process> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a `stat` line: `pid (name) state parent ... started ...`, where the name may hold anything.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (_, fields) = rest.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let (state, parent) = (fields.next()?, fields.next()?);
    // The starting time is field 22, and the parent was field 4.
    let started = fields.nth(22 - 5)?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: parent.parse().ok()?,
        zombie: matches!(state, "Z" | "X"),
        started: started.parse().ok()?,
    })
}

/// The living processes below `ancestor`.
fn descendants(processes: &[Process], ancestor: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process);
    }
    let (mut found, mut seen, mut open) = (Vec::new(), BTreeSet::from([ancestor]), vec![ancestor]);
    while let Some(parent) = open.pop() {
        // The list is no snapshot: ids that were reused while it was read can make a circle.
        for child in children.get(&parent).into_iter().flatten().filter(|child| seen.insert(child.pid)) {
            open.push(child.pid);
            if !child.zombie {
                found.push(**child);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name_holds() {
        let line = "42 (a) R 1 (b) Z 7 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
        assert_eq!(parse(line), Some(Process { pid: 42, parent: 7, zombie: true, started: 123_456 }));
        assert_eq!(parse("42 (cut"), None);
        assert_eq!(parse("42 (a) R 1 2"), None);
    }

    #[test]
    fn this_process_is_found_with_its_parent() {
        let me = read(std::process::id() as i32).unwrap();
        assert_eq!(me.parent, std::os::unix::process::parent_id() as i32);
        assert!(!me.zombie);
        assert!(all().unwrap().contains(&me));
    }

    #[test]
    fn descendants_are_all_below_and_circles_end() {
        let process = |pid, parent| Process { pid, parent, zombie: pid == 4, started: 0 };
        let list = [
            process(2, 1),
            process(3, 2),
            process(4, 2),
            process(5, 4),
            process(6, 9),
            process(9, 6),
            process(1, 5),
        ];
        let mut found: Vec<_> = descendants(&list, 1).iter().map(|process| process.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [2, 3, 5]);
        assert_eq!(descendants(&list, 6).len(), 1);
    }
}
