//! The event stream: pages of the log, read on when a commit says so. A slow client delays itself alone.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, http::header, web::Bytes};
use callboard_actors::roles::request::ReadLog;
use callboard_contracts::api::LogCursor;
use callboard_supervisors::Recipient;
use futures_util::{StreamExt, stream::unfold};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    api::{State, query},
    feed::{Feed, Page},
    problem::Trouble,
    seats::{STALLED, Seat},
};

/// Events in one page.
const PAGE: u32 = 256;
/// How often a quiet stream says that it is there.
const KEEP_ALIVE: Duration = STALLED.checked_div(4).expect("no division by zero");

struct Stream {
    read_log: Recipient<ReadLog>,
    committed: watch::Receiver<LogCursor>,
    after: LogCursor,
    job: Option<Uuid>,
    ready: VecDeque<Bytes>,
    feed: Arc<Feed>,
    /// Whether it reads for itself. What others have read is as good only when a commit has just woken them all: events are
    /// deleted without one, and after a long silence nobody's word is taken for that there is nothing.
    alone: bool,
    seat: Seat,
}

pub(crate) fn events(state: &State, request: &HttpRequest) -> Result<HttpResponse, Trouble> {
    let mut job = None;
    let mut cursor =
        request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    for (name, value) in query(request) {
        match &*name {
            "cursor" => cursor = Some(value),
            "job" => {
                let id = Uuid::try_parse(&value);
                job = Some(id.map_err(|_| Trouble::parameter("job", "a job's id is a UUID"))?);
            }
            other => return Err(Trouble::parameter(other, "there are cursor and job")),
        }
    }
    let committed = state.roles.committed.clone();
    let after = match cursor {
        Some(cursor) => {
            cursor.parse::<LogCursor>().map_err(|error| Trouble::parameter("cursor", error.to_string()))?
        }
        None => *committed.borrow(),
    };
    let seat = state.seat(request)?;
    let stream = Stream {
        read_log: state.roles.read_log.clone(),
        committed,
        after,
        job,
        // The place at which it begins, so that a stream that is lost before its first event can be resumed too.
        ready: VecDeque::from([Bytes::from(format!("id: {after}\nretry: 1000\n\n"))]),
        feed: state.feed.clone(),
        alone: true,
        seat,
    };
    let body = unfold(stream, |mut stream| async {
        if !stream.seat.is_kept(Instant::now()) {
            return None;
        }
        let next = stream.next().await;
        Some((Ok::<_, actix_web::Error>(next), stream))
    });
    Ok(answer(state, body))
}

/// The answer that these parts are sent as, until there are no more or the server stops.
pub(crate) fn answer(
    state: &State,
    parts: impl futures_util::Stream<Item = Result<Bytes, actix_web::Error>> + 'static,
) -> HttpResponse {
    let mut stopping = state.stopping.clone();
    let body = parts.take_until(async move {
        // An error says that the server is gone already.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(body)
}

impl Stream {
    async fn next(&mut self) -> Bytes {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return bytes;
            }
            let committed = *self.committed.borrow_and_update();
            // An outage is waited out; the client need not come again.
            if let Some(page) = self.page(committed).await {
                self.after = page.after;
                self.ready.extend(page.parts.iter().cloned());
            }
            if self.ready.is_empty() {
                let changed = tokio::time::timeout(KEEP_ALIVE, self.committed.changed()).await;
                self.alone = !matches!(changed, Ok(Ok(())));
                if self.alone {
                    return Bytes::from_static(b": still here\n\n");
                }
            }
        }
    }

    /// What comes next, after a commit up to `committed`.
    async fn page(&self, committed: LogCursor) -> Option<Arc<Page>> {
        let after = self.after;
        let read = async {
            let request = ReadLog { after, job: self.job, limit: PAGE };
            let page = self.read_log.ask(request).await;
            page.ok()?.ok().map(|page| Page::new(page, after, PAGE))
        };
        if self.alone || self.job.is_some() {
            return read.await.map(Arc::new);
        }
        self.feed.page((after, committed), read).await
    }
}
