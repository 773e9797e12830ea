//! [`LogStream`]: what a job says, over as many connections as it takes.

use std::{collections::VecDeque, fmt};

use callboard_contracts::api::{JobLogEnd, JobLogLine, JobLogPosition, JobLogQuery};
use uuid::Uuid;

use crate::{
    Client, ClientError,
    events::{connection::Connection, frames::Frame},
    retry::Tries,
};

/// What a [`LogStream`] gives.
#[derive(Clone, Debug, PartialEq)]
pub enum LogItem {
    /// A line.
    Line(Box<JobLogLine>),
    /// The job, or the attempt that was asked for, has ended: no line follows.
    End(JobLogEnd),
}

/// What the runs of a job have said, and then what they say. Made by [`Client::follow_logs`].
///
/// It ends after [`LogItem::End`], and after an error: the retry policy's tries are used up, or the server refuses in a way
/// that waiting does not mend.
pub struct LogStream {
    client: Client,
    id: Uuid,
    attempt: Option<u32>,
    after: Option<JobLogPosition>,
    tries: Tries,
    connection: Option<Connection>,
    ready: VecDeque<LogItem>,
    ended: bool,
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogStream")
    }
}

impl Client {
    /// Follows what the runs of a job say: all that is there behind `query.after`, then what comes, until the job, or
    /// `query.attempt`, has ended. Nothing is sent before the stream is first asked; dropping it ends the connection.
    ///
    /// A lost connection, or one that is silent for too long, is made good by a new one that goes on where the last one
    /// ended, as often as the client's [`RetryPolicy`](crate::RetryPolicy) says.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_client::Client, id: uuid::Uuid) -> Result<(), callboard_client::ClientError> {
    /// use callboard_client::LogItem;
    /// let mut log = client.follow_logs(id, Default::default());
    /// while let Some(item) = log.next().await {
    ///     if let LogItem::Line(line) = item? {
    ///         println!("{} {}", line.level, line.text);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow_logs(&self, id: Uuid, query: JobLogQuery) -> LogStream {
        LogStream {
            client: self.clone(),
            id,
            attempt: query.attempt,
            after: query.after,
            tries: Tries::new(self.retry),
            connection: None,
            ready: VecDeque::new(),
            ended: false,
        }
    }
}

impl LogStream {
    /// The next item. None after the end and after an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<LogItem, ClientError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                self.ended |= matches!(item, LogItem::End(_));
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.read().await {
                // One that held for a while was a success, also if nothing was said meanwhile.
                let longest = self.tries.policy().max_backoff;
                if self.connection.take().is_some_and(|connection| connection.since.elapsed() > longest) {
                    self.tries.succeeded();
                }
                let Some(notice) = self.tries.failed(&error, true) else {
                    self.ended = true;
                    return Some(Err(error));
                };
                self.client.pause(&notice).await;
            }
        }
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let Some(connection) = &mut self.connection else {
            let path = format!("/api/v1/jobs/{}/logs/stream", self.id);
            let query: Vec<_> = self.attempt.iter().map(|attempt| ("attempt", attempt.to_string())).collect();
            let after = self.after.map(|after| after.to_string());
            let opened = Connection::open(&self.client, &path, &query, after.as_deref()).await?;
            self.connection = Some(opened);
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
        let unreadable = |error| ClientError::Answer(format!("a line of a log cannot be read: {error}"));
        match (&*frame.event, frame.data) {
            ("line", Some(data)) => {
                let line: JobLogLine = serde_json::from_str(&data).map_err(unreadable)?;
                self.after = Some(line.position);
                self.ready.push_back(LogItem::Line(Box::new(line)));
                self.tries.succeeded();
            }
            ("end", Some(data)) => {
                let end = serde_json::from_str(&data).map_err(unreadable)?;
                self.ready.push_back(LogItem::End(end));
            }
            // An event of a later version; it can be no news to a program of this one.
            _ => {}
        }
        Ok(())
    }
}
