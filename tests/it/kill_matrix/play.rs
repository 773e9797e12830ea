//! One case of the matrix: jobs run, a process is killed or stopped at one place, and the work goes on to its end.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use callboard_actors::Failpoint;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    load::{self, Kind, LoadJob},
    log::{Event, Log},
    node::{Addresses, Fault, Node, ask},
    verdict::{self, Row},
};
use crate::{
    checksums::processes_of,
    server::{Answer, PATIENCE},
};

/// The session's time to live in all cases, and how long a process is stopped: past it.
const LEASE: Duration = Duration::from_millis(1500);
const STOPPED: Duration = Duration::from_millis(2500);

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) failpoint: Failpoint,
    pub(super) fault: Fault,
    /// Decides which hit of the failpoint it is.
    pub(super) chance: u64,
}

impl Case {
    fn hit(self) -> u64 {
        1 + self.chance % hits(self.failpoint.name)
    }
}

/// What has to be done so that a process comes to a failpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    /// Jobs alone.
    #[default]
    Jobs,
    /// A process dies before, with jobs under way.
    AfterADeath,
    /// It is asked to stop while jobs are under way.
    Drain,
    /// Cancelled jobs are deleted at once.
    Retention,
}

fn way(name: &str) -> Way {
    match name.split('.').next() {
        Some("rescue" | "leader") => Way::AfterADeath,
        Some("drain" | "release") => Way::Drain,
        Some("prune") => Way::Retention,
        _ if name.starts_with("session.open") => Way::AfterADeath,
        _ if name.starts_with("session.close") => Way::Drain,
        _ => Way::Jobs,
    }
}

/// Which hits of a place may be the one: those that come in every run.
fn hits(name: &str) -> u64 {
    match name {
        "run.begin" | "run.before" | "run.during" | "run.after" | "run.reported" | "command.running" => 8,
        "session.renew" | "session.renewed" => 4,
        "submit.received" | "submit.answer.before" | "enqueue.commit.before" | "enqueue.commit.after" => 3,
        "complete.commit.before" | "complete.commit.after" | "outcomes.answered" => 2,
        _ => 1,
    }
}

