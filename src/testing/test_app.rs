//! [`TestApp`]: an app whose jobs run when a test says so.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use callboard_actors::{
    edges::store::{
        Clock, SqliteOptions, SqliteStore, Store,
        record::{JobFilter, JobRecord, LoggedEvent},
    },
    jobs::{Job, faults::JobFaults},
    roles::request::PauseQueue,
};
use callboard_contracts::{JobState, Timestamp, api::LogCursor};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{Drained, Enqueued};
use crate::{
    app::{ASK_LIMIT, App, AppBuilder},
    backends::Sharing,
};

/// Where the clock of a test begins: 2027-01-15T08:00:00Z, in microseconds.
const BEGIN: i64 = 1_800_000_000_000_000;
/// How often an app on a clock that is set by hand looks whether it was.
const POLL: Duration = Duration::from_millis(5);
/// How long a test waits for its jobs, by the clock on the wall.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing happens before what is still available counts as held back, by the clock on the wall.
const QUIET: Duration = Duration::from_millis(500);
/// Jobs or events that are read at a time.
const PAGE: u32 = 1000;

/// An app on a store of its own and on a clock that stands still until the test [moves](Self::advance) it. Jobs are accepted and stored, and
/// run when the test [lets them](Self::drain). It is the [`App`] itself in everything else.
///
/// Only what the store decides goes by that clock: when jobs are due, retried, deleted. The timeout of a running job and the time limits of
/// requests go by the clock on the wall.
pub struct TestApp {
    app: App,
    store: Arc<dyn Store>,
    clock: Arc<AtomicI64>,
    faults: JobFaults,
    _folder: TempDir,
}

impl Deref for TestApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

