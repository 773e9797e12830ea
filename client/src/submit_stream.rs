//! [`SubmitStream`]: jobs that go out one by one, and what became of each.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use callboard_contracts::api::SubmittedItem;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use reqwest::{Body, Method, Response, header};
use serde_json::Value;
use tokio::time::timeout;

use crate::{Client, ClientError, answer};

/// How long the head of the answer may take.
const HEAD: Duration = Duration::from_secs(30);
const LINES: &str = "application/x-ndjson";

/// What became of each job of a stream of submissions, in the order in which they were sent, as a [`Stream`]. Made by
/// [`Client::submit_stream`].
///
/// It ends when the server has answered for all, or has said why it read no further (an item whose index is that of the
/// first job that it did not read); an error ends it, too. Jobs without an answer may or may not be stored: sent again
/// under the same ids they are stored once. Nothing is tried again here.
pub struct SubmitStream(BoxStream<'static, Result<SubmittedItem, ClientError>>);

impl SubmitStream {
    /// The next answer. None after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<SubmittedItem, ClientError>> {
        self.0.next().await
    }
}

impl Stream for SubmitStream {
    type Item = Result<SubmittedItem, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for SubmitStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubmitStream")
    }
}

impl Client {
    /// Submits jobs as they come, each a [`SubmitJob`](callboard_contracts::api::SubmitJob) as JSON, over one connection.
    /// Give each an id, so that it can be sent again. Jobs are taken from `jobs` as fast as the server takes them, and the
    /// server takes no more while nobody reads the answers.
    ///
    /// # Errors
    /// See [`ClientError`]; a server of version 0.2 answers with 404 or 405.
    ///
    /// ```no_run
    /// # async fn example(client: callboard_client::Client) -> Result<(), callboard_client::ClientError> {
    /// use futures_util::stream;
    /// use serde_json::json;
    /// use uuid::Uuid;
    /// let jobs = stream::iter((0..100_000).map(|n| {
    ///     json!({ "type": "noop", "id": Uuid::now_v7(), "metadata": { "n": n } })
    /// }));
    /// let mut answers = client.submit_stream(jobs).await?;
    /// while let Some(answer) = answers.next().await {
    ///     let answer = answer?;
    ///     println!("{}: {}", answer.index, answer.status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn submit_stream(
        &self,
        jobs: impl Stream<Item = Value> + Send + 'static,
    ) -> Result<SubmitStream, ClientError> {
        let lines = jobs.map(|job| Ok::<_, std::convert::Infallible>(format!("{job}\n")));
        let request = self
            .request(Method::POST, "/api/v1/jobs/stream", &[])
            .header(header::CONTENT_TYPE, LINES)
            .body(Body::wrap_stream(lines));
        let late = |_| ClientError::Lost {
            url: self.url().to_owned(),
            problem: format!("no answer within {HEAD:?}"),
        };
        let response = timeout(HEAD, self.send(request)).await.map_err(late)??;
        if !response.status().is_success() {
            return Err(answer::refusal(self, response).await);
        }
        let kind = answer::media_type(&response);
        if kind != LINES {
            return Err(answer::wrong_type(self, &kind, LINES));
        }
        let answers = Answers { client: self.clone(), response, buffer: Vec::new(), searched: 0 };
        let items = stream::unfold(Some(answers), |answers| async move {
            let mut answers = answers?;
            match answers.next().await {
                Ok(Some(item)) => Some((Ok(item), Some(answers))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(SubmitStream(items.fuse().boxed()))
    }
}

/// Answers as they come, one a line.
struct Answers {
    client: Client,
    response: Response,
    buffer: Vec<u8>,
    /// How far the buffer has no end of a line.
    searched: usize,
}

impl Answers {
    async fn next(&mut self) -> Result<Option<SubmittedItem>, ClientError> {
        loop {
            if let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + found + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                let read = serde_json::from_slice(&line);
                return read.map(Some).map_err(|error| ClientError::Answer(error.to_string()));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.client.answer_limit {
                let limit = self.client.answer_limit;
                return Err(ClientError::Answer(format!("a line has more than the {limit} bytes allowed")));
            }
            let lost = |error: reqwest::Error| ClientError::reach(self.client.url(), &error);
            match self.response.chunk().await.map_err(lost)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    let problem = "the answers broke off in the middle of a line".to_owned();
                    return Err(ClientError::Lost { url: self.client.url().to_owned(), problem });
                }
            }
        }
    }
}
