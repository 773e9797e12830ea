//! [`BusSink`]: tells the bus what the log says.

use std::{sync::Arc, time::Duration};

use callboard_contracts::api::LogCursor;
use futures_util::{FutureExt, future::BoxFuture};

use super::{Outward, Publish, PublishError};
use crate::edges::{
    sink::{EventSink, SinkContext, SinkError, SinkSpec, Standing, StoredPosition},
    store::record::LogPage,
};

/// The sink's name, under which its position is kept.
pub(super) const NAME: &str = "bus";

/// Events of one page of a bus of somebody's own.
const PAGE: u32 = 1000;

/// Publishes the log's events, page by page. The position is kept after the broker has confirmed a page, so what was not confirmed
/// is published again: at least once, and in the log's order but for what is repeated.
pub(super) struct BusSink {
    outward: Outward,
    publisher: Arc<dyn Publish>,
    position: StoredPosition,
}

impl BusSink {
    pub(super) fn new(outward: Outward, publisher: Arc<dyn Publish>, context: SinkContext) -> Self {
        BusSink { outward, publisher, position: StoredPosition::new(context.store, NAME) }
    }

    async fn tell(&self, page: LogPage) -> Result<(), SinkError> {
        let mut messages = Vec::with_capacity(2 * page.events.len());
        // The place of the event that each message tells of.
        let mut places: Vec<LogCursor> = Vec::with_capacity(messages.capacity());
        for event in &page.events {
            self.outward.add(event, &mut messages);
            places.resize(messages.len(), event.cursor);
        }
        let results = if messages.is_empty() { Vec::new() } else { self.publisher.publish(messages).await };
        let failed = places.iter().zip(results).find_map(|(place, result)| Some((*place, result.err()?)));
        let Some((place, error)) = failed else {
            return match page.events.last() {
                Some(last) => self.position.save(last.cursor).await,
                None => Ok(()),
            };
        };
        // What stands before it need not be told again.
        let before = page.events.iter().take_while(|event| event.cursor != place).last();
        if let Some(event) = before {
            self.position.save(event.cursor).await?;
        }
        Err(error.into())
    }
}

impl EventSink for BusSink {
    fn resume(&mut self) -> BoxFuture<'_, Result<Standing, SinkError>> {
        // From the beginning at first: a job that was stored while the broker was still away is told, too.
        async { Ok(self.position.load().await?.map_or(Standing::FromOldest, Standing::At)) }.boxed()
    }

    fn deliver(&mut self, page: LogPage) -> BoxFuture<'_, Result<(), SinkError>> {
        self.tell(page).boxed()
    }
}

impl Outward {
    /// What tells all this through `publisher`, at least once and in the log's order; `None` if there is nothing to tell. A page of at
    /// most 1000 events may take `timeout`, which is to be longer than the publisher waits for the broker. How far it is stands in
    /// the store.
    ///
    /// For a bus of one's own; [RabbitMQ's](crate::edges::bus) brings its sink.
    pub fn sink(&self, publisher: Arc<dyn Publish>, timeout: Duration) -> Option<SinkSpec> {
        if self.is_empty() {
            return None;
        }
        let outward = self.clone();
        let open = move |context: SinkContext| {
            Box::new(BusSink::new(outward.clone(), publisher.clone(), context)) as Box<dyn EventSink>
        };
        Some(SinkSpec { name: NAME.to_owned(), open: Arc::new(open), batch: PAGE, timeout })
    }
}

impl From<PublishError> for SinkError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::NotReady(_) => SinkError::NotReady(error.to_string()),
            PublishError::TimedOut(limit) => SinkError::TimedOut(limit),
            PublishError::NoQueue(_) | PublishError::Refused(_) => SinkError::Failed(error.to_string()),
        }
    }
}
