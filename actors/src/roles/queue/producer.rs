//! The producer of a queue: claims jobs from the store and starts them.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use callboard_contracts::{
    Timestamp,
    api::{AttemptError, ErrorKind},
};
use callboard_supervisors::{
    Actor, ChildExited, Context, CrashRecord, DynamicSupervisor, Message, PlainHandler, StartError, State,
    StopReason,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Ending, Queue,
    attempt::{Attempt, EndReason},
    cut,
    ending::MAX_BACKTRACE_BYTES,
    job_actor,
    prefetch::Prefetch,
    queue_state::Wake,
};
use crate::{
    edges::store::{Operation, Outcome, StoreError},
    failpoint,
    jobs::retry,
    roles::{
        node::{Node, Stage},
        tuning::Retune,
    },
};

/// Jobs that one claim asks for at most.
const LARGEST_CLAIM: usize = 1000;
/// How long a producer leaves the store or its supervisor alone after it was turned away.
const REBUFF: Duration = Duration::from_millis(250);

/// A claim was answered. What it gave is on the board already.
#[derive(Clone, Debug, Message)]
pub(crate) struct ClaimAnswered {
    asked: usize,
    took: Duration,
    given: Result<Given, StoreError>,
}

/// What a claim has given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    pub(crate) jobs: usize,
    /// When it is worth asking again, though these were fewer than were asked for.
    pub(crate) again_at: Option<Timestamp>,
}

/// Claims jobs in batches as places get free, starts each as an actor, and tells how those ended that could not do so
/// themselves.
///
/// What it has claimed and started is on the queue's [`Board`](super::board::Board), which outlives it; a claim that is
/// under way when it crashes is answered there too. So its next generation goes on where this one was.
pub(crate) struct Producer {
    node: Arc<Node>,
    queue: Arc<Queue>,
    jobs: DynamicSupervisor,
    prefetch: Prefetch,
    /// The store may have jobs that nobody has claimed.
    more: bool,
    /// Nothing is claimed or started before the timer says so.
    rebuffed: bool,
    /// When a timer says that the store may give more.
    again_at: Option<Timestamp>,
}

#[derive(Clone)]
pub(crate) struct ProducerArgs {
    pub(crate) node: Arc<Node>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) jobs: DynamicSupervisor,
}

impl Actor for Producer {
    type Args = ProducerArgs;

    async fn start(args: ProducerArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let ProducerArgs { node, queue, jobs } = args;
        follow_session(node.session.subscribe(), cx);
        follow_stage(node.stage.subscribe(), cx);
        poll_later(node.config.claim_poll, cx);
        let mut producer = Producer {
            node,
            queue,
            jobs,
            prefetch: Prefetch::default(),
            more: true,
            rebuffed: false,
            again_at: None,
        };
        producer.work(cx);
        Ok(producer)
    }
}

impl PlainHandler<Wake> for Producer {
    type Reply = ();

    fn handle(&mut self, _: Wake, cx: &mut Context<Self>) {
        self.queue.waking.store(false, SeqCst);
        self.more = true;
        self.work(cx);
    }
}

impl PlainHandler<Retune> for Producer {
    type Reply = ();

    /// With more places more is claimed. With fewer, what runs goes on, and nothing is claimed before there is room again; what
    /// was claimed for places that are no more is handed back, so that it does not wait for them.
    fn handle(&mut self, _: Retune, cx: &mut Context<Self>) {
        let concurrency = self.queue.concurrency();
        let most = concurrency as usize + self.prefetch.amount(concurrency) as usize;
        if self.queue.board.counts().0 > most {
            hand_back(&self.node, &self.queue);
        }
        self.more = true;
        self.work(cx);
    }
}

impl PlainHandler<ClaimAnswered> for Producer {
    type Reply = ();

