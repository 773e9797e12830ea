//! The event stream: pages of the log, read on when a commit says so. A slow client delays itself alone.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, http::header, web::Bytes};
use callboard_actors::{edges::store::record::LogPage, roles::request::ReadLog};
use callboard_contracts::api::{EventRecord, LogCursor};
use callboard_supervisors::Recipient;
use futures_util::{StreamExt, stream::unfold};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    api::{State, query},
    problem::{Kind, Trouble},
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
    let seat = state
        .seats
        .take(state.settings.sse_max_clients, Instant::now())
        .ok_or_else(|| Trouble::new(Kind::Unavailable, "as many clients follow the events as may"))?;
    let stream = Stream {
        read_log: state.roles.read_log.clone(),
        committed,
        after,
        job,
        // The place at which it begins, so that a stream that is lost before its first event can be resumed too.
        ready: VecDeque::from([Bytes::from(format!("id: {after}\nretry: 1000\n\n"))]),
        seat,
    };
    let body = unfold(stream, |mut stream| async {
        if !stream.seat.is_kept(Instant::now()) {
            return None;
        }
        let next = stream.next().await;
        Some((Ok::<_, actix_web::Error>(next), stream))
    });
    let mut stopping = state.stopping.clone();
    let body = body.take_until(async move {
        // An error says that the server is gone already.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(body))
}

impl Stream {
    async fn next(&mut self) -> Bytes {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return bytes;
            }
            self.committed.mark_unchanged();
            let request = ReadLog { after: self.after, job: self.job, limit: PAGE };
            // An outage is waited out; the client need not come again.
            if let Ok(Ok(page)) = self.read_log.ask(request).await {
                self.take(page);
            }
            if self.ready.is_empty() {
                let changed = tokio::time::timeout(KEEP_ALIVE, self.committed.changed()).await;
                if !matches!(changed, Ok(Ok(()))) {
                    return Bytes::from_static(b": still here\n\n");
                }
            }
        }
    }

    fn take(&mut self, page: LogPage) {
        if page.reset {
            let position = page.oldest.position.saturating_sub(1);
            self.after = LogCursor { position, ..page.oldest };
            self.ready.push_back(Bytes::from(format!("id: {}\nevent: reset\ndata: {{}}\n\n", self.after)));
        }
        let full = page.events.len() >= PAGE as usize;
        for logged in page.events {
            self.after = logged.cursor;
            let cursor = logged.cursor.to_string();
            let event = logged.event.event_type;
            let record = EventRecord { cursor: cursor.clone(), queue: logged.queue, event: logged.event };
            // What serialises by derive, with string keys, does not fail.
            let data = serde_json::to_string(&record).unwrap_or_default();
            self.ready.push_back(Bytes::from(format!("id: {cursor}\nevent: {event}\ndata: {data}\n\n")));
        }
        // What was passed over for the sake of one job need not be looked at again.
        if !full {
            self.after = self.after.max(page.newest);
        }
    }
}
