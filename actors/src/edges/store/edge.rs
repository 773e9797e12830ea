//! [`StoreEdge`]: the actor that owns the store's backend.
//!
//! Writes that gather while as many batches are under way as the backend takes go out together as the next one. An outage is a state of this actor,
//! posted on the board of conditions; it goes on trying with growing pauses, and every caller hears at once why nothing
//! can be done.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_contracts::api::LogCursor;
use callboard_supervisors::{
    Actor, ChildSpec, Context, Later, MailboxSpec, Placement, PlainHandler, StartError,
};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        oneshot, watch,
    },
    time::timeout,
};

use super::{
    Operation, OperationResult, Store, StoreError, StoreHandle, Wake,
    handle::{Link, Write},
    numbers::StoreNumbers,
};
use crate::roles::condition::{Condition, Conditions};

/// The edge's place on the board of conditions.
const PATH: &str = "edges/store";
/// The first and the longest pause between two tries to open the store, or to see whether it works again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What callers get on top of the time that a write may take, so that they hear the store's own word.
const MARGIN: Duration = Duration::from_secs(1);
/// Words of other nodes that a slow reader may leave waiting; one that falls behind is told that it lost some.
const WAKES: usize = 1024;

/// Opens the backend. Called on a thread that may block.
pub type OpenStore = Arc<dyn Fn() -> Result<Arc<dyn Store>, StoreError> + Send + Sync>;

/// How the edge is set up.
#[derive(Clone)]
pub struct StoreEdgeArgs {
    /// Opens the backend.
    pub open: OpenStore,
    /// Where it says how it does.
    pub conditions: Conditions,
    /// Writes in one transaction at most.
    pub batch_max: usize,
    /// Writes that may wait; more are refused.
    pub queue_max: usize,
    /// How long a transaction may take.
    pub write_timeout: Duration,
}

/// What [`StoreEdge::spec`] gives the actor.
#[derive(Clone)]
pub struct Wiring {
    args: StoreEdgeArgs,
    link: Arc<Link>,
}

struct Waiting {
    operations: Vec<Operation>,
    answer: oneshot::Sender<Result<Vec<OperationResult>, StoreError>>,
}

/// The actor that owns the store's backend.
pub struct StoreEdge {
    args: StoreEdgeArgs,
    link: Arc<Link>,
    backend: Option<Arc<dyn Store>>,
    waiting: VecDeque<Waiting>,
    /// Operations in `waiting`.
    gathered: usize,
    /// Batches that are under way.
    under_way: usize,
    pause: Duration,
}

impl StoreEdge {
    /// The actor's specification, and the handle through which it is used.
    pub fn spec(args: StoreEdgeArgs) -> (ChildSpec<StoreEdge>, StoreHandle) {
        let connecting = StoreError::NotReady("it is being opened".to_owned());
        let link = Arc::new(Link {
            backend: watch::Sender::new(Err(connecting)),
            committed: watch::Sender::new(LogCursor::default()),
            wakes: broadcast::Sender::new(WAKES),
            numbers: StoreNumbers::new().ok(),
            secrets: std::sync::OnceLock::new(),
        });
        args.conditions.set(PATH, Condition::Starting("the store is being opened".to_owned()));
        let limit = args.write_timeout + MARGIN;
        let mailbox = MailboxSpec::bounded(args.queue_max.max(1));
        let spec = ChildSpec::<StoreEdge>::new("store", Wiring { args, link: link.clone() })
            .mailbox(mailbox)
            .placement(Placement::Control);
        let edge = spec.actor_ref().recipient();
        (spec, StoreHandle { edge, link, limit })
    }

