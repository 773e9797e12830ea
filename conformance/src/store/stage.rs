//! A store of one's own for one test, and what must be true of every store at every time.

use std::{
    collections::BTreeMap,
    ops::Deref,
    panic::{AssertUnwindSafe, resume_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::edges::store::{
    Leadership, Store,
    record::{JobFilter, LoggedEvent},
};
use callboard_contracts::{EventType, JobState, api::LogCursor};
use futures_util::FutureExt;
use uuid::Uuid;

use super::{
    backend::{Backend, Releases},
    client::Client,
    words::DAY,
};

/// Where the clock of a test begins, in microseconds.
const BEGIN: i64 = 1_800_000_000_000_000;
/// A test that takes as long hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// A store on a backend, with a clock that stands still until it is told to go.
pub struct Stage<B> {
    /// `None` only while it is being opened again.
    client: Option<Client>,
    backend: B,
    clock: Arc<AtomicI64>,
    /// The session that leads, so that the test may do what is a leader's.
    pub leading: Uuid,
}

impl<B> Deref for Stage<B> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("it is open")
    }
}

/// Runs a test on a store of its own, looks whether all is in order afterwards, and takes the store away.
pub async fn run<B: Backend>(test: impl AsyncFnOnce(&mut Stage<B>)) {
    let clock = Arc::new(AtomicI64::new(BEGIN));
    run_on(B::create(clock.clone()).await, clock, test).await;
}

/// As [`run`], on what a release left in this folder.
pub async fn run_on_release<B: Releases>(left: &Path, test: impl AsyncFnOnce(&mut Stage<B>)) {
    let clock = Arc::new(AtomicI64::new(BEGIN));
    run_on(B::restore(left, clock.clone()).await, clock, test).await;
}

/// Carries a case out.
pub fn start(case: impl Future<Output = ()>) {
    crate::block_on(case);
}

async fn run_on<B: Backend>(backend: B, clock: Arc<AtomicI64>, test: impl AsyncFnOnce(&mut Stage<B>)) {
    let mut stage = Stage::new(backend, clock).await;
    let tested = async {
        test(&mut stage).await;
        stage.check().await;
    };
    let tested = AssertUnwindSafe(tokio::time::timeout(PATIENCE, tested)).catch_unwind().await;
    stage.remove().await;
    match tested {
        Ok(in_time) => in_time.expect("it ends"),
        Err(panic) => resume_unwind(panic),
    }
}

impl<B: Backend> Stage<B> {
    async fn new(backend: B, clock: Arc<AtomicI64>) -> Self {
        let client = Client { store: backend.open("node").await, leader: 0 };
        let leading = client.session().await;
        let client = lead(client.store, leading).await;
        Stage { client: Some(client), backend, clock, leading }
    }

    async fn open(&mut self) {
        let store = self.backend.open("node").await;
        self.client = Some(lead(store, self.leading).await);
    }

    async fn remove(mut self) {
        self.client = None;
        self.backend.remove().await;
    }