impl TestApp {
    /// Starts an app whose jobs wait to be [drained](Self::drain). Its store, its data folder and the times of its scheduler are the test's
    /// own, whatever the builder says of them.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(app: AppBuilder) -> impl Future<Output = TestApp> {
        let at = std::panic::Location::caller();
        // A builder is large, and whoever awaits the start would have it within a future of his own.
        let launched = Box::pin(Self::launch(app));
        async move {
            let app = launched.await.unwrap_or_else(|error| panic!("{at}: the app does not start: {error}"));
            app.pause(true).await;
            app
        }
    }

    /// Starts an app that runs each job while it is submitted: [`App::submit`] and its like return when the job has come to the end of
    /// an attempt, so that the code under test finds done what it has submitted. Jobs for later wait until the test has moved the clock and
    /// [drains](Self::drain).
    ///
    /// A job that submits others waits for them in the same way; so a queue must have room for both at once.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start_inline(app: AppBuilder) -> impl Future<Output = TestApp> {
        let at = std::panic::Location::caller();
        let launched = Box::pin(Self::launch(app));
        async move {
            let mut app =
                launched.await.unwrap_or_else(|error| panic!("{at}: the app does not start: {error}"));
            app.app.run_inline();
            app
        }
    }

    async fn launch(app: AppBuilder) -> Result<Self, Box<dyn std::error::Error>> {
        let folder = TempDir::new()?;
        let clock = Arc::new(AtomicI64::new(BEGIN));
        let mut options = SqliteOptions::new(folder.path().join("test.db"));
        options.clock = Clock::Manual(clock.clone());
        options.min_free_space = 0;
        let store = SqliteStore::open(options)? as Arc<dyn Store>;
        let (faults, opened) = (JobFaults::default(), store.clone());
        let entries = app.cron.len();
        let app = app
            .data_dir(folder.path().join("data"))
            .configure(|settings| {
                settings.scheduler.poll = POLL;
                // What crashes here the test wants to crash, and it pauses the queues itself.
                settings.queues.values_mut().for_each(|queue| queue.pause_after_crashes = 0);
            })
            .state(faults.clone())
            .store("the store of the test", Sharing::OneNode, move || Ok(opened.clone()))
            .start()
            .await?;
        // A queue that the store does not know yet cannot be paused.
        while store.queues().await?.is_empty() {
            tokio::time::sleep(POLL).await;
        }
        // Only then are their times those after the beginning of the test.
        while store.cron().await?.len() < entries {
            tokio::time::sleep(POLL).await;
        }
        Ok(TestApp { app, store, clock, faults, _folder: folder })
    }

    /// The time by the app's clock.
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// Moves the app's clock. What falls due by that runs at the next [`drain`](Self::drain).
    pub fn advance(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4), Relaxed);
    }

    /// What goes wrong with jobs, by script.
    pub fn faults(&self) -> &JobFaults {
        &self.faults
    }

    /// The store itself, for what the app does not tell.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Lets all jobs run that may run now, also those that they submit, until there is none left. What fails and is to be tried again later
    /// waits for the clock.
    ///
    /// # Panics
    /// When jobs still run after a minute; the text says which.
    pub async fn drain(&self) -> Drained {
        let mut after = self.place().await;
        self.pause(false).await;
        let waiting = timeout(PATIENCE, self.quiet()).await;
        let Ok(waiting) = waiting else {
            let running = self.jobs(&[JobState::Executing]).await;
            let running: Vec<_> = running.iter().map(|job| (job.id, &job.job_type)).collect();
            panic!("jobs still run after {PATIENCE:?}: {running:?}");
        };
        if !self.app.runs_inline() {
            self.pause(true).await;
        }
        let mut events: Vec<LoggedEvent> = Vec::new();
        loop {
            let page = self.store.events_after(after, None, PAGE).await.expect("the store of the test works");
            let Some(last) = page.events.last() else { break };
            after = last.cursor;
            events.extend(page.events);
        }
        let states: BTreeMap<_, _> = self.jobs(&[]).await.iter().map(|job| (job.id, job.state)).collect();
        Drained { waiting, ..Drained::of(&events, &states) }
    }

    /// The newest place in the log.
    async fn place(&self) -> LogCursor {
        self.store
            .events_after(LogCursor::default(), None, 1)
            .await
            .expect("the store of the test works")
            .newest
    }

    /// Waits until no job runs or may run, and gives those that are held back.
    async fn quiet(&self) -> Vec<uuid::Uuid> {
        let mut committed = self.store.committed();
        loop {
            committed.mark_unchanged();
            let open = [JobState::Available, JobState::Executing, JobState::Scheduled, JobState::Retryable];
            let now = self.now();
            let due = |job: &JobRecord| match job.state {
                JobState::Scheduled | JobState::Retryable => job.scheduled_at <= now,
                _ => true,
            };
            let left: Vec<JobRecord> = self.jobs(&open).await.into_iter().filter(due).collect();
            if left.is_empty() && !self.others_are_at_work().await {
                return Vec::new();
            }
            let changed = timeout(QUIET, committed.changed()).await.is_ok();
            // Workflows whose steps wait for the clock are open without anybody being at work.
            if !changed && left.iter().all(|job| job.state == JobState::Available) {
                return left.into_iter().rev().map(|job| job.id).collect();
            }
        }
    }

    /// Whether those who store jobs and let them go, the cron table and workflows, may be about to.
    async fn others_are_at_work(&self) -> bool {
        let due = self.store.cron_due(1).await.expect("the store of the test works");
        !due.entries.is_empty() || self.store.has_open_workflows().await.expect("the store of the test works")
    }

    /// The jobs in these states, newest first; none: in any.
    async fn jobs(&self, states: &[JobState]) -> Vec<JobRecord> {
        let mut all: Vec<JobRecord> = Vec::new();
        loop {
            let before = all.last().map(|job| job.sequence);
            let filter = JobFilter { states: states.to_vec(), before, ..JobFilter::default() };
            let page = self.store.jobs(filter, PAGE).await.expect("the store of the test works");
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return all;
            }
        }
    }

    /// Lets the jobs of all queues wait, or run.
    async fn pause(&self, paused: bool) {
        let queues = self.store.queues().await.expect("the store of the test works");
        for (queue, _) in queues {
            let request = PauseQueue { queue: queue.name.clone(), paused, reason: None };
            let answer = self.app.handles.gateway.ask_within(ASK_LIMIT, request).await;
            answer.expect("the gateway answers").expect("the queue is known");
        }
    }

    /// The jobs of this type that have not come to their end, oldest first.
    ///
    /// # Panics
    /// When the payload of one cannot be read as this type.
    pub async fn enqueued<J: Job>(&self) -> Vec<Enqueued<J>> {
        let open = JobState::ALL.into_iter().filter(|state| !state.is_final()).collect::<Vec<_>>();
        let mut enqueued = Vec::new();
        for found in self.jobs(&open).await.into_iter().rev().filter(|job| job.job_type == J::TYPE) {
            let job = self.store.job(found.id).await.expect("the store of the test works");
            let Some(job) = job else { continue };
            let JobRecord { id, queue, state, payload, priority, scheduled_at, tags, partition_key, .. } =
                job.job;
            let payload = self.app.handles.open_payload(J::TYPE, &payload).unwrap_or(payload);
            let job = serde_json::from_str(&payload)
                .unwrap_or_else(|error| panic!("the payload of {id} is no {}: {error}: {payload}", J::TYPE));
            enqueued.push(Enqueued { id, job, queue, state, priority, scheduled_at, tags, partition_key });
        }
        enqueued
    }

    /// The one job of this type that has not come to its end and is like this.
    ///
    /// # Panics
    /// When there is none, or more than one; the text says which jobs of the type there are.
    #[track_caller]
    pub fn expect_enqueued<J: Job + Debug>(
        &self,
        like: impl Fn(&J) -> bool,
    ) -> impl Future<Output = Enqueued<J>> {
        let at = std::panic::Location::caller();
        async move {
            let (mut found, others): (Vec<_>, Vec<_>) =
                self.enqueued::<J>().await.into_iter().partition(|enqueued| like(&enqueued.job));
            match found.pop() {
                Some(one) if found.is_empty() => one,
                Some(one) => panic!("{at}: more than one {} is like this: {one:?}, {found:?}", J::TYPE),
                None => panic!("{at}: no {} is like this; there are: {others:?}", J::TYPE),
            }
        }
    }

    /// That no job of this type waits or runs.
    ///
    /// # Panics
    /// When one does; the text says which.
    #[track_caller]
    pub fn expect_none_enqueued<J: Job + Debug>(&self) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let found = self.enqueued::<J>().await;
            assert!(found.is_empty(), "{at}: there are jobs of type {}: {found:?}", J::TYPE);
        }
    }
}
