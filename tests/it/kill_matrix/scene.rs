//! Where a case is played: its processes, its jobs, its log.

use std::{
    collections::HashSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use callboard_testsupport::Database;
use rustix::process::Signal;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    load::{self, Kind, LoadJob},
    log::{Event, Log},
    node::{Addresses, Node},
    play::{Backend, Case, Servers, Way},
};
use crate::{checksums::processes_of, server::callboard};

/// The session's time to live in all cases, and how long a process is stopped: past it.
const LEASE: Duration = Duration::from_millis(1500);
pub(super) const STOPPED: Duration = Duration::from_millis(2500);

pub(super) struct Scene {
    pub(super) case: Case,
    pub(super) addresses: Addresses,
    pub(super) log: Log,
    /// The fault has happened.
    pub(super) struck: AtomicBool,
    folder: TempDir,
    database: Option<Database>,
    jobs: Mutex<Vec<LoadJob>>,
    lives: AtomicU64,
}

impl Scene {
    pub(super) fn new(case: Case, servers: &Servers) -> Scene {
        let database = (case.backend == Backend::Postgres).then(|| servers.postgres().database());
        Scene {
            case,
            addresses: Addresses::default(),
            log: Log::default(),
            struck: AtomicBool::new(false),
            folder: TempDir::new().expect("a folder"),
            database,
            jobs: Mutex::default(),
            lives: AtomicU64::new(0),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data_of(&self, number: usize) -> PathBuf {
        self.folder().join(format!("data-{number}"))
    }

    pub(super) fn log_of(&self, number: usize) -> PathBuf {
        self.folder().join(format!("{number}.log"))
    }

    /// How many processes were started.
    pub(super) fn lives(&self) -> u64 {
        self.lives.load(SeqCst)
    }

    /// A process that is not the victim, if there is one.
    pub(super) fn bystander(&self) -> Option<SocketAddr> {
        [1, 2, 0].into_iter().find_map(|number| self.addresses.of(number))
    }

    /// All jobs that were submitted, or are about to be.
    pub(super) fn jobs(&self) -> Vec<LoadJob> {
        self.jobs.lock().expect("no panic").clone()
    }

    /// Some more jobs, to be submitted by whoever asks for them.
    pub(super) fn more_jobs(&self) -> Vec<LoadJob> {
        let part = load::part();
        self.jobs.lock().expect("no panic").extend(&part);
        part
    }

    /// Starts a process. The armed one is the victim.
    pub(super) fn start(&self, number: usize, armed: bool) -> Node {
        self.lives.fetch_add(1, SeqCst);
        let lease = format!("rescuer.session_ttl={}ms", LEASE.as_millis());
        let node = format!("system.node_name=node-{number}");
        let mut settings = vec![
            lease.as_str(),
            node.as_str(),
            "rescuer.heartbeat=200ms",
            "rescuer.interval=200ms",
            "retry.min=100ms",
            "retry.max=200ms",
            "scheduler.poll=200ms",
            "jobs.cancel_grace=200ms",
            "jobs.shutdown_grace=300ms",
            "queue_defaults.concurrency=16",
        ];
        if self.case.way() == Way::Retention {
            settings.extend(["retention.cancelled=1ms", "retention.interval=100ms"]);
        }
        let mut command = callboard();
        if let Some(database) = &self.database {
            settings.extend([
                "store.backend=postgres",
                "store.connect_timeout=1s",
                "store.busy_timeout=1s",
                "store.statement_timeout=2s",
                "store.write_timeout=3s",
            ]);
            command.env("CALLBOARD__STORE__URL", database.url());
        }
        command.args(["serve", "--allow-program", "sh", "--data"]).arg(self.data_of(number));
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        if armed {
            let Case { failpoint, fault, .. } = self.case;
            let action = format!("{}={}@{}", failpoint.name, fault.word(), self.case.hit());
            command.env("CALLBOARD_FAILPOINTS", action);
            command.env("CALLBOARD_FAILPOINT_LOG", self.folder().join("hits"));
        }
        Node::start(number, &self.addresses, command, &self.log_of(number))
    }

    /// Waits until the victim was killed or stopped, where it should be.
    pub(super) fn strike(&self, victim: &mut Node) -> Result<(), String> {
        victim.struck(self.case.fault)?;
        self.struck.store(true, SeqCst);
        let hits = fs::read_to_string(self.folder().join("hits")).unwrap_or_default();
        if hits.trim_end() == self.case.failpoint.name {
            Ok(())
        } else {
            Err(format!("the failpoint was not hit: {hits:?}"))
        }
    }

    /// Waits until the first jobs are submitted, and those of them run that only end when they are told to.
    pub(super) fn under_way(&self) -> Result<(), String> {
        self.log.until("jobs are under way", |events| {
            let jobs = self.jobs();
            let happened = |job: &LoadJob, kind: &str| {
                events.iter().any(|event| event.job == job.id && event.kind == kind)
            };
            let begun = |job: &LoadJob| match job.kind {
                Kind::Gated => happened(job, "job.executed"),
                _ => happened(job, "job.created"),
            };
            (!jobs.is_empty() && jobs.iter().all(begun)).then_some(())
        })
    }

    pub(super) fn until_all_have_ended(&self) -> Result<(), String> {
        self.log.until("every job has ended", |events| self.all_have_ended(events).then_some(()))
    }

    pub(super) fn all_have_ended(&self, events: &[Event]) -> bool {
        let ends: HashSet<Uuid> = events
            .iter()
            .filter(|event| matches!(&*event.kind, "job.completed" | "job.failed"))
            .map(|event| event.job)
            .collect();
        let created = events.iter().filter(|event| event.kind == "job.created").map(|event| event.job);
        created.chain(self.jobs().iter().map(|job| job.id)).all(|id| ends.contains(&id))
    }

    /// Processes of a node's jobs that are left a second after its death.
    pub(super) fn orphans_of(&self, number: usize, death: Instant) -> usize {
        loop {
            let left = processes_of(&self.data_of(number));
            if left.is_empty() || death.elapsed() > Duration::from_secs(1) {
                return left.len();
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Asks a process to stop. What is not as it should be, and the processes of jobs that are left.
    pub(super) fn stop(&self, number: usize, node: &mut Node) -> Result<(Vec<String>, usize), String> {
        node.signal(Signal::TERM);
        let status = node.end()?;
        let problem = format!("the orderly stop of process {number} ended with {status}");
        let problems = if status.success() { Vec::new() } else { vec![problem] };
        Ok((problems, self.orphans_of(number, Instant::now())))
    }

    /// Writes that came after their lease, as the processes have logged them.
    pub(super) fn stale_writes(&self) -> u64 {
        let logs = (0..3).map(|number| fs::read_to_string(self.log_of(number)).unwrap_or_default());
        logs.map(|log| log.matches("came too late").count() as u64).sum()
    }
}
