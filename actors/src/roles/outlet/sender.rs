//! [`Outlet`]: sends the jobs of a queue to workers outside.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use callboard_contracts::{Timestamp, api::ErrorKind};
use callboard_supervisors::{Actor, ChildSpec, Context, Placement, PlainHandler, StartError};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{OutletConfig, Publisher, message};
use crate::{
    edges::{
        bus::PublishError,
        store::{Operation, Outcome, StoreError},
    },
    encryption::envelope::Part,
    jobs::retry,
    roles::{
        backoff::Backoff,
        condition::Condition,
        gateway::secrets::may_leave_sealed,
        node::Node,
        queue::{
            Ending, Queue, Wake,
            attempt::{Attempt, EndReason},
            producer::{claimed, hand_back},
        },
        tuning::{Retune, Tuned},
    },
};

/// Jobs that are claimed and sent in one go.
const BATCH: u32 = 256;
/// Bytes of payloads after which nothing is added to what is sent in one go: it is written on a thread that others need.
const MOST_BYTES: usize = 1024 * 1024;
/// How long the broker may take for them, whatever it says itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a job waits whose message the broker has refused: it may be too large, or the queue full.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// Claims the jobs of a queue, as far as its concurrency allows over all nodes, and sends them to workers outside.
///
/// What it has claimed and not handed over is on the queue's board, which outlives it. While the broker takes nothing, one of
/// those is kept and tried again after growing pauses; the others are handed back, and nothing is claimed.
pub(crate) struct Outlet {
    queue: Arc<Queue>,
    awake: Arc<Notify>,
}

#[derive(Clone)]
pub(crate) struct OutletArgs {
    pub(crate) node: Arc<Node>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) outlet: OutletConfig,
    pub(crate) publisher: Publisher,
}

impl Outlet {
    /// The outlet of a queue, and how it is told of other settings.
    pub(crate) fn spec(args: OutletArgs) -> (ChildSpec<Outlet>, Tuned) {
        let (queue, name) = (args.queue.clone(), format!("outlet-{}", args.queue.name));
        let path = format!("queues/{name}");
        let spec = ChildSpec::<Outlet>::new(name, args).placement(Placement::Control);
        queue.served_by(spec.actor_ref().recipient());
        let tuned = (path, spec.actor_ref().recipient());
        (spec, tuned)
    }
}

impl Actor for Outlet {
    type Args = OutletArgs;

    async fn start(args: OutletArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let (queue, awake) = (args.queue.clone(), Arc::new(Notify::new()));
        // What the last generation was about to send may be sent already: sent again it is the same message.
        queue.board.put_all_back();
        // And it may have been claiming.
        queue.board.doubt();
        cx.spawn(run(Sender { args, awake: awake.clone() }, cx.path()));
        Ok(Outlet { queue, awake })
    }
}

impl PlainHandler<Retune> for Outlet {
    type Reply = ();

    fn handle(&mut self, _: Retune, _: &mut Context<Self>) {
        self.awake.notify_one();
    }
}

impl PlainHandler<Wake> for Outlet {
    type Reply = ();

    fn handle(&mut self, _: Wake, _: &mut Context<Self>) {
        self.queue.waking.store(false, SeqCst);
        self.awake.notify_one();
    }
}

/// Why nothing goes out.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Broker(#[from] PublishError),
}

/// What is next after a turn.
enum Next {
    /// There may be more to send.
    More,
    /// There is nothing to send for now; perhaps from this time on.
    Wait(Option<Timestamp>),
}

struct Sender {
    args: OutletArgs,
    awake: Arc<Notify>,
}

async fn run(sender: Sender, path: String) {
    let OutletArgs { node, queue, .. } = &sender.args;
    let mut backoff = Backoff::default();
    loop {
        match sender.turn().await {
            Ok(next) => {
                backoff.reset();
                if node.conditions.set(&path, Condition::Ready) {
                    tracing::info!(queue = queue.name, "jobs go out to workers outside");
                }
                if let Next::Wait(again_at) = next {
                    sender.wait(again_at).await;
                }
            }
            Err(error) => {
                if node.conditions.set(&path, Condition::Degraded(error.to_string())) {
                    tracing::warn!(queue = queue.name, %error, "jobs do not go out to workers outside");
                }
                backoff.pause().await;
            }
        }
    }
}

impl Sender {
    /// Claims and sends one batch.
    async fn turn(&self) -> Result<Next, Trouble> {
        let OutletArgs { node, queue, .. } = &self.args;
        if node.is_draining() || queue.is_paused() {
            hand_back(node, queue);
            return Ok(Next::Wait(None));
        }
        let session = node.session().await;
        queue.board.abandon(Some(session));
        let mut again_at = None;
        let mut full = false;
        if queue.board.counts().0 == 0 && !node.outcomes.is_full() && queue.board.begin_claim() {
            let operation = Operation::ClaimOut {
                queue: queue.name.clone(),
                limit: BATCH,
                session,
                most: queue.concurrency(),
            };
            let began = Instant::now();
            let given = claimed(node, queue, operation, session).await?;
            node.metrics.claimed(&queue.name, began.elapsed());
            (again_at, full) = (given.again_at, given.jobs == BATCH as usize);
        }
        let batch = self.next_batch();
        if !batch.is_empty() {
            self.send(batch, session).await?;
            full |= queue.board.counts().0 > 0;
        }
        Ok(if full { Next::More } else { Next::Wait(again_at) })
    }

