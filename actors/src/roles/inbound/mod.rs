//! Messages of other programs: new jobs, and how those ended that workers outside had.
//!
//! [`Inbound`] says of each what becomes of it, once that is stored. Many are under way at a time, so that what they write goes
//! into few transactions. Nothing invalid stops it: such a message is answered with its dead letter.

mod config;
mod dead_letter;
mod decided;
mod envelope;
mod job;
mod word;

use std::{sync::Arc, time::Duration};

use callboard_supervisors::{Actor, Context, Later, Message, PlainHandler, Recipient, StartError};
use futures_util::{FutureExt, future::BoxFuture};

pub use config::InboundConfig;

use self::decided::Decided;
use super::node::Node;
use crate::edges::bus::{Delivery, Inbound as From, Receive, Verdict};

/// What a decision may take besides the store's own time.
const MARGIN: Duration = Duration::from_secs(5);

/// Decides about messages of other programs.
pub(crate) struct Inbound {
    node: Arc<Node>,
}

impl Actor for Inbound {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Inbound { node })
    }
}

/// To [`Inbound`]: decide about this.
#[derive(Clone, Debug, Message)]
#[message(reply = Verdict)]
pub(crate) struct Decide(Delivery);

impl PlainHandler<Decide> for Inbound {
    type Reply = Later<Verdict>;

    fn handle(&mut self, Decide(delivery): Decide, _: &mut Context<Self>) -> Later<Verdict> {
        let node = self.node.clone();
        Later::new(async move { decide(&node, delivery).await })
    }
}

/// [`Inbound`] as the broker's consumers see it.
pub(crate) struct Receiver {
    pub(crate) inbound: Recipient<Decide>,
    /// How long the store may take.
    pub(crate) limit: Duration,
}

impl Receive for Receiver {
    fn receive(&self, delivery: Delivery) -> BoxFuture<'static, Verdict> {
        let (inbound, limit) = (self.inbound.clone(), self.limit + MARGIN);
        async move {
            // It restarts, is gone, or has too much before it.
            let not_now = |error| Verdict::Later(format!("{error}"));
            inbound.ask_within(limit, Decide(delivery)).await.unwrap_or_else(not_now)
        }
        .boxed()
    }
}

async fn decide(node: &Node, delivery: Delivery) -> Verdict {
    let Delivery { inbound: from, body, redelivered: _ } = delivery;
    let (decided, correlation_id) = match envelope::read(&body, &node.config.inbound) {
        Ok(envelope) => {
            let correlation_id = Some(envelope.correlation_id.to_string());
            let decided = match from {
                From::JobCreated => job::take_in(node, envelope).await,
                From::ContractOutcome | From::Outcome => word::hear(node, from, envelope).await,
            };
            (decided, correlation_id)
        }
        Err(refused) => (Decided::Invalid(refused.reason, refused.problem), refused.correlation_id),
    };
    let name = match from {
        From::JobCreated => "jobs",
        From::ContractOutcome => "contract_outcomes",
        From::Outcome => "outcomes",
    };
    node.metrics.inbound(name, decided.verdict(), decided.reason());
    match decided {
        Decided::Done(_) => Verdict::Done,
        Decided::Later(_, why) => Verdict::Later(why),
        Decided::Invalid(reason, problem) => {
            let letter = dead_letter::write(&node.config, &body, &problem, correlation_id, node.store.now());
            tracing::warn!(
                correlationId = letter.correlation_id,
                reason,
                problem,
                from = name,
                bytes = body.len(),
                "a message from outside is invalid"
            );
            Verdict::Invalid(letter.body)
        }
    }
}
