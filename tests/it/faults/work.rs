//! What keeps a fleet busy while it is in trouble, and what has become of it.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    kill_matrix::{
        log::Log,
        node::{Addresses, ask},
    },
    server::PATIENCE,
};

/// The load of a server: this often some jobs, and not as fast as it goes.
const EVERY: Duration = Duration::from_millis(100);
/// Of these some run on every worker at any time.
const LONG: Duration = Duration::from_millis(700);

/// Jobs of a fleet whose first nodes are servers.
pub(crate) struct Work {
    pub(crate) addresses: Addresses,
    pub(crate) log: Log,
    folder: TempDir,
    servers: usize,
    /// Every job that was submitted, or is about to be.
    jobs: Mutex<Vec<Uuid>>,
    /// Those of which a server has said that it has them.
    accepted: Mutex<Vec<Uuid>>,
    /// Nobody submits more for the moment.
    rests: AtomicBool,
    over: AtomicBool,
}

impl Work {
    pub(crate) fn new(servers: usize) -> Work {
        Work {
            addresses: Addresses::default(),
            log: Log::default(),
            folder: TempDir::new().expect("a folder"),
            servers,
            jobs: Mutex::default(),
            accepted: Mutex::default(),
            rests: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Does something while the log is read from whichever server answers.
    pub(crate) fn while_followed<'w, T>(
        &'w self,
        act: impl for<'s> FnOnce(&'s thread::Scope<'s, 'w>) -> T,
    ) -> T {
        thread::scope(|scope| {
            let _over = Over(self);
            let mut turn = 0;
            scope.spawn(move || {
                self.log.follow(|| {
                    turn += 1;
                    self.addresses.of(turn % self.servers)
                });
            });
            act(scope)
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log_of(&self, number: usize) -> PathBuf {
        self.folder().join(format!("{number}.log"))
    }

    /// What a node has logged, in all its lives.
    pub(crate) fn said_by(&self, number: usize) -> String {
        fs::read_to_string(self.log_of(number)).unwrap_or_default()
    }

    pub(crate) fn jobs(&self) -> Vec<Uuid> {
        self.jobs.lock().expect("no panic").clone()
    }

    /// Takes up a job that is submitted by another way.
    pub(crate) fn add(&self, job: Uuid) {
        self.jobs.lock().expect("no panic").push(job);
    }

    /// Whether nobody is to submit jobs for the moment.
    pub(crate) fn rests(&self) -> bool {
        self.rests.load(SeqCst)
    }

    pub(crate) fn rest(&self, rests: bool) {
        self.rests.store(rests, SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, SeqCst);
    }

    /// Submits these through one server, again and again until they are accepted.
    pub(crate) fn submit(&self, number: usize, jobs: &[Value]) -> Result<(), String> {
        self.jobs.lock().expect("no panic").extend(ids(jobs));
        let body = json!({ "jobs": jobs }).to_string();
        let deadline = Instant::now() + 2 * PATIENCE;
        while Instant::now() < deadline {
            let answer = self
                .addresses
                .of(number)
                .and_then(|address| ask(address, "POST", "/api/v1/jobs/batch", &body));
            if answer.is_some_and(|answer| answer.status == 200 && answer.json()["refused"] == 0) {
                self.accepted.lock().expect("no panic").extend(ids(jobs));
                return Ok(());
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        Err(format!("server {number} has not accepted jobs within {:?}", 2 * PATIENCE))
    }

    /// Keeps one server busy until it is over.
    pub(crate) fn keep_busy(&self, number: usize) -> Result<(), String> {
        while !self.is_over() {
            if !self.rests() {
                let (short, long) = (sleep(Duration::from_millis(30)), sleep(LONG));
                self.submit(number, &[noop(), noop(), short, long, program(self.folder())])?;
            }
            thread::park_timeout(EVERY);
        }
        Ok(())
    }

    /// Waits until jobs that are submitted now through this server have ended.
    pub(crate) fn flows_through(&self, number: usize) -> Result<(), String> {
        let fresh = [noop(), program(self.folder())];
        self.submit(number, &fresh)?;
        self.ended(&ids(&fresh))
    }

    pub(crate) fn ended(&self, jobs: &[Uuid]) -> Result<(), String> {
        self.log.until_completed(jobs)
    }

    /// The jobs that servers have, and that have not ended yet.
    pub(crate) fn under_way(&self) -> Vec<Uuid> {
        let completed: HashSet<Uuid> = self.log.completed();
        let accepted = self.accepted.lock().expect("no panic");
        accepted.iter().filter(|job| !completed.contains(*job)).copied().collect()
    }
}

/// Ends what goes on beside, whatever happens.
struct Over<'w>(&'w Work);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.end();
        self.0.log.close();
    }
}

fn ids(jobs: &[Value]) -> Vec<Uuid> {
    jobs.iter().filter_map(|job| Uuid::try_parse(job["id"].as_str()?).ok()).collect()
}

pub(crate) fn noop() -> Value {
    json!({ "id": Uuid::now_v7(), "type": "noop" })
}

pub(crate) fn sleep(time: Duration) -> Value {
    let ms = u64::try_from(time.as_millis()).expect("not so long");
    json!({ "id": Uuid::now_v7(), "type": "sleep", "payload": { "ms": ms } })
}

/// Leaves a line that nobody can take back.
pub(crate) fn program(folder: &Path) -> Value {
    let script = r#"echo "$CALLBOARD_JOB_ID $CALLBOARD_ATTEMPT" >> "$1/effects""#;
    json!({
        "id": Uuid::now_v7(), "type": "command",
        "payload": { "program": "sh", "args": ["-c", script, "sh", folder] },
    })
}
