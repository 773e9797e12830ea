//! Following the event log.

pub(crate) mod connection;
pub(crate) mod frames;
mod stream;

use callboard_contracts::api::{EventRecord, LogCursor};
pub use stream::EventStream;
use uuid::Uuid;

use crate::Client;

/// Which events are followed. The default is all of them, from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Begin after this place of the log. Default: now.
    pub after: Option<LogCursor>,
    /// Only events of this job. Default: of all jobs.
    pub job: Option<Uuid>,
}

/// What an [`EventStream`] gives.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamItem {
    /// The server answers: what happens from here on is seen, and what happened before can be looked up without
    /// missing anything. Comes again after each lost connection; the events in between follow it.
    Opened,
    /// An event. Its cursor is where to go on another time.
    Event(Box<EventRecord>),
    /// Events were missed: they were deleted already, or belong to another log, or the connection was lost before
    /// the place in the log was known. What is known of jobs must be looked up again.
    Reset,
}

impl Client {
    /// Follows the event log. Nothing is sent before the stream is first polled; dropping it ends the connection.
    ///
    /// A lost connection, or one that is silent for too long, is made good by a new one that begins where the last
    /// one ended. The client's [`RetryPolicy`](crate::RetryPolicy) says how often
    /// that is tried between two successes.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_client::Client) -> Result<(), callboard_client::ClientError> {
    /// use callboard_client::{EventQuery, StreamItem};
    /// let mut events = client.events(EventQuery::default());
    /// while let Some(item) = events.next().await {
    ///     if let StreamItem::Event(record) = item? {
    ///         println!("{} {}", record.cursor, record.event.event_type);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self, query: EventQuery) -> EventStream {
        EventStream::new(self.clone(), query)
    }
}
