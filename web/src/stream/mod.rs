//! The stream of submissions: jobs come in line by line, and what became of each goes out line by line.
//!
//! A stream holds one batch at a time. It reads on when the answers of the batch before have found room towards the
//! client, so a client that does not read is not read from, and one that does not write costs nothing but its seat. Both
//! have `web.request_timeout` for the next step.

mod lines;

use std::{collections::VecDeque, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    rt,
    web::{Bytes, BytesMut, Data, Payload},
};
use callboard_actors::roles::request::{Form, Submit};
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::timeout,
};

use self::lines::{Line, Lines};
use crate::{
    api::{State, item},
    body, idempotency,
    problem::{Kind, Trouble},
};

/// Streams at a time.
pub(crate) const SEATS: usize = 64;
/// Jobs of one batch at most, and about their bytes.
const MAX_JOBS: usize = 1000;
const MAX_BYTES: usize = 1024 * 1024;
/// For how long a batch that is not full waits for more.
const GATHER: Duration = Duration::from_millis(2);

pub(crate) fn submit(
    state: &Data<State>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Trouble> {
    idempotency::refuse(request)?;
    let seat = state.streams.clone().try_acquire_owned();
    let seat = seat.map_err(|_| Trouble::new(Kind::Unavailable, "as many streams are open as may"))?;
    let (answers, taken) = mpsc::channel(1);
    let pump = Pump {
        state: state.clone(),
        stopping: state.stopping.clone(),
        lines: Lines::new(payload, state.settings.max_body),
        index: 0,
        request: body::submit(Form::Api, Vec::new(), request),
        answers,
        _seat: seat,
    };
    rt::spawn(pump.run());
    let body = unfold(taken, |mut taken| async {
        let bytes: Bytes = taken.recv().await?;
        Some((Ok::<_, actix_web::Error>(bytes), taken))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(body))
}

/// Moves jobs from the client to the store, and the answers back.
struct Pump {
    state: Data<State>,
    stopping: watch::Receiver<bool>,
    lines: Lines<Payload>,
    /// Of the next line that is no blank.
    index: usize,
    /// What the requests of this stream have in common.
    request: Submit,
    answers: mpsc::Sender<Bytes>,
    _seat: OwnedSemaphorePermit,
}

/// Why nothing more is read.
enum End {
    /// The client has said all, or is gone.
    Quiet,
    /// The client is to hear why.
    Told(Trouble),
}

impl Pump {
    async fn run(mut self) {
        let end = loop {
            let (lines, end) = self.gather().await;
            if !lines.is_empty() && !self.store(lines).await {
                break End::Quiet;
            }
            if let Some(end) = end {
                break end;
            }
        };
        if let End::Told(trouble) = end {
            tracing::debug!(?trouble, index = self.index, "a stream of submissions ends early");
            let line = text(self.index, Err(trouble));
            self.send(line).await;
        }
    }

    /// The lines that are there, at least one unless nothing more is to be read.
    async fn gather(&mut self) -> (Vec<Line>, Option<End>) {
        let limit = self.state.settings.request_timeout;
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < MAX_JOBS && bytes < MAX_BYTES {
            let patience = if lines.is_empty() { limit } else { GATHER };
            let next = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => {
                    let trouble = Trouble::new(Kind::Unavailable, "the server is shutting down");
                    return (lines, Some(End::Told(trouble)));
                }
                () = self.answers.closed() => return (Vec::new(), Some(End::Quiet)),
                next = timeout(patience, self.lines.next()) => next,
            };
            match next {
                Ok(Ok(Some(line))) => {
                    bytes += line.as_ref().map_or(0, BytesMut::len);
                    lines.push(line);
                }
                Ok(Ok(None)) => return (lines, Some(End::Quiet)),
                // Whoever breaks off in the middle of a request is mostly gone.
                Ok(Err(PayloadError::Incomplete(_) | PayloadError::Io(_))) => {
                    return (lines, Some(End::Quiet));
                }
                Ok(Err(error)) => {
                    let trouble =
                        Trouble::new(Kind::Malformed, format!("the body could not be read: {error}"));
                    return (lines, Some(End::Told(trouble)));
                }
                Err(_) if lines.is_empty() => {
                    let trouble = Trouble::new(Kind::Timeout, format!("no line came within {limit:?}"));
                    return (lines, Some(End::Told(trouble)));
                }
                Err(_) => break,
            }
        }
        (lines, None)
    }

    /// Stores a batch and answers for each of its lines. False if nobody reads the answers.
    async fn store(&mut self, lines: Vec<Line>) -> bool {
        let read = |line: Line| line.and_then(|line| body::json(&line, &self.state.settings));
        let mut jobs: Vec<Value> = Vec::with_capacity(lines.len());
        let read: Vec<Result<(), Trouble>> =
            lines.into_iter().map(|line| read(line).map(|job| jobs.push(job))).collect();
        let count = jobs.len();
        let stored = if count == 0 {
            Ok(Vec::new())
        } else {
            self.state.ask(&self.state.roles.submit, Submit { jobs, ..self.request.clone() }).await
        };
        let mut stored: VecDeque<Result<_, Trouble>> = match stored {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(Trouble::from)).collect(),
            Err(trouble) => std::iter::repeat_n(Err(trouble), count).collect(),
        };
        let mut text = String::new();
        for line in read {
            let unanswered = || Err(Trouble::new(Kind::Unavailable, "the gateway gave no answer"));
            let answer = line.and_then(|()| stored.pop_front().unwrap_or_else(unanswered));
            text.push_str(&self::text(self.index, answer));
            self.index += 1;
        }
        self.send(text).await
    }

    /// False if nobody reads it in time.
    async fn send(&self, text: String) -> bool {
        let limit = self.state.settings.request_timeout;
        let sent = timeout(limit, self.answers.send(Bytes::from(text))).await;
        if sent.is_err() {
            tracing::debug!(
                ?limit,
                index = self.index,
                "a stream is given up: its client does not read the answers"
            );
        }
        matches!(sent, Ok(Ok(())))
    }
}

/// The answer for one line.
fn text(index: usize, answer: Result<callboard_contracts::api::Submitted, Trouble>) -> String {
    // What serialises by derive, with string keys, does not fail.
    let mut text = serde_json::to_string(&item((index, answer))).unwrap_or_default();
    text.push('\n');
    text
}