/// Plays a case to its end and judges it.
pub(super) fn play(case: Case) -> Row {
    let scene = Scene::new(case);
    let played = thread::scope(|scope| {
        let _closing = Closing(&scene.log);
        scope.spawn(|| scene.log.follow(|| scene.addresses.of(0)));
        scene.play(scope)
    });
    let mut row = played.unwrap_or_else(|problem| Row::failed(case, problem));
    row.problems.extend(scene.log.broken());
    if !row.problems.is_empty() {
        let log = fs::read_to_string(scene.folder.path().join("data.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(40).collect();
        println!("{case:?}: {:#?}\nthe end of its log, newest first:\n{}", row.problems, last.join("\n"));
    }
    row
}

/// Closes the log, whatever happens, so that nobody follows it for ever.
struct Closing<'l>(&'l Log);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Scene {
    case: Case,
    way: Way,
    folder: TempDir,
    addresses: Addresses,
    log: Log,
    parts: Vec<Vec<LoadJob>>,
    /// Processes that were started.
    lives: AtomicU64,
}

impl Scene {
    fn new(case: Case) -> Scene {
        Scene {
            case,
            way: way(case.failpoint.name),
            folder: TempDir::new().expect("a folder"),
            addresses: Addresses::default(),
            log: Log::default(),
            parts: load::load(3),
            lives: AtomicU64::new(0),
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn jobs(&self) -> impl Iterator<Item = LoadJob> {
        self.parts.iter().flatten().copied()
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = Uuid> {
        self.jobs().filter(move |job| job.kind == kind).map(|job| job.id)
    }

    fn start(&self, armed: bool) -> Node {
        self.lives.fetch_add(1, SeqCst);
        let lease = format!("rescuer.session_ttl={}ms", LEASE.as_millis());
        let mut settings = vec![
            lease.as_str(),
            "rescuer.heartbeat=200ms",
            "rescuer.interval=200ms",
            "retry.min=100ms",
            "retry.max=200ms",
            "scheduler.poll=200ms",
            "jobs.cancel_grace=200ms",
            "jobs.shutdown_grace=300ms",
            "queue_defaults.concurrency=16",
        ];
        if self.way == Way::Retention {
            settings.extend(["retention.cancelled=1ms", "retention.interval=100ms"]);
        }
        let data = self.folder().join("data");
        let mut arguments = vec!["--data".to_owned(), data.display().to_string()];
        arguments.extend(["--allow-program".to_owned(), "sh".to_owned()]);
        arguments.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
        let mut environment = Vec::new();
        if armed {
            let Case { failpoint, fault, .. } = self.case;
            let action = format!("{}={}@{}", failpoint.name, fault.word(), self.case.hit());
            environment.push(("CALLBOARD_FAILPOINTS".to_owned(), action));
            let log = self.folder().join("hits");
            environment.push(("CALLBOARD_FAILPOINT_LOG".to_owned(), log.display().to_string()));
        }
        Node::start(0, &self.addresses, &arguments, &environment, &data.with_extension("log"))
    }

    fn play<'s>(&'s self, scope: &'s thread::Scope<'s, '_>) -> Result<Row, String> {
        let mut node = self.start(self.way != Way::AfterADeath);
        let asker = scope.spawn(|| self.ask_for_everything());
        if self.way == Way::AfterADeath {
            self.under_way()?;
            node.kill();
            node = self.start(true);
        }
        if self.way == Way::Drain {
            self.under_way()?;
            node.signal(Signal::TERM);
        }
        node.struck(self.case.fault)?;
        let hits = fs::read_to_string(self.folder().join("hits")).unwrap_or_default();
        if hits.trim_end() != self.case.failpoint.name {
            return Err(format!("the failpoint was not hit: {hits:?}"));
        }
        let mut orphans = 0;
        match self.case.fault {
            Fault::Kill => {
                orphans += self.orphans_after(Instant::now());
                node = self.start(false);
            }
            Fault::Stop => {
                self.stay_away(&node)?;
                node.signal(Signal::CONT);
                if self.way == Way::Drain {
                    node.end()?;
                    node = self.start(false);
                }
            }
        }
        load::open_gate(self.folder());
        let asked = asker.join().map_err(|_| "whoever asked has panicked".to_owned())??;
        self.log.until("every job has ended", |events| self.all_have_ended(events).then_some(()))?;
        let address = node.serving()?;
        let mut row =
            verdict::judge(self.case, address, &self.log, &self.jobs().collect::<Vec<_>>(), self.folder())?;
        row.asked = asked;
        node.signal(Signal::TERM);
        let status = node.end()?;
        if !status.success() {
            row.problems.push(format!("its orderly stop ended with {status}"));
        }
        orphans += self.orphans_after(Instant::now());
        row.orphans = orphans;
        row.lives = self.lives.load(SeqCst);
        row.stale = node.log().matches("came too late").count() as u64;
        Ok(row)
    }

    /// Waits until everything is submitted, and what only ends when it is told to runs.
    fn under_way(&self) -> Result<(), String> {
        let jobs = self.jobs().count();
        self.log.until("jobs are under way", |events| {
            let created = events.iter().filter(|event| event.kind == "job.created").count() >= jobs;
            let mut gated = self.of(Kind::Gated);
            (created
                && gated.all(|id| events.iter().any(|event| event.job == id && event.kind == "job.executed")))
            .then_some(())
        })
    }

    /// Passes the time for which a stopped process is away. Nobody else gets at its file meanwhile.
    fn stay_away(&self, node: &Node) -> Result<(), String> {
        let back = Instant::now() + STOPPED;
        let addresses = Addresses::default();
        let data = self.folder().join("data").display().to_string();
        let log = self.folder().join("other.log");
        let mut other = Node::start(0, &addresses, &["--data".to_owned(), data], &[], &log);
        let status = other.end()?;
        if status.success() || !other.log().contains(&format!("process {}", node.id())) {
            return Err(format!("another process on the file of a stopped one: {status}: {}", other.log()));
        }
        // The fault is this very time.
        thread::sleep(back.saturating_duration_since(Instant::now()));
        Ok(())
    }

    /// Processes of jobs that are left a second after the server's death.
    fn orphans_after(&self, death: Instant) -> usize {
        loop {
            let left = processes_of(self.folder());
            if left.is_empty() || death.elapsed() > Duration::from_secs(1) {
                return left.len();
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn all_have_ended(&self, events: &[Event]) -> bool {
        let ended = |id| {
            let mut events = events.iter().filter(|event| event.job == id);
            events.any(|event| matches!(&*event.kind, "job.completed" | "job.failed"))
        };
        let created = events.iter().filter(|event| event.kind == "job.created").map(|event| event.job);
        created.chain(self.jobs().map(|job| job.id)).all(ended)
    }

    /// Submits, cancels and runs again, as somebody would who asks again until there is an answer. How many requests
    /// that took which were not answered.
    fn ask_for_everything(&self) -> Result<u64, String> {
        let mut unanswered = 0;
        for part in &self.parts {
            let request = load::request(part, self.folder());
            self.insist("/api/v1/jobs/batch", &request, &mut unanswered, |answer| {
                answer.status == 200 && answer.json()["refused"] == 0
            })?;
        }
        for id in self.of(Kind::Endless) {
            self.has_happened(id, "job.executed")?;
            // It may have ended by now, of a cancellation that was not answered.
            let path = format!("/api/v1/jobs/{id}/cancel");
            self.insist(&path, "{}", &mut unanswered, |answer| matches!(answer.status, 200 | 404 | 409))?;
        }
        let dead = self.of(Kind::Dead).next().ok_or("no dead job")?;
        self.has_happened(dead, "job.failed")?;
        // Not asked again: each time that is answered makes a new job.
        let address = self.addresses.of(0);
        let path = format!("/api/v1/jobs/{dead}/retry");
        if address.and_then(|address| ask(address, "POST", &path, "{}")).is_none() {
            unanswered += 1;
        }
        Ok(unanswered)
    }

    fn has_happened(&self, id: Uuid, kind: &str) -> Result<(), String> {
        self.log.until(&format!("{kind} of {id}"), |events| {
            events.iter().any(|event| event.job == id && event.kind == kind).then_some(())
        })
    }

    /// Asks until there is an answer that will do.
    fn insist(
        &self,
        path: &str,
        body: &str,
        unanswered: &mut u64,
        mut will_do: impl FnMut(&Answer) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while Instant::now() < deadline {
            match self.addresses.of(0).map(|address| ask(address, "POST", path, body)) {
                Some(Some(answer)) if will_do(&answer) => return Ok(()),
                Some(Some(answer)) => last = Value::String(format!("{answer:?}")),
                Some(None) => *unanswered += 1,
                None => {}
            }
            thread::park_timeout(Duration::from_millis(20));
        }
        Err(format!("{path} was not answered as it should be; last: {last}"))
    }
}
