//! What the runs of a job have said, page by page and as a stream.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, web::Bytes};
use callboard_actors::roles::request::{GetJob, GetJobLog};
use callboard_contracts::api::{JobLogEnd, JobLogPage, JobLogPosition, JobLogQuery};
use callboard_supervisors::Recipient;
use futures_util::stream::unfold;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    api::{State, job_id, query},
    problem::{Kind, Trouble},
    seats::{STALLED, Seat},
    sse,
};

/// Lines that a stream reads at a time.
const PAGE: u32 = 256;
/// How often a stream looks for new lines. Runs write theirs about once a second.
const LOOK: Duration = Duration::from_millis(500);
/// How often a quiet stream says that it is there.
const KEEP_ALIVE: Duration = STALLED.checked_div(4).expect("no division by zero");

/// Reads the query's parameters; `limit` only where there are pages.
fn read_query(request: &HttpRequest, paged: bool) -> Result<JobLogQuery, Trouble> {
    let mut read = JobLogQuery::default();
    for (name, value) in query(request) {
        match &*name {
            "attempt" => {
                let number = value.parse().ok().filter(|number| (1..=i32::MAX as u32).contains(number));
                let needed = "the number of an attempt is needed, from 1";
                read.attempt = Some(number.ok_or_else(|| Trouble::parameter("attempt", needed))?);
            }
            "after" => read.after = Some(position("after", &value)?),
            "limit" if paged => {
                let number = value.parse().ok().filter(|number| (1..=1000).contains(number));
                let needed = "a number from 1 to 1000 is needed";
                read.limit = Some(number.ok_or_else(|| Trouble::parameter("limit", needed))?);
            }
            other => {
                let known =
                    if paged { "there are attempt, after and limit" } else { "there are attempt and after" };
                return Err(Trouble::parameter(&other.chars().take(50).collect::<String>(), known));
            }
        }
    }
    Ok(read)
}

fn position(name: &str, value: &str) -> Result<JobLogPosition, Trouble> {
    value.parse().map_err(|error| Trouble::parameter(name, format!("{error}")))
}

fn missing(id: Uuid) -> Trouble {
    Trouble::new(Kind::NotFound, format!("there is no job {id}"))
}

/// A page.
pub(crate) async fn page(state: &State, request: &HttpRequest, id: &str) -> Result<HttpResponse, Trouble> {
    let id = job_id(id)?;
    let query = read_query(request, true)?;
    let page = state.ask(&state.roles.get_job_log, GetJobLog { id, query }).await??;
    Ok(HttpResponse::Ok().json(page.ok_or_else(|| missing(id))?))
}

struct Stream {
    get_job_log: Recipient<GetJobLog>,
    get_job: Recipient<GetJob>,
    id: Uuid,
    query: JobLogQuery,
    ready: VecDeque<Bytes>,
    /// There are lines to be read at once.
    more: bool,
    ended: bool,
    seat: Seat,
}

/// All of it, and then what comes, until the end.
pub(crate) async fn stream(state: &State, request: &HttpRequest, id: &str) -> Result<HttpResponse, Trouble> {
    let id = job_id(id)?;
    let mut query = JobLogQuery { limit: Some(PAGE), ..read_query(request, false)? };
    // Whoever comes again asks for the same as at first, and says how far it got.
    if let Some(last) = request.headers().get("last-event-id") {
        let last = position("Last-Event-ID", last.to_str().unwrap_or_default())?;
        query.after = query.after.max(Some(last));
    }
    let seat = state.seat(request)?;
    let mut stream = Stream {
        get_job_log: state.roles.get_job_log.clone(),
        get_job: state.roles.get_job.clone(),
        id,
        query,
        ready: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
        more: false,
        ended: false,
        seat,
    };
    // What cannot be read at all is told as such.
    let first = state.ask(&state.roles.get_job_log, GetJobLog { id, query }).await??;
    stream.take(first.ok_or_else(|| missing(id))?).await;
    let body = unfold(stream, |mut stream| async {
        if !stream.seat.is_kept(Instant::now()) {
            return None;
        }
        let next = stream.next().await?;
        Some((Ok::<_, actix_web::Error>(next), stream))
    });
    Ok(sse::answer(state, body))
}

impl Stream {
    /// None after the end.
    async fn next(&mut self) -> Option<Bytes> {
        let began = Instant::now();
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.ended {
                return None;
            }
            if began.elapsed() >= KEEP_ALIVE {
                return Some(Bytes::from_static(b": still here\n\n"));
            }
            if !std::mem::take(&mut self.more) {
                sleep(LOOK).await;
            }
            let request = GetJobLog { id: self.id, query: self.query };
            // An outage is waited out; the client need not come again.
            match self.get_job_log.ask(request).await {
                Ok(Ok(Some(page))) => self.take(page).await,
                Ok(Ok(None)) => self.end(JobLogEnd::default()),
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    async fn take(&mut self, page: JobLogPage) {
        for line in page.lines {
            // What serialises by derive, with string keys, does not fail.
            let data = serde_json::to_string(&line).unwrap_or_default();
            let text = format!("id: {}\nevent: line\ndata: {data}\n\n", line.position);
            self.ready.push_back(Bytes::from(text));
        }
        self.query.after = page.next;
        self.more = page.more;
        if page.ended && !page.more {
            // It had ended when this page was read, so nothing more can come.
            let job = self.get_job.ask(GetJob { id: self.id }).await;
            let state = job.ok().and_then(Result::ok).flatten().map(|job| job.summary.state);
            self.end(JobLogEnd { state });
        }
    }

    fn end(&mut self, end: JobLogEnd) {
        let data = serde_json::to_string(&end).unwrap_or_default();
        self.ready.push_back(Bytes::from(format!("event: end\ndata: {data}\n\n")));
        self.ended = true;
    }
}
