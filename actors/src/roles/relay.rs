//! The relay: tells a sink outside what the log says.

use std::{future::Future, sync::Arc, time::Duration};

use callboard_contracts::api::LogCursor;
use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::{sleep, timeout};

use super::{backoff::Backoff, condition::Condition, node::Node};
use crate::edges::sink::{EventSink, SinkContext, SinkError, SinkSpec, Standing};

/// How often a sink that is up to date is asked to look whether it still is.
const CHECK: Duration = Duration::from_secs(5);

/// Tells one sink what the log says, page by page, if this node leads. While the sink is away it tries again after growing
/// pauses; nothing else waits for it, and what it has missed follows when it is back, as long as the log holds it.
pub(crate) struct Relay;

#[derive(Clone)]
pub(crate) struct RelayArgs {
    pub(crate) node: Arc<Node>,
    pub(crate) sink: SinkSpec,
}

impl Actor for Relay {
    type Args = RelayArgs;

    async fn start(args: RelayArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(args, cx.path()));
        Ok(Relay)
    }
}

async fn run(RelayArgs { node, sink: spec }: RelayArgs, path: String) {
    let mut sink = (spec.open)(SinkContext { store: node.store.clone() });
    let mut backoff = Backoff::default();
    // The node does its work whether the sink takes anything or not.
    node.conditions.make_optional(&path);
    let mut after = None;
    loop {
        if node.leads.now().is_none() {
            node.metrics.sink_behind(&spec.name, None);
            node.conditions.set(&path, Condition::Standby);
            node.leads.begun().await;
        }
        let ended = async {
            while node.leads.now().is_some() {
                node.leads.changed().await;
            }
        };
        let telling = tell(&node, &spec, &mut *sink, &path, &mut backoff, &mut after);
        let told = tokio::select! {
            // Whoever leads now begins with what the sink has.
            () = ended => continue,
            told = telling => told,
        };
        let Err(error) = told else { return };
        if node.conditions.set(&path, Condition::Degraded(error.to_string())) {
            tracing::warn!(sink = spec.name, %error, "the sink does not take the log; it is told later");
        }
        node.metrics.sink_behind(&spec.name, Some(behind(after, *node.store.committed().borrow())));
        backoff.pause().await;
    }
}

/// Tells it all there is, and what comes. Returns without an error when the store is gone for good.
async fn tell(
    node: &Node,
    spec: &SinkSpec,
    sink: &mut dyn EventSink,
    path: &str,
    backoff: &mut Backoff,
    told: &mut Option<LogCursor>,
) -> Result<(), SinkError> {
    let mut committed = node.store.committed();
    let mut after = match within(spec, sink.resume()).await? {
        Standing::At(cursor) => cursor,
        Standing::FromOldest => LogCursor::default(),
        Standing::FromNow => *committed.borrow(),
    };
    loop {
        let newest = *committed.borrow_and_update();
        *told = Some(after);
        node.metrics.sink_behind(&spec.name, Some(behind(Some(after), newest)));
        while after != newest {
            let page = node.store.events_after(after, None, spec.batch.max(1)).await?;
            let Some(last) = page.events.last().map(|event| event.cursor) else { break };
            if page.reset && after != LogCursor::default() {
                tracing::warn!(sink = spec.name, %after, oldest = %page.oldest, "events were deleted before the sink was told");
            }
            let count = page.events.len();
            within(spec, sink.deliver(page)).await?;
            backoff.reset();
            after = last;
            *told = Some(after);
            node.metrics.sink_told(&spec.name, count);
            node.metrics.sink_behind(&spec.name, Some(behind(*told, newest)));
        }
        backoff.reset();
        if node.conditions.set(path, Condition::Ready) {
            tracing::info!(sink = spec.name, %after, "the sink is up to date");
        }
        loop {
            tokio::select! {
                changed = committed.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return Ok(()),
                },
                () = sleep(CHECK) => within(spec, sink.check()).await?,
            }
        }
    }
}

/// How many events are between what was told and what there is; of another epoch nothing counts.
fn behind(told: Option<LogCursor>, newest: LogCursor) -> u64 {
    let told = told.filter(|told| told.epoch == newest.epoch).map_or(0, |told| told.position);
    newest.position.saturating_sub(told)
}

async fn within<T>(
    spec: &SinkSpec,
    call: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    timeout(spec.timeout, call).await.unwrap_or(Err(SinkError::TimedOut(spec.timeout)))
}