    /// Opens the backend on a thread of its own, and tries again until it is open.
    fn open(&mut self, cx: &mut Context<Self>) {
        let open = self.args.open.clone();
        let opened = tokio::task::spawn_blocking(move || open());
        cx.spawn_then(opened, |opened, edge, cx| {
            let opened = opened.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())));
            edge.opened(opened, cx);
        });
    }

    fn opened(&mut self, opened: Result<Arc<dyn Store>, StoreError>, cx: &mut Context<Self>) {
        match opened {
            Ok(store) => {
                self.pause = FIRST_PAUSE;
                self.follow(store.committed(), cx);
                self.pass_on(store.wakes(), cx);
                self.backend = Some(store.clone());
                self.link.set(Ok(store));
                self.well();
                self.next_batch(cx);
            }
            Err(error) => {
                if self.args.conditions.set(PATH, Condition::Degraded(error.to_string())) {
                    tracing::error!(%error, "the store cannot be opened");
                }
                self.link.set(Err(error));
                cx.after(self.next_pause(), |edge, cx| edge.open(cx));
            }
        }
    }

    /// Passes the backend's commits on to the receivers, which outlive it.
    fn follow(&self, mut committed: watch::Receiver<LogCursor>, cx: &mut Context<Self>) {
        let link = self.link.clone();
        cx.spawn(async move {
            loop {
                link.committed.send_replace(*committed.borrow_and_update());
                if committed.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Passes on what the backend hears of other nodes; likewise.
    fn pass_on(&self, mut wakes: broadcast::Receiver<Wake>, cx: &mut Context<Self>) {
        let link = self.link.clone();
        cx.spawn(async move {
            loop {
                let wake = match wakes.recv().await {
                    Ok(wake) => wake,
                    Err(RecvError::Lagged(_)) => Wake::Everything,
                    Err(RecvError::Closed) => return,
                };
                // Nobody may listen.
                let _ = link.wakes.send(wake);
            }
        });
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    fn well(&mut self) {
        self.pause = FIRST_PAUSE;
        if self.args.conditions.set(PATH, Condition::Ready) {
            tracing::info!("the store is ready");
        }
    }

    /// Sends off what waits, as far as the backend takes more.
    fn next_batch(&mut self, cx: &mut Context<Self>) {
        let Some(store) = self.backend.clone() else { return };
        while self.under_way < store.lanes().max(1) && !self.waiting.is_empty() {
            self.send_batch(&store, cx);
        }
    }

    fn send_batch(&mut self, store: &Arc<dyn Store>, cx: &mut Context<Self>) {
        let (mut operations, mut answers) = (Vec::new(), Vec::new());
        while let Some(next) = self.waiting.front() {
            // One request alone may be larger than a batch should be.
            if !operations.is_empty() && operations.len() + next.operations.len() > self.args.batch_max {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            answers.push((next.operations.len(), next.answer));
            operations.extend(next.operations);
        }
        self.gathered -= operations.len();
        self.under_way += 1;
        let limit = self.args.write_timeout;
        let (members, began) = (operations.len(), Instant::now());
        let applied = timeout(limit, store.apply(operations));
        cx.spawn_then(applied, move |applied, edge, cx| {
            let applied = applied.unwrap_or(Err(StoreError::TimedOut(limit)));
            if let Some(numbers) = &edge.link.numbers {
                numbers.written(members, began.elapsed(), applied.is_err());
            }
            edge.applied(applied, answers, cx);
        });
    }

    #[expect(clippy::type_complexity, reason = "one use, and a name would say no more")]
    fn applied(
        &mut self,
        applied: Result<Vec<OperationResult>, StoreError>,
        answers: Vec<(usize, oneshot::Sender<Result<Vec<OperationResult>, StoreError>>)>,
        cx: &mut Context<Self>,
    ) {
        self.under_way -= 1;
        match applied {
            Ok(results) => {
                let mut results = results.into_iter();
                for (count, answer) in answers {
                    // Whoever asked may have gone away.
                    let _ = answer.send(Ok(results.by_ref().take(count).collect()));
                }
                self.well();
            }
            Err(error) => {
                for (_, answer) in answers {
                    let _ = answer.send(Err(error.clone()));
                }
                let known = self.is_degraded();
                self.args.conditions.set(PATH, Condition::Degraded(error.to_string()));
                // However the words differ from write to write, it is one outage, and is looked after once.
                if !known {
                    tracing::error!(%error, "the store cannot be written to");
                    let pause = self.next_pause();
                    cx.after(pause, StoreEdge::probe);
                }
            }
        }
        self.next_batch(cx);
    }

    fn is_degraded(&self) -> bool {
        matches!(self.args.conditions.get(PATH), Some(Condition::Degraded(_)))
    }

    /// A write that changes nothing, to see whether the store works again while nobody else writes.
    fn probe(&mut self, cx: &mut Context<Self>) {
        let Some(store) = self.backend.clone().filter(|_| self.is_degraded()) else { return };
        let beat = Operation::PutSetting { key: "probed".to_owned(), value: "true".to_owned() };
        let limit = self.args.write_timeout;
        cx.spawn_then(timeout(limit, store.apply(vec![beat])), |probed, edge, cx| {
            let works = matches!(probed, Ok(Ok(results)) if results.iter().all(Result::is_ok));
            if works {
                edge.well();
            } else {
                let pause = edge.next_pause();
                cx.after(pause, StoreEdge::probe);
            }
        });
    }
}

impl Actor for StoreEdge {
    type Args = Wiring;

    async fn start(Wiring { args, link }: Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let mut edge = StoreEdge {
            args,
            link,
            backend: None,
            waiting: VecDeque::new(),
            gathered: 0,
            under_way: 0,
            pause: FIRST_PAUSE,
        };
        // A crash of this actor leaves the backend open: nobody has to fight the old one for the file.
        let open = edge.link.backend.borrow().clone();
        match open {
            Ok(store) => edge.opened(Ok(store), cx),
            Err(_) => edge.open(cx),
        }
        Ok(edge)
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.args.conditions.set(PATH, Condition::Stopping);
        self.link.set(Err(StoreError::NotReady("it is closed".to_owned())));
        if let Some(store) = self.backend.take() {
            // Closing waits for threads, which an executor must not; an abandoned one ends with the process.
            let _ = tokio::task::spawn_blocking(move || drop(store)).await;
        }
    }
}

impl PlainHandler<Write> for StoreEdge {
    type Reply = Later<Result<Vec<OperationResult>, StoreError>>;

    fn handle(&mut self, Write(operations): Write, cx: &mut Context<Self>) -> Self::Reply {
        if self.backend.is_none() {
            let error = self.link.backend.borrow().as_ref().err().cloned();
            let error = error.unwrap_or_else(|| StoreError::NotReady("it is closed".to_owned()));
            return Later::new(async move { Err(error) });
        }
        if self.gathered + operations.len() > self.args.queue_max.max(operations.len()) {
            let waiting = self.gathered;
            return Later::new(async move { Err(StoreError::Busy { waiting }) });
        }
        self.gathered += operations.len();
        let (answer, answered) = oneshot::channel();
        self.waiting.push_back(Waiting { operations, answer });
        self.next_batch(cx);
        Later::new(async move {
            answered.await.unwrap_or_else(|_| Err(StoreError::NotReady("its actor was restarted".to_owned())))
        })
    }
}
