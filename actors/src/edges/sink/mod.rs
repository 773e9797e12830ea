//! The port of whoever outside is told what happens: a broker, counters, an archive.
//!
//! A [`Relay`](crate::roles) of the node that leads reads the log by position and hands it to the sink, page by page and in order.
//! What was handed over is told again when it is not certain that it arrived, so a sink does nothing twice for one
//! event: it goes by the event's id or by its position.

mod owner;
mod placed;
mod stored_position;

use std::{fmt, sync::Arc, time::Duration};

use callboard_contracts::api::LogCursor;
use futures_util::future::BoxFuture;

use super::store::{StoreError, StoreHandle, record::LogPage};

pub use owner::{known_owner, owner};
pub use placed::{Placed, PlacedSink};
pub use stored_position::StoredPosition;

/// Why a sink has not taken what it was given. It is handed over again after a pause.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It cannot be reached, or takes nothing at the moment.
    #[error("not ready: {0}")]
    NotReady(String),
    /// It was reached, and something is wrong there.
    #[error("{0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Its position could not be read or kept.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

/// Where a sink stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has all events up to this one. Those after it follow.
    At(LogCursor),
    /// It has none, and wants what the log still holds.
    FromOldest,
    /// It has none, and wants those that come from now on.
    FromNow,
}

/// Somebody outside who is told what happens. Used by one task at a time. When a call was dropped, or has failed, the next one is
/// [`resume`](Self::resume).
pub trait EventSink: Send + 'static {
    /// Connects if need be, and says from where on it is to be told. It may bring itself up to date by other means first, from
    /// what the store says.
    fn resume(&mut self) -> BoxFuture<'_, Result<Standing, SinkError>>;

    /// Takes a page of the log that follows the one before; when this returns, nothing of it is lost any more. A page that says
    /// [`reset`](LogPage::reset) follows a gap: events were deleted before they were told.
    fn deliver(&mut self, page: LogPage) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Looks, every now and then while there is nothing to deliver, whether what was delivered is still there. After an error it is
    /// [resumed](Self::resume).
    fn check(&mut self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What a sink is made from.
#[derive(Clone)]
pub struct SinkContext {
    /// The store whose log is told.
    pub store: StoreHandle,
}

/// Makes a sink; it does not connect yet.
pub type OpenSink = Arc<dyn Fn(SinkContext) -> Box<dyn EventSink> + Send + Sync>;

/// A sink that the node that leads is to keep up to date.
#[derive(Clone)]
pub struct SinkSpec {
    /// Its name, as that of an edge: `bus`, `counters`, `archive`. It is in the tree, in metrics and in the log.
    pub name: String,
    /// Makes it.
    pub open: OpenSink,
    /// Most events of one page, at least 1.
    pub batch: u32,
    /// How long one call may take.
    pub timeout: Duration,
}

impl fmt::Debug for SinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SinkSpec { name, open: _, batch, timeout } = self;
        let mut all = f.debug_struct("SinkSpec");
        all.field("name", name).field("batch", batch).field("timeout", timeout).finish_non_exhaustive()
    }
}
