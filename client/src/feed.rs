//! The live feed.

use std::{collections::VecDeque, fmt};

use callboard_contracts::api::{
    EdgeChanges, FeedTopic, InterfaceView, JobChanges, NodeChanges, Overview, QueueChanges, Series,
    TreeChanges,
};
use serde::de::DeserializeOwned;

use crate::{
    Client, ClientError,
    events::{connection::Connection, frames::Frame},
    request::Call,
    retry::Tries,
};

/// What a [`FeedStream`] gives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FeedItem {
    /// The server answers. Comes again after each lost connection.
    Opened,
    /// The connection is lost, and is being made again: what is known gets stale. Says why.
    Lost(String),
    /// What is known is to be forgotten: all there is follows.
    Reset,
    /// What there is at one look.
    Overview(Box<Overview>),
    /// What has changed of the queues.
    Queues(QueueChanges),
    /// What has changed of the nodes.
    Nodes(NodeChanges),
    /// What has changed of the edges.
    Edges(EdgeChanges),
    /// What has changed of the server's supervision tree.
    Tree(TreeChanges),
    /// Jobs of which something was said.
    Jobs(JobChanges),
}

/// Which numbers over time are wanted. The default is all of them, of all queues, in steps of a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Only these. Default: all.
    pub names: Vec<String>,
    /// Those of this queue alone. Default: of all together.
    pub queue: Option<String>,
    /// `1s`, `10s` or `1m`. Default: `1s`.
    pub resolution: Option<String>,
}

/// What there is to watch, read over as many connections as it takes. Made by [`Client::feed`].
///
/// It ends after an error, and only then: the retry policy's tries are used up, or the server refuses in a way that waiting
/// does not mend.
pub struct FeedStream {
    client: Client,
    topics: Vec<FeedTopic>,
    after: Option<String>,
    tries: Tries,
    connection: Option<Connection>,
    ready: VecDeque<FeedItem>,
    ended: bool,
}

impl Client {
    /// Watches what there is, by these topics; none: by all. Nothing is sent before the stream is first asked for an item; dropping it
    /// ends the connection. A lost connection is made again, and goes on where it was lost, if the server still knows.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_client::Client) -> Result<(), callboard_client::ClientError> {
    /// use callboard_client::FeedItem;
    /// use callboard_contracts::api::FeedTopic;
    /// let mut feed = client.feed(&[FeedTopic::Overview]);
    /// while let Some(item) = feed.next().await {
    ///     if let FeedItem::Overview(overview) = item? {
    ///         println!("{:.1} jobs/s are completed", overview.rates.completed);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn feed(&self, topics: &[FeedTopic]) -> FeedStream {
        FeedStream {
            client: self.clone(),
            topics: topics.to_vec(),
            after: None,
            tries: Tries::new(self.retry),
            connection: None,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// What there is, and how it goes, at one look.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn overview(&self) -> Result<Overview, ClientError> {
        self.call(Call::get("/api/v1/overview")).await
    }

    /// Numbers over time, as the server has seen them since its start.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 400 if there is no number of such a name, and 404 if nothing is known of the queue.
    pub async fn series(&self, query: &SeriesQuery) -> Result<Series, ClientError> {
        let mut parts: Vec<(&'static str, String)> = Vec::new();
        if !query.names.is_empty() {
            parts.push(("names", query.names.join(",")));
        }
        parts.extend(query.queue.iter().map(|queue| ("queue", queue.clone())));
        parts.extend(query.resolution.iter().map(|resolution| ("resolution", resolution.clone())));
        self.call(Call::get("/api/v1/series").query(parts)).await
    }

    /// Web interfaces that belong to the system.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn interfaces(&self) -> Result<Vec<InterfaceView>, ClientError> {
        self.call(Call::get("/api/v1/interfaces")).await
    }
}

impl FeedStream {
    /// The next item. None after an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<FeedItem, ClientError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.read().await {
                let longest = self.tries.policy().max_backoff;
                let was_open = self.connection.take();
                if was_open.as_ref().is_some_and(|connection| connection.since.elapsed() > longest) {
                    self.tries.succeeded();
                }
                let Some(notice) = self.tries.failed(&error, true) else {
                    self.ended = true;
                    return Some(Err(error));
                };
                if was_open.is_some() {
                    // The first try follows at once, so that whoever watches hears of it first; further ones after pauses.
                    self.ready.push_back(FeedItem::Lost(error.to_string()));
                    continue;
                }
                self.client.pause(&notice).await;
            }
        }
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let Some(connection) = &mut self.connection else {
            let topics: Vec<&str> = self.topics.iter().map(|topic| topic.as_str()).collect();
            let topics = Some(("topics", topics.join(","))).filter(|_| !self.topics.is_empty());
            let query: Vec<_> = topics.into_iter().collect();
            let opened =
                Connection::open(&self.client, "/api/v1/feed", &query, self.after.as_deref()).await?;
            self.connection = Some(opened);
            self.ready.push_back(FeedItem::Opened);
            return Ok(());
        };
        let frames = connection.read(&self.client).await?;
        frames.into_iter().try_for_each(|frame| self.take(frame))
    }

    fn take(&mut self, frame: Frame) -> Result<(), ClientError> {
        if let Some(retry) = frame.retry {
            let policy = self.tries.policy();
            policy.min_backoff = retry.min(policy.max_backoff);
        }
        let item = match (&*frame.event, frame.data) {
            ("reset", Some(_)) => Some(FeedItem::Reset),
            ("overview", Some(data)) => Some(FeedItem::Overview(Box::new(parse(&data)?))),
            ("queues", Some(data)) => Some(FeedItem::Queues(parse(&data)?)),
            ("nodes", Some(data)) => Some(FeedItem::Nodes(parse(&data)?)),
            ("edges", Some(data)) => Some(FeedItem::Edges(parse(&data)?)),
            ("tree", Some(data)) => Some(FeedItem::Tree(parse(&data)?)),
            ("jobs", Some(data)) => Some(FeedItem::Jobs(parse(&data)?)),
            // A topic of a later version; it can be no news to a program of this one.
            _ => None,
        };
        self.ready.extend(item);
        if let Some(id) = frame.id {
            self.tries.succeeded();
            self.after = Some(id).filter(|id| !id.is_empty());
        }
        Ok(())
    }
}

impl fmt::Debug for FeedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedStream").field("topics", &self.topics).finish_non_exhaustive()
    }
}

fn parse<T: DeserializeOwned>(data: &str) -> Result<T, ClientError> {
    serde_json::from_str(data)
        .map_err(|error| ClientError::Answer(format!("a frame of the feed cannot be read: {error}")))
}