    fn handle(&mut self, answer: ClaimAnswered, cx: &mut Context<Self>) {
        match answer.given {
            Ok(given) => {
                self.prefetch.claimed(answer.took);
                self.node.metrics.claimed(&self.queue.name, answer.took);
                self.more |= given.jobs == answer.asked;
                if let Some(at) = given.again_at {
                    self.ask_again(at, cx);
                }
            }
            Err(error) => {
                tracing::debug!(queue = self.queue.name, %error, "a claim failed");
                self.more = true;
                self.rebuff(cx);
            }
        }
        self.work(cx);
    }
}

impl PlainHandler<ChildExited> for Producer {
    type Reply = ();

    fn handle(&mut self, exit: ChildExited, cx: &mut Context<Self>) {
        if let Some(token) = job_actor::token(&exit.name) {
            self.ended(token, exit);
        }
        self.work(cx);
    }
}

impl Producer {
    /// Starts what is claimed and claims what there is room for.
    fn work(&mut self, cx: &mut Context<Self>) {
        // Each of these ends with a wake, or with the next poll.
        let suspended = cx.myself().state() == State::Suspended;
        if suspended || self.rebuffed || self.node.is_draining() || self.node.outcomes.is_full() {
            return;
        }
        // It is woken when it goes on.
        if self.queue.is_paused() || !self.node.may_claim() {
            hand_back(&self.node, &self.queue);
            return;
        }
        let concurrency = self.queue.concurrency() as usize;
        while let Some(attempt) = self.queue.board.next(concurrency) {
            let token = attempt.job.token;
            match self.jobs.spawn_child(job_actor::job(&self.node, &attempt)) {
                Ok(actor) => self.queue.board.started(token, actor.handle()),
                Err(error) => {
                    tracing::warn!(queue = self.queue.name, %error, "a job's actor could not be started");
                    self.queue.board.put_back(token);
                    self.rebuff(cx);
                    return;
                }
            }
        }
        self.claim(cx);
    }

    fn claim(&mut self, cx: &Context<Self>) {
        let session = *self.node.session.borrow();
        let (true, Some(session)) = (self.more, session) else { return };
        failpoint!("claim.begin");
        let concurrency = self.queue.concurrency();
        let prefetch = self.prefetch.amount(concurrency) as usize;
        let (held, _) = self.queue.board.counts();
        let room = (concurrency as usize + prefetch).saturating_sub(held).min(LARGEST_CLAIM);
        // Places are filled one by one, what is claimed ahead in halves.
        if room == 0 || held > concurrency as usize + prefetch / 2 || !self.queue.board.begin_claim() {
            return;
        }
        self.more = false;
        let operation = Operation::Claim {
            queue: self.queue.name.clone(),
            // At most `LARGEST_CLAIM`.
            limit: room as u32,
            session,
        };
        let (node, queue, myself) = (self.node.clone(), self.queue.clone(), cx.myself());
        // Not by the context: the answer must not be lost with a generation.
        tokio::task::spawn_local(async move {
            let began = Instant::now();
            let given = claimed(&node, &queue, operation, session).await;
            let answer = ClaimAnswered { asked: room, took: began.elapsed(), given };
            // A producer that is gone for good needs no answer; for others the poll makes up for a lost one.
            let _ = myself.send(answer).await;
        });
    }

    /// An actor is gone. What it did not say itself is said here; only then it leaves the board, so that a crash between
    /// loses nothing.
    fn ended(&mut self, token: u64, exit: ChildExited) {
        let board = &self.queue.board;
        let Some(attempt) = board.running(token) else { return };
        match exit.crash {
            _ if attempt.is_reported() => {
                if let Some(time) = attempt.ran_for(self.node.store.now()) {
                    self.prefetch.ran(time);
                }
            }
            Some(crash) if matches!(exit.reason, StopReason::Panicked { .. }) => {
                self.panicked(attempt, crash);
            }
            _ => {
                let ending = abandoned(&attempt, Some(&exit.reason));
                self.node.report(&attempt, ending);
            }
        }
        board.remove(token);
    }

