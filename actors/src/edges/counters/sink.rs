//! The totals outside as they are kept up to date.

use callboard_contracts::{EventType, api::LogCursor};

use super::redis::{Found, RedisCounters, marker};
use crate::edges::{
    sink::{Placed, SinkError},
    store::{StoreHandle, record::LogPage},
};

/// What the log says is counted page by page. The totals and the place in the log up to which they count are changed in one step, so
/// nothing is counted twice or left out, whoever does it and whatever answer is lost. What is not there, or not ours, or of
/// a part of the log that is gone, is loaded from the store's totals.
impl Placed for RedisCounters {
    const CHANGED: &'static str = "the counters are not as they were left";

    async fn find_place(&self, store: &StoreHandle, owner: &str) -> Result<LogCursor, SinkError> {
        let found = self.find().await?;
        if let Some(place) = good_place(&found, store, owner).await? {
            return Ok(place);
        }
        let (totals, place) = store.totals_at().await?;
        tracing::info!(%place, found = found.marker, "the counters are loaded from the store");
        if !self.load(&found.marker, &marker(owner, place), totals).await? {
            return Err(SinkError::Failed("somebody else writes the counters".to_owned()));
        }
        Ok(place)
    }

    async fn add(
        &self,
        owner: &str,
        from: LogCursor,
        to: LogCursor,
        page: &LogPage,
    ) -> Result<bool, SinkError> {
        let of = |event_type: EventType| {
            let events = page.events.iter().filter(|event| event.event.event_type == event_type);
            events.count() as u64
        };
        let finished = page
            .events
            .iter()
            .filter(|event| matches!(event.event.event_type, EventType::Completed | EventType::Failed));
        let latest = finished.map(|event| event.event.occurred_at).max();
        let (from, to) = (marker(owner, from), marker(owner, to));
        self.advance(&from, &to, of(EventType::Completed), of(EventType::Failed), latest).await
    }

    async fn is_as_left(&self, owner: &str, at: LogCursor) -> Result<bool, SinkError> {
        let found = self.find().await?;
        Ok(found.marker == marker(owner, at) && found.own_totals().is_some())
    }

    fn gap(&self) -> Result<(), SinkError> {
        Err(SinkError::Failed("a part of the log is gone: the totals are loaded again".to_owned()))
    }
}

/// The place from where on the log can be counted on.
async fn good_place(found: &Found, store: &StoreHandle, owner: &str) -> Result<Option<LogCursor>, SinkError> {
    let Some(place) = found.place_of(owner) else { return Ok(None) };
    if found.own_totals().is_none() {
        return Ok(None);
    }
    // Another epoch, a place that is not there yet, or one of which what follows is not there any more.
    let page = store.events_after(place, None, 1).await?;
    Ok((!page.reset).then_some(place))
}