    /// The clock goes on.
    pub fn pass(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_micros()).unwrap(), SeqCst);
    }

    /// Closes the store in good order and opens it again.
    pub async fn reopen(&mut self) {
        self.client = None;
        self.open().await;
    }

    /// Lets the process die and another one open what it left.
    pub async fn kill(&mut self) {
        let client = self.client.take().expect("it is open");
        self.backend.kill(client.store).await;
        self.open().await;
    }

    /// The store as another node has it: through a process's own connections where the backend allows that.
    pub async fn another(&self, node: &str) -> Client {
        let store = if B::SHARED { self.backend.open(node).await } else { self.store.clone() };
        Client { store, leader: self.leader }
    }

    /// Everything that is committed has its place in the log, and this store knows of it.
    pub async fn settle(&self) {
        self.backend.settle(&*self.store).await;
    }

    /// The log from its beginning.
    pub async fn log(&self) -> Vec<LoggedEvent> {
        self.settle().await;
        self.placed().await
    }

    /// What has happened to a job, in the order of the log.
    pub async fn way(&self, job: Uuid) -> Vec<EventType> {
        let events = self.log().await.into_iter().filter(|event| job_of(event) == job);
        events.map(|event| event.event.event_type).collect()
    }

    /// What must be true at every time.
    pub async fn check(&self) {
        let log = self.log().await;
        let complete = self.events_after(LogCursor::default(), 1).await.oldest.position == 1;
        let from = log.first().map_or(1, |event| event.cursor.position);
        let positions: Vec<u64> = log.iter().map(|event| event.cursor.position).collect();
        assert_eq!(positions, (from..from + log.len() as u64).collect::<Vec<_>>(), "the log has no gaps");
        if let Some(last) = log.last() {
            assert_eq!(*self.store.committed().borrow(), last.cursor, "the newest place is known");
        }
        self.check_ways(&log, complete).await;
        self.check_totals(&log, complete).await;
    }

    /// Each job has gone a way that a job can go, and it led to where the job is.
    async fn check_ways(&self, log: &[LoggedEvent], complete: bool) {
        let mut ways: BTreeMap<Uuid, Vec<EventType>> = BTreeMap::new();
        let mut ids = std::collections::BTreeSet::new();
        for event in log {
            assert!(ids.insert(event.event.event_id), "an event is told twice: {event:?}");
            ways.entry(job_of(event)).or_default().push(event.event.event_type);
        }
        let jobs = self.list(JobFilter::default()).await;
        let states: BTreeMap<Uuid, JobState> = jobs.iter().map(|job| (job.id, job.state)).collect();
        assert_eq!(states.len(), jobs.len(), "a job is listed twice");
        for (id, way) in &ways {
            check_way(way, states.get(id).copied(), complete);
        }
        if complete {
            let silent: Vec<_> = states.keys().filter(|id| !ways.contains_key(id)).collect();
            assert!(silent.is_empty(), "nothing is told of {silent:?}");
        }
    }

    /// The totals are what a recount gives.
    async fn check_totals(&self, log: &[LoggedEvent], complete: bool) {
        let mut counted: BTreeMap<String, [u64; 8]> = BTreeMap::new();
        for job in self.list(JobFilter::default()).await {
            counted.entry(job.queue).or_default()[job.state as usize] += 1;
        }
        let mut ended: BTreeMap<&str, u64> = BTreeMap::new();
        for event in log {
            if matches!(event.event.event_type, EventType::Completed | EventType::Failed) {
                *ended.entry(&event.queue).or_default() += 1;
            }
        }
        let queues = self.store.queues().await.unwrap();
        let (mut completed, mut failed) = (0, 0);
        for (settings, totals) in &queues {
            assert_eq!(settings.name, totals.queue);
            let counted = counted.remove(&totals.queue).unwrap_or_default();
            for state in JobState::ALL {
                let (kept, found) = (totals.count(state), counted[state as usize]);
                let agree = if state.is_final() { kept >= found } else { kept == found };
                assert!(agree, "{}: {kept} {state} by the totals, {found} by a recount", totals.queue);
            }
            let finals = [JobState::Completed, JobState::Cancelled, JobState::Discarded];
            let all: u64 = finals.into_iter().map(|state| totals.count(state)).sum();
            let told = ended.remove(&*totals.queue).unwrap_or_default();
            assert!(
                if complete { all == told } else { all >= told },
                "{}: {all} ended, {told} told",
                totals.queue
            );
            completed += totals.count(JobState::Completed);
            failed += totals.count(JobState::Cancelled) + totals.count(JobState::Discarded);
        }
        assert!(counted.is_empty() && ended.is_empty(), "queues without totals: {counted:?} {ended:?}");
        let totals = self.store.totals().await.unwrap();
        assert_eq!((totals.completed_jobs, totals.failed_jobs), (completed, failed));
        assert_eq!(totals.total_jobs, completed + failed);
        assert_eq!(totals.last_event_time.is_some(), completed + failed > 0);
        // Everything has its place.
        let (at, place) = self.store.totals_at().await.unwrap();
        assert_eq!(at, totals);
        if let Some(last) = log.last() {
            assert_eq!(place, last.cursor);
        }
    }
}

/// Takes the leadership for longer than any test lasts.
async fn lead(store: Arc<dyn Store>, session: Uuid) -> Client {
    let ttl = 10_000 * DAY;
    match store.lead(session, ttl).await.unwrap() {
        Leadership::Leader { token } => Client { store, leader: token },
        other => panic!("{other:?}"),
    }
}

impl<B: Releases> Stage<B> {
    /// See [`Releases::schema`].
    pub async fn schema(&self) -> Vec<String> {
        self.backend.schema().await
    }
}

/// The job that an event is about.
pub fn job_of(event: &LoggedEvent) -> Uuid {
    event.event.payload["id"].as_str().unwrap().parse().unwrap()
}

/// `state`: the job's state now; `None`: it is deleted. `complete`: the way is there from its beginning.
fn check_way(way: &[EventType], state: Option<JobState>, complete: bool) {
    let place = |event: EventType| way.iter().position(|told| *told == event);
    for event in EventType::ALL {
        let times = way.iter().filter(|told| **told == event).count();
        assert!(times <= 1 || !event.is_original(), "{event} is told {times} times: {way:?}");
    }
    for (number, event) in way.iter().enumerate() {
        let before = |other: EventType| !complete || place(other).is_some_and(|place| place < number);
        let fits = match event {
            EventType::Created => number == 0,
            EventType::Validated | EventType::MadeAvailable | EventType::Signalled => {
                before(EventType::Created)
            }
            EventType::AttemptStarted => before(EventType::Executed),
            EventType::Failed => before(EventType::Created) && number + 1 == way.len(),
            EventType::Completed => before(EventType::Validated) && number + 1 == way.len(),
            _ => before(EventType::Validated),
        };
        assert!(fits, "{event} has no place as number {number} of {way:?}");
    }
    let last = *way.last().expect("a way has an event");
    let ended = matches!(last, EventType::Completed | EventType::Failed);
    match state {
        None => assert!(ended, "a job that has not ended was deleted: {way:?}"),
        Some(JobState::Completed) => assert_eq!(last, EventType::Completed, "{way:?}"),
        Some(JobState::Cancelled | JobState::Discarded) => assert_eq!(last, EventType::Failed, "{way:?}"),
        Some(state) => assert!(!ended, "{state} after {way:?}"),
    }
}
