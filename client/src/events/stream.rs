//! [`EventStream`]: one log, read over as many connections as it takes.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use callboard_contracts::{EventType, api::EventRecord};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use super::{EventQuery, StreamItem, connection::Connection, frames::Frame};
use crate::{Client, ClientError, retry::Tries};

/// The event log as it grows, as a [`Stream`] of [`StreamItem`]s. Made by [`Client::events`].
///
/// It ends after an error, and only then: the retry policy's tries are used up, or the server refuses in a way that
/// waiting does not mend.
pub struct EventStream(BoxStream<'static, Result<StreamItem, ClientError>>);

impl EventStream {
    pub(super) fn new(client: Client, query: EventQuery) -> Self {
        let tries = Tries::new(client.retry);
        let after = query.after.map(|cursor| cursor.to_string());
        let log = Log { client, query, after, tries, connection: None, opened_before: false };
        let state = (log, VecDeque::new(), false);
        let items = stream::unfold(state, |(mut log, mut ready, ended)| async move {
            if ended {
                return None;
            }
            loop {
                if let Some(item) = ready.pop_front() {
                    return Some((Ok(item), (log, ready, false)));
                }
                match log.read().await {
                    Ok(items) => ready.extend(items),
                    Err(error) => return Some((Err(error), (log, ready, true))),
                }
            }
        });
        EventStream(items.fuse().boxed())
    }

    /// The next item. None after an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<StreamItem, ClientError>> {
        self.0.next().await
    }
}

impl Stream for EventStream {
    type Item = Result<StreamItem, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}

struct Log {
    client: Client,
    query: EventQuery,
    /// The place reached, as the server names it.
    after: Option<String>,
    tries: Tries,
    connection: Option<Connection>,
    opened_before: bool,
}

impl Log {
    /// Reads on; connects first, and again, where needed.
    async fn read(&mut self) -> Result<Vec<StreamItem>, ClientError> {
        loop {
            let read = match &mut self.connection {
                None => self.open().await,
                Some(connection) => match connection.read(&self.client).await {
                    Ok(frames) => self.take(frames),
                    Err(error) => Err(error),
                },
            };
            let error = match read {
                Ok(items) => return Ok(items),
                Err(error) => error,
            };
            // One that held for a while was a success, also if nothing happened meanwhile.
            let longest = self.tries.policy().max_backoff;
            if self.connection.take().is_some_and(|connection| connection.since.elapsed() > longest) {
                self.tries.succeeded();
            }
            let Some(notice) = self.tries.failed(&error, true) else { return Err(error) };
            self.client.pause(&notice).await;
        }
    }

    async fn open(&mut self) -> Result<Vec<StreamItem>, ClientError> {
        let query: Vec<_> = self.query.job.iter().map(|job| ("job", job.to_string())).collect();
        let opened = Connection::open(&self.client, "/api/v1/events", &query, self.after.as_deref()).await?;
        self.connection = Some(opened);
        let again = std::mem::replace(&mut self.opened_before, true);
        let mut items = vec![StreamItem::Opened];
        if again && self.after.is_none() {
            items.push(StreamItem::Reset);
        }
        Ok(items)
    }

    fn take(&mut self, frames: Vec<Frame>) -> Result<Vec<StreamItem>, ClientError> {
        let mut items = Vec::new();
        for frame in frames {
            if let Some(retry) = frame.retry {
                let policy = self.tries.policy();
                policy.min_backoff = retry.min(policy.max_backoff);
            }
            let known = EventType::from_name(&frame.event).is_some();
            match frame.data {
                Some(_) if frame.event == "reset" => items.push(StreamItem::Reset),
                Some(data) if known => {
                    let record: EventRecord = serde_json::from_str(&data)
                        .map_err(|error| ClientError::Answer(format!("an event cannot be read: {error}")))?;
                    items.push(StreamItem::Event(Box::new(record)));
                }
                // An event of a later version; it can be no news to a program of this one.
                _ => {}
            }
            if let Some(id) = frame.id {
                self.tries.succeeded();
                self.after = Some(id).filter(|id| !id.is_empty());
            }
        }
        Ok(items)
    }
}
