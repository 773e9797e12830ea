//! [`PlacedSink`]: for sinks that keep themselves up to where they are told.

use std::{future::Future, sync::Arc};

use callboard_contracts::api::LogCursor;
use futures_util::{FutureExt, future::BoxFuture};

use super::{EventSink, SinkError, Standing, owner};
use crate::edges::store::{StoreHandle, record::LogPage};

/// Something outside that has, beside what the log said, the place in the log up to which it has it, and whose that log is.
pub trait Placed: Send + Sync + 'static {
    /// The place that it has of this owner's log, made good first if there is none, or none that can be gone on from.
    fn find_place(
        &self,
        store: &StoreHandle,
        owner: &str,
    ) -> impl Future<Output = Result<LogCursor, SinkError>> + Send;

    /// Adds a page that is not empty, and moves the place on, if it is still the one before. False: it is not.
    fn add(
        &self,
        owner: &str,
        from: LogCursor,
        to: LogCursor,
        page: &LogPage,
    ) -> impl Future<Output = Result<bool, SinkError>> + Send;

    /// Whether it is as it was left.
    fn is_as_left(&self, owner: &str, at: LogCursor) -> impl Future<Output = Result<bool, SinkError>> + Send;

    /// Of a page that follows a gap in the log.
    ///
    /// # Errors
    /// It cannot go on after one. By default it can.
    fn gap(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// What is said when it is not as it was left.
    const CHANGED: &'static str;
}

/// Keeps something [placed](Placed) up to date. It goes by what it knows to be there, and asks again when that is not so.
pub struct PlacedSink<P> {
    placed: Arc<P>,
    store: StoreHandle,
    /// Who we are, and what is kept there as far as we know.
    at: Option<(String, LogCursor)>,
}

impl<P: Placed> PlacedSink<P> {
    /// A sink that has not asked yet.
    pub fn new(placed: Arc<P>, store: StoreHandle) -> Self {
        PlacedSink { placed, store, at: None }
    }

    async fn find_place(&mut self) -> Result<Standing, SinkError> {
        // Until it is certain, nothing is.
        self.at = None;
        let owner = owner(&self.store).await?;
        let place = self.placed.find_place(&self.store, &owner).await?;
        self.at = Some((owner, place));
        Ok(Standing::At(place))
    }

    async fn add(&mut self, page: LogPage) -> Result<(), SinkError> {
        let Some((owner, at)) = &mut self.at else { return Err(not_asked()) };
        if page.reset {
            self.placed.gap()?;
        }
        let Some(last) = page.events.last().map(|event| event.cursor) else { return Ok(()) };
        if !self.placed.add(owner, *at, last, &page).await? {
            return Err(SinkError::Failed(P::CHANGED.to_owned()));
        }
        *at = last;
        Ok(())
    }

    async fn look(&mut self) -> Result<(), SinkError> {
        let Some((owner, at)) = &self.at else { return Err(not_asked()) };
        if self.placed.is_as_left(owner, *at).await? {
            return Ok(());
        }
        Err(SinkError::Failed(P::CHANGED.to_owned()))
    }
}

fn not_asked() -> SinkError {
    SinkError::NotReady("nobody has asked where it stands".to_owned())
}

impl<P: Placed> EventSink for PlacedSink<P> {
    fn resume(&mut self) -> BoxFuture<'_, Result<Standing, SinkError>> {
        self.find_place().boxed()
    }

    fn deliver(&mut self, page: LogPage) -> BoxFuture<'_, Result<(), SinkError>> {
        self.add(page).boxed()
    }

    fn check(&mut self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.look().boxed()
    }
}
