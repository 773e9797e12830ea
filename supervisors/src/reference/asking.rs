//! One ask, whatever kind of address it goes to.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    actix::Message,
    envelope::{Refused, Sealed},
    error::{AskError, SendError},
    label::Labelled,
    meta::ActorId,
    reference::patience::within,
    waiting::{Target, is_asking, while_waiting},
};

/// How long an ask waits at most, unless its limit is said.
pub(crate) const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Has `admit` put the message in, and waits for the reply. `target` is called when it waits in earnest.
pub(super) async fn ask<M: Message, F>(
    id: ActorId,
    limit: Duration,
    message: M,
    admit: impl FnOnce(Box<Sealed<M>>) -> F,
    target: impl FnOnce() -> Arc<dyn Target>,
) -> Result<M::Result, AskError>
where
    F: Future<Output = Result<(), Refused<M>>>,
{
    if is_asking(id) {
        return Err(AskError::SelfAsk);
    }
    let (envelope, answer) = Sealed::ask(message);
    let asked = async {
        admit(envelope).await.map_err(SendError::<M>::from)?;
        answer.await.unwrap_or(Err(AskError::Stopped))
    };
    within(limit, asked, || while_waiting(target(), M::LABEL)).await.unwrap_or(Err(AskError::TimedOut(limit)))
}