    /// Tells of a panic. To name the places of a backtrace takes milliseconds, so that is done elsewhere; the attempt
    /// keeps its place meanwhile, so that there are never many of them.
    fn panicked(&self, attempt: Arc<Attempt>, crash: Arc<CrashRecord>) {
        self.queue.board.keep_place();
        let (node, queue) = (self.node.clone(), self.queue.clone());
        // Not by the context: the word must not be lost with a generation.
        tokio::task::spawn_local(async move {
            let described = tokio::task::spawn_blocking(move || describe(&crash)).await;
            let error = described.unwrap_or_else(|_| AttemptError {
                kind: ErrorKind::Panicked,
                message: "panicked; the node stopped before it could say more".to_owned(),
                backtrace: None,
                is_final: false,
            });
            let ending = match attempt.end_reason() {
                Some(EndReason::Cancelled) => {
                    Ending::Cancelled(AttemptError { kind: ErrorKind::Cancelled, ..error })
                }
                _ => Ending::Failed { error, after: None },
            };
            node.report(&attempt, ending);
            queue.board.free_place();
            queue.wake();
        });
    }

    fn rebuff(&mut self, cx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.rebuffed, true) {
            cx.after(REBUFF, |producer, cx| {
                producer.rebuffed = false;
                producer.work(cx);
            });
        }
    }

    /// Claims again when the store has said so, however many claims until then say the same.
    fn ask_again(&mut self, at: Timestamp, cx: &mut Context<Self>) {
        let now = self.node.store.now();
        if at <= now {
            self.more = true;
        } else if self.again_at.is_none_or(|pending| at < pending || pending <= now) {
            self.again_at = Some(at);
            cx.after(at.saturating_since(now), move |producer, cx| {
                if producer.again_at == Some(at) {
                    producer.again_at = None;
                    producer.more = true;
                    producer.work(cx);
                }
            });
        }
    }

    /// The slow way for everything that a lost word would have been the fast way for.
    fn poll(&mut self, cx: &mut Context<Self>) {
        // While the producer is suspended, words are not lost but wait.
        if cx.myself().state() != State::Suspended {
            for attempt in self.queue.board.sweep() {
                let ending = abandoned(&attempt, None);
                self.node.report(&attempt, ending);
            }
        }
        self.more = true;
        self.work(cx);
        poll_later(self.node.config.claim_poll, cx);
    }

    /// The node has another session than before, or none: nobody waits for these attempts any more.
    fn session_changed(&mut self, session: Option<Uuid>, cx: &mut Context<Self>) {
        self.queue.board.abandon(session);
        self.more = true;
        self.work(cx);
    }

    fn stage_changed(&mut self, stage: Stage, cx: &mut Context<Self>) {
        match stage {
            Stage::Draining => hand_back(&self.node, &self.queue),
            Stage::Serving => self.work(cx),
        }
    }
}

/// Carries out a claim; what it gives goes to the board.
pub(crate) async fn claimed(
    node: &Node,
    queue: &Queue,
    operation: Operation,
    session: Uuid,
) -> Result<Given, StoreError> {
    let claim = Claim { queue };
    reclaimed(node, queue, session).await?;
    let given = lease(node, queue, operation, session).await.inspect_err(|_| queue.board.doubt())?;
    drop(claim);
    if !node.may_claim() || queue.is_paused() {
        hand_back(node, queue);
    }
    Ok(given)
}

/// Asks again for what a claim may have given whose answer was lost. It is asked as long as such a claim may still be
/// carried out.
async fn reclaimed(node: &Node, queue: &Queue, session: Uuid) -> Result<(), StoreError> {
    let Some((since, mut known)) = queue.board.doubted() else { return Ok(()) };
    let settled = since.elapsed() > 2 * node.store.limit();
    // After those on the board: what leaves it is here then.
    known.extend(node.outcomes.tokens());
    let limit = LARGEST_CLAIM as u32;
    let again = Operation::Reclaim { queue: queue.name.clone(), limit, session, known };
    let given = lease(node, queue, again, session).await?.jobs;
    if given > 0 {
        tracing::warn!(queue = queue.name, given, "jobs were claimed by a claim whose answer was lost");
    }
    if settled && given < LARGEST_CLAIM {
        queue.board.settle(since);
    }
    Ok(())
}