    /// Takes what is to be sent from the board.
    fn next_batch(&self) -> Vec<(Arc<Attempt>, String)> {
        let OutletArgs { node, queue, .. } = &self.args;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH as usize && bytes < MOST_BYTES {
            let Some(attempt) = queue.board.next(usize::MAX) else { break };
            let ending = match attempt.end_reason() {
                None => match outgoing(node, &attempt) {
                    Ok(payload) => {
                        bytes += payload.len();
                        batch.push((attempt, payload));
                        continue;
                    }
                    Err(ending) => ending,
                },
                Some(EndReason::Cancelled) => Ending::cancelled("cancelled before it was sent"),
                Some(EndReason::NodeStops | EndReason::SessionLost) => Ending::Released,
            };
            node.report(&attempt, ending);
            queue.board.remove(attempt.job.token);
        }
        batch
    }

    async fn send(&self, batch: Vec<(Arc<Attempt>, String)>, session: Uuid) -> Result<(), Trouble> {
        let OutletArgs { node, queue, outlet, publisher } = &self.args;
        let message = |(attempt, payload): &(Arc<Attempt>, String)| {
            message::of(&node.config, outlet, &attempt.job, payload)
        };
        let messages = batch.iter().map(message).collect();
        let answers = timeout(PATIENCE, publisher.0.publish(messages)).await.unwrap_or_default();
        let mut answers = answers.into_iter();
        let (mut sent, mut trouble) = (Vec::new(), None);
        for (attempt, _) in batch {
            match answers.next().unwrap_or(Err(PublishError::TimedOut(PATIENCE))) {
                Ok(()) => sent.push(attempt),
                // It may be this message alone, which must not stand in the way of the others.
                Err(error @ PublishError::Refused(_)) => {
                    tracing::warn!(
                        %error, jobId = %attempt.job.id, attempt = attempt.job.attempt, queue = queue.name,
                        correlationId = %attempt.job.correlation_id, "a job's message was refused; it is sent again later"
                    );
                    node.metrics.outlet(&queue.name, "refused", 1);
                    node.report(&attempt, Ending::Snoozed(REFUSED_PAUSE));
                    queue.board.remove(attempt.job.token);
                }
                Err(error) if trouble.is_none() => {
                    trouble = Some(error);
                    queue.board.put_back(attempt.job.token);
                }
                Err(_) => {
                    node.metrics.outlet(&queue.name, "handed_back", 1);
                    node.report(&attempt, Ending::Released);
                    queue.board.remove(attempt.job.token);
                }
            }
        }
        self.hand_over(sent, session).await;
        trouble.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Their messages are safe: the leases are the node's no more.
    async fn hand_over(&self, sent: Vec<Arc<Attempt>>, session: Uuid) {
        let OutletArgs { node, queue, outlet, .. } = &self.args;
        let count = sent.len() as u64;
        let visible_for = outlet.visibility_timeout;
        let mut backoff = Backoff::default();
        // What could not be written stays the node's, and with it on the board.
        let results = loop {
            let give = |attempt: &Arc<Attempt>| Operation::HandOver { lease: attempt.lease(), visible_for };
            match node.store.write_all(sent.iter().map(give).collect()).await {
                Ok(results) => break results,
                // Its attempts ended with it.
                Err(_) if *node.session.borrow() != Some(session) => break Vec::new(),
                Err(error) => {
                    tracing::debug!(queue = queue.name, %error, "leases cannot be handed over for now");
                    backoff.pause().await;
                }
            }
        };
        let mut results = results.into_iter();
        for attempt in &sent {
            match results.next() {
                Some(Ok(Outcome::HandedOver | Outcome::Stale | Outcome::Finished { .. })) | None => {}
                Some(other) => {
                    tracing::error!(jobId = %attempt.job.id, ?other, "a lease could not be handed over");
                    node.report(attempt, Ending::Released);
                }
            }
            queue.board.remove(attempt.job.token);
        }
        node.metrics.outlet(&queue.name, "sent", count);
    }

    /// Waits until there may be something to do.
    async fn wait(&self, again_at: Option<Timestamp>) {
        let OutletArgs { node, .. } = &self.args;
        // Nodes that were started together need not look together.
        let poll = node.config.claim_poll.mul_f64(0.75 + retry::random() / 2.0);
        let until = again_at.map(|at| at.saturating_since(node.store.now()));
        let mut stage = node.stage.subscribe();
        tokio::select! {
            () = self.awake.notified() => {}
            () = sleep(until.unwrap_or(poll).min(poll)) => {}
            _ = stage.changed() => {}
        }
    }
}

/// The payload as a worker outside is given it: decrypted, of a type whose secrets may leave. Else how the attempt ends.
fn outgoing(node: &Node, attempt: &Attempt) -> Result<String, Ending> {
    let (job, vault) = (&attempt.job, node.vault());
    if let Err(refusal) = may_leave_sealed(&vault, &job.job_type, &job.queue, &job.payload) {
        // It was stored before its values were secret, or by a node that knows more of them.
        return Err(Ending::fatal(ErrorKind::Failed, refusal.to_string()));
    }
    match vault.open_text(&job.job_type, Part::Payload, &job.payload) {
        Ok(payload) => Ok(payload.into_owned()),
        Err(error) if error.is_about_keys() => {
            tracing::warn!(jobId = %job.id, "type" = job.job_type, %error, "a job waits for the key of its payload");
            node.metrics.key_missing(&job.queue);
            Err(Ending::Snoozed(REFUSED_PAUSE))
        }
        Err(error) => {
            let message = format!("the payload cannot be read: {error}");
            Err(Ending::fatal(ErrorKind::InvalidPayload, message))
        }
    }
}
