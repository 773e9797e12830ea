//! A server on a file whose disk is full for a time.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;
use uuid::Uuid;

use super::{Times, UNDER_WAY, row::Row, work::Work};
use crate::{
    kill_matrix::{
        load::effects,
        node::{Node, ask},
    },
    server::{PATIENCE, callboard},
};

/// Why it cannot be played here.
pub(super) struct NotHere(pub(super) String);

/// A small disk. Dropped, it is gone.
struct Disk(TempDir);

impl Disk {
    fn new() -> Result<Disk, NotHere> {
        let folder = TempDir::new().expect("a folder");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "callboard-test"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Ok(Disk(folder)),
            Ok(output) => Err(NotHere(format!("mount: {}", String::from_utf8_lossy(&output.stderr).trim()))),
            Err(error) => Err(NotHere(format!("mount: {error}"))),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes all that is left of it.
    fn fill(&self) {
        let mut filler = fs::File::options().create(true).append(true).open(self.filler()).expect("a file");
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            if filler.write_all(&piece).is_err() {
                // It is full for as much; less may go in.
                piece.truncate(piece.len() / 2);
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

pub(super) fn play(times: Times) -> Result<Row, NotHere> {
    let disk = Disk::new()?;
    let work = Work::new(1);
    let mut row = Row::new("the disk under SQLite is full".to_owned());
    let played = work.while_followed(|scope| {
        let mut command = callboard();
        command.args(["serve", "--allow-program", "sh", "--data"]).arg(disk.path().join("data"));
        // Not stopped before it is full, as it is by default.
        command.args(["--set", "store.min_free_space=0B"]);
        let mut node = Node::start(0, &work.addresses, command, &work.log_of(0));
        node.serving()?;
        let work = &work;
        let busy = scope.spawn(|| work.keep_busy(0));
        let under_way = |events: &[_]| (events.len() > UNDER_WAY).then_some(());
        work.log.until("the work is under way", under_way)?;
        let end = Instant::now() + times.full;
        disk.fill();
        until_refused(work, &disk)?;
        while Instant::now() < end {
            // What is freed meanwhile, as by the log of the database, is taken again.
            disk.fill();
            // The fault is this very time.
            thread::sleep(Duration::from_millis(100));
        }
        fs::remove_file(disk.filler()).map_err(|error| error.to_string())?;
        let freed = Instant::now();
        work.flows_through(0)?;
        row.flows = freed.elapsed();
        row.lasted = times.full;
        work.end();
        busy.join().map_err(|_| "whoever submits has panicked".to_owned())??;
        work.ended(&work.jobs())?;
        count(work, &mut row)?;
        node.signal(Signal::TERM);
        let status = node.end()?;
        if status.success() { Ok(()) } else { Err(format!("it stopped with {status}")) }
    });
    if let Err(problem) = played {
        println!("{}", work.said_by(0).lines().rev().take(25).collect::<Vec<_>>().join("\n"));
        row.problems.push(problem);
    }
    row.problems.extend(work.log.broken());
    Ok(row)
}

/// Waits until a job is refused for that reason. What is stored can be read all the while.
fn until_refused(work: &Work, disk: &Disk) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let address = work.addresses.of(0).ok_or("the server is gone")?;
    while Instant::now() < deadline {
        let id = Uuid::now_v7();
        let body = format!(r#"{{"id":"{id}","type":"noop"}}"#);
        let answer = ask(address, "POST", "/api/v1/jobs", &body);
        if answer.as_ref().is_some_and(|answer| answer.status >= 500 && answer.body.contains("full")) {
            let read = ask(address, "GET", "/api/v1/queues", "").map(|answer| answer.status);
            return if read == Some(200) { Ok(()) } else { Err(format!("GET /api/v1/queues: {read:?}")) };
        }
        if answer.is_some_and(|answer| answer.status < 300) {
            work.add(id);
        }
        disk.fill();
    }
    Err("no job was refused because the disk is full".to_owned())
}

/// Each job has completed once, and so says the log.
fn count(work: &Work, row: &mut Row) -> Result<(), String> {
    let address = work.addresses.of(0).ok_or("the server is gone")?;
    let counts = &mut row.counts;
    let jobs = work.jobs();
    counts.jobs = jobs.len();
    for id in jobs {
        let path = format!("/api/v1/jobs/{id}");
        let job = ask(address, "GET", &path, "").ok_or_else(|| format!("{path}: no answer"))?.json();
        let attempts: Vec<_> = job["attempts"].as_array().into_iter().flatten().collect();
        counts.repeated += attempts.len().saturating_sub(1);
        let completed = attempts.iter().filter(|attempt| attempt["outcome"] == "completed").count();
        counts.lost += usize::from(completed == 0);
        counts.doubled += usize::from(completed > 1);
        if completed != 1 {
            row.problems.push(format!("completed {completed} times: {job}"));
        }
    }
    let mut kinds: BTreeMap<(Uuid, String), usize> = BTreeMap::new();
    work.log.events().into_iter().for_each(|event| *kinds.entry((event.job, event.kind)).or_default() += 1);
    let doubled = kinds.iter().filter(|((_, kind), times)| **times > 1 && kind != "job.progressed").count();
    if doubled > 0 {
        counts.doubled += doubled;
        row.problems.push(format!("{doubled} events are there twice"));
    }
    let mut runs: BTreeMap<Uuid, usize> = BTreeMap::new();
    effects(work.folder()).into_iter().for_each(|(job, _)| *runs.entry(job).or_default() += 1);
    counts.programs = runs.values().map(|times| times - 1).sum();
    counts.stale = work.said_by(0).matches("came too late").count();
    Ok(())
}