/// Carries out an operation that gives leases, and puts them on the board. How many there are.
async fn lease(node: &Node, queue: &Queue, operation: Operation, session: Uuid) -> Result<Given, StoreError> {
    let (jobs, again_at) = match node.store.write(operation).await? {
        Outcome::Claimed(jobs) => (jobs, None),
        Outcome::ClaimedInPart { jobs, again_at } => (jobs, Some(again_at)),
        Outcome::NotFound => return Err(StoreError::Failed("the node's session has ended".to_owned())),
        other => return Err(StoreError::Failed(format!("a claim was answered with {other:?}"))),
    };
    let given = jobs.len();
    if given > 0 {
        failpoint!("claim.answered");
    }
    // Those of a session that has ended meanwhile ended with it.
    if *node.session.borrow() == Some(session) {
        queue.board.add(jobs.into_iter().map(|job| Attempt::new(job, session)));
    }
    Ok(Given { jobs: given, again_at })
}

/// A claim that is under way.
struct Claim<'a> {
    queue: &'a Queue,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.queue.board.end_claim();
    }
}

/// Gives what was claimed and not started back to the store.
pub(crate) fn hand_back(node: &Node, queue: &Queue) {
    for attempt in queue.board.take_ready() {
        node.report(&attempt, Ending::Released);
        queue.board.free_place();
    }
}

/// How an attempt ended whose actor could not say it.
fn abandoned(attempt: &Attempt, reason: Option<&StopReason>) -> Ending {
    let how = reason.map_or_else(|| "is gone".to_owned(), |reason| format!("was {reason}"));
    match (attempt.end_reason(), reason) {
        (Some(EndReason::Cancelled), _) => Ending::cancelled(format!("cancelled; its actor {how}")),
        (Some(_), _) | (None, Some(StopReason::Shutdown)) => Ending::Released,
        (None, _) => Ending::failed(ErrorKind::Lost, format!("its actor {how} before the job had ended")),
    }
}

fn describe(crash: &CrashRecord) -> AttemptError {
    let message = match &crash.reason {
        StopReason::Panicked { payload, .. } => payload.clone(),
        other => other.to_string(),
    };
    let place = crash.location.as_ref().map(|location| format!("at {location}\n")).unwrap_or_default();
    let trace = crash.backtrace.as_ref().map(ToString::to_string).unwrap_or_default();
    let backtrace = place + &trace;
    AttemptError {
        kind: ErrorKind::Panicked,
        message: cut(message, super::ending::MAX_MESSAGE_BYTES),
        backtrace: (!backtrace.is_empty()).then(|| cut(backtrace, MAX_BACKTRACE_BYTES)),
        is_final: false,
    }
}

fn poll_later(time: Duration, cx: &mut Context<Producer>) {
    // Queues that were started together need not look together.
    let time = time.mul_f64(0.75 + retry::random() / 2.0);
    cx.after(time, Producer::poll);
}

fn follow_session(mut session: watch::Receiver<Option<Uuid>>, cx: &mut Context<Producer>) {
    let change = async move {
        let alive = session.changed().await.is_ok();
        let now = *session.borrow_and_update();
        (alive, now, session)
    };
    cx.spawn_then(change, |(alive, now, session), producer, cx| {
        if alive {
            follow_session(session, cx);
            producer.session_changed(now, cx);
        }
    });
}

fn follow_stage(mut stage: watch::Receiver<Stage>, cx: &mut Context<Producer>) {
    let change = async move {
        let alive = stage.changed().await.is_ok();
        let now = *stage.borrow_and_update();
        (alive, now, stage)
    };
    cx.spawn_then(change, |(alive, now, stage), producer, cx| {
        if alive {
            follow_stage(stage, cx);
            producer.stage_changed(now, cx);
        }
    });
}
