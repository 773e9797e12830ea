//! [`CountersSink`]: keeps the totals outside up to date.

use std::sync::Arc;

use callboard_contracts::{EventType, api::LogCursor};
use futures_util::{FutureExt, future::BoxFuture};

use super::redis::{Found, RedisCounters, marker};
use crate::edges::{
    sink::{EventSink, SinkError, Standing, owner},
    store::{StoreHandle, record::LogPage},
};

/// Counts what the log says, page by page. The totals and the place in the log up to which they count are changed in one step, so
/// nothing is counted twice or left out, whoever does it and whatever answer is lost. What is not there, or not ours, or of
/// a part of the log that is gone, is loaded from the store's totals.
pub(super) struct CountersSink {
    counters: Arc<RedisCounters>,
    store: StoreHandle,
    /// Who we are, and what stands there as far as we know.
    at: Option<(String, LogCursor)>,
}

impl CountersSink {
    pub(super) fn new(counters: Arc<RedisCounters>, store: StoreHandle) -> Self {
        CountersSink { counters, store, at: None }
    }

    async fn find_place(&mut self) -> Result<LogCursor, SinkError> {
        let owner = owner(&self.store).await?;
        let found = self.counters.find().await?;
        let place = match self.good_place(&found, &owner).await? {
            Some(place) => place,
            None => {
                let (totals, place) = self.store.totals_at().await?;
                tracing::info!(%place, found = found.marker, "the counters are loaded from the store");
                if !self.counters.load(&found.marker, &marker(&owner, place), totals).await? {
                    return Err(SinkError::Failed("somebody else writes the counters".to_owned()));
                }
                place
            }
        };
        self.at = Some((owner, place));
        Ok(place)
    }

    /// The place from where on the log can be counted on.
    async fn good_place(&self, found: &Found, owner: &str) -> Result<Option<LogCursor>, SinkError> {
        let Some(place) = found.place_of(owner) else { return Ok(None) };
        if found.own_totals().is_none() {
            return Ok(None);
        }
        // Another epoch, a place that is not there yet, or one of which what follows is not there any more.
        let page = self.store.events_after(place, None, 1).await?;
        Ok((!page.reset).then_some(place))
    }

    async fn count(&mut self, page: LogPage) -> Result<(), SinkError> {
        let (Some((owner, at)), false) = (&mut self.at, page.reset) else {
            return Err(SinkError::Failed(
                "a part of the log is gone: the totals are loaded again".to_owned(),
            ));
        };
        let Some(last) = page.events.last().map(|event| event.cursor) else { return Ok(()) };
        let of = |event_type: EventType| {
            let events = page.events.iter().filter(|event| event.event.event_type == event_type);
            events.count() as u64
        };
        let finished = page
            .events
            .iter()
            .filter(|event| matches!(event.event.event_type, EventType::Completed | EventType::Failed));
        let latest = finished.map(|event| event.event.occurred_at).max();
        let (from, to) = (marker(owner, *at), marker(owner, last));
        if !self.counters.advance(&from, &to, of(EventType::Completed), of(EventType::Failed), latest).await?
        {
            return Err(SinkError::Failed("the counters are not as they were left".to_owned()));
        }
        *at = last;
        Ok(())
    }

    async fn look(&mut self) -> Result<(), SinkError> {
        let found = self.counters.find().await?;
        let as_left = self.at.as_ref().is_some_and(|(owner, at)| found.marker == marker(owner, *at));
        if as_left && found.own_totals().is_some() {
            return Ok(());
        }
        Err(SinkError::Failed("the counters are not as they were left".to_owned()))
    }
}

impl EventSink for CountersSink {
    fn resume(&mut self) -> BoxFuture<'_, Result<Standing, SinkError>> {
        async {
            // Until it is certain, nothing is.
            self.at = None;
            self.find_place().await.map(Standing::At)
        }
        .boxed()
    }

    fn deliver(&mut self, page: LogPage) -> BoxFuture<'_, Result<(), SinkError>> {
        self.count(page).boxed()
    }

    fn check(&mut self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.look().boxed()
    }
}
