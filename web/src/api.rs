//! `/api/v1`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header, web};
use callboard_actors::{
    edges::store::record::JobFilter,
    roles::{
        Backtraces,
        request::{
            CancelJob, Form, GetJob, GetJobTypes, GetJobs, GetQueues, GetTotals, LabelQueue, LimitQueue,
            ListJobs, PauseQueue, Signed,
        },
    },
};
use callboard_contracts::{
    JobState,
    api::{ItemOutcome, PauseRequest, QueueLabels, QueueLimits, SubmitAnswer, SubmitMany, SubmittedItem},
    tag,
};
use callboard_supervisors::{Message, Recipient};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    address, body, encryption,
    feed::Feed,
    guard::who,
    idempotency::{self, Stored},
    live::{Board, Scene},
    observatory::OldPort,
    problem::{Kind, SOON, Trouble},
    proxy::Proxy,
    rate_limit::RateLimit,
    seats::{Full, Seat, Seats},
    session::{Sessions, attempts::Attempts},
    settings::{WebDependencies, WebSettings},
    terminal::Terminal,
};

/// Jobs to look up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookUp {
    /// Their ids, at most 1000.
    #[schema(max_items = 1000)]
    ids: Vec<Uuid>,
}

pub(crate) type Answer = Result<HttpResponse, Trouble>;

/// What every request reaches.
pub(crate) struct State {
    pub(crate) settings: WebSettings,
    pub(crate) roles: WebDependencies,
    /// The port of the old system that this is; none: the server's own address.
    pub(crate) port: Option<OldPort>,
    /// What passes answers of other servers on.
    pub(crate) proxy: Proxy,
    /// How many requests a client may make, if there is a limit.
    pub(crate) rate_limit: Option<Arc<RateLimit>>,
    pub(crate) terminal: Option<Arc<Terminal>>,
    /// Who has signed in.
    pub(crate) sessions: Arc<Sessions>,
    /// How often somebody may try to.
    pub(crate) attempts: Arc<Attempts>,
    /// Clients that follow the events.
    pub(crate) seats: Arc<Seats>,
    /// What they are sent.
    pub(crate) feed: Arc<Feed>,
    /// What is looked at for those who watch.
    pub(crate) scene: Scene,
    /// What they are told.
    pub(crate) board: Arc<Board>,
    /// Streams of submissions that may yet be opened.
    pub(crate) streams: Arc<Semaphore>,
    /// True once the server stops: what has no end of its own ends then.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl State {
    pub(crate) async fn ask<M: Message>(
        &self,
        role: &Recipient<M>,
        message: M,
    ) -> Result<M::Result, Trouble> {
        Ok(role.ask_within(self.settings.request_timeout, message).await?)
    }
}

impl State {
    /// A seat for a stream, if there is one.
    pub(crate) fn seat(&self, request: &HttpRequest) -> Result<Seat, Trouble> {
        let (all, each) = (self.settings.sse_max_clients, self.settings.sse_max_clients_per_address);
        self.seats.take(all, (address::owner_of(request), each), Instant::now()).map_err(|full| match full {
            Full::All => Trouble::new(Kind::Unavailable, "as many clients follow the events as may"),
            Full::Address => {
                let detail =
                    format!("{each} clients of this address follow the events, and no more of them may");
                Trouble::new(Kind::TooManyRequests, detail).retry_after(Duration::from_secs(SOON))
            }
        })
    }
}

/// The query's names and values, decoded.
pub(crate) fn query(request: &HttpRequest) -> Vec<(String, String)> {
    web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_or_else(|_| Vec::new(), web::Query::into_inner)
}

pub(crate) fn job_id(text: &str) -> Result<Uuid, Trouble> {
    Uuid::try_parse(text).map_err(|_| {
        Trouble::parameter("id", "a job's id is a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057")
    })
}

pub(crate) async fn submit(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let job = body::json(&read, &state.settings)?;
    let Stored { mut answers, replayed } =
        idempotency::store(state, request, Form::Api, vec![job], &read).await?;
    let answer =
        answers.pop().ok_or_else(|| Trouble::new(Kind::Unavailable, "the gateway gave no answer"))??;
    let place = format!("/api/v1/jobs/{}", answer.id);
    let mut response = answered(HttpResponse::Accepted(), replayed);
    Ok(response.insert_header((header::LOCATION, place)).json(answer))
}

/// An answer, which says so if it was given before.
pub(crate) fn answered(mut response: HttpResponseBuilder, replayed: bool) -> HttpResponseBuilder {
    if replayed {
        response.insert_header((idempotency::REPLAYED, "true"));
    }
    response
}

pub(crate) async fn submit_many(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let (jobs, unreadable) =
        if body::is_ndjson(request) { lines(&read, state) } else { (array(&read, state)?, Vec::new()) };
    let limit = state.settings.max_batch;
    let total = jobs.len() + unreadable.len();
    if total > limit {
        let detail = format!("{total} jobs in one request; {limit} are allowed");
        return Err(Trouble::new(Kind::TooLarge, detail));
    }
    let (places, jobs): (Vec<usize>, Vec<Value>) = jobs.into_iter().unzip();
    let Stored { answers, replayed } = idempotency::store(state, request, Form::Api, jobs, &read).await?;
    let mut items: Vec<SubmittedItem> = places
        .into_iter()
        .zip(answers)
        .chain(unreadable.into_iter().map(|(index, error)| (index, Err(error))))
        .map(item)
        .collect();
    items.sort_by_key(|item| item.index);
    let accepted = items.iter().filter(|item| matches!(item.outcome, ItemOutcome::Accepted(_))).count();
    let refused = items.len() - accepted;
    Ok(answered(HttpResponse::Ok(), replayed).json(SubmitAnswer { accepted, refused, items }))
}

/// What became of one job of many.
pub(crate) fn item(
    (index, answer): (usize, Result<callboard_contracts::api::Submitted, Trouble>),
) -> SubmittedItem {
    match answer {
        Ok(submitted) => SubmittedItem { index, status: 202, outcome: ItemOutcome::Accepted(submitted) },
        Err(trouble) => {
            let status = trouble.status();
            SubmittedItem { index, status, outcome: ItemOutcome::Refused(trouble.problem(None)) }
        }
    }
}

fn array(read: &[u8], state: &State) -> Result<Vec<(usize, Value)>, Trouble> {
    let many: SubmitMany = serde_json::from_value(body::json(read, &state.settings)?)
        .map_err(|error| Trouble::new(Kind::Malformed, format!("{{\"jobs\": […]}} is needed: {error}")))?;
    Ok(many.jobs.into_iter().enumerate().collect())
}

/// Jobs with their places, and what could not be read.
type Lines = (Vec<(usize, Value)>, Vec<(usize, Trouble)>);

/// One job a line; empty lines are passed over and do not count.
fn lines(read: &[u8], state: &State) -> Lines {
    let lines = read.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let (mut jobs, mut unreadable) = (Vec::new(), Vec::new());
    for (index, line) in lines.enumerate() {
        match body::json(line, &state.settings) {
            Ok(job) => jobs.push((index, job)),
            Err(trouble) => unreadable.push((index, trouble)),
        }
    }
    (jobs, unreadable)
}

pub(crate) async fn lookup(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let LookUp { ids } = serde_json::from_value(body::json(&read, &state.settings)?)
        .map_err(|error| Trouble::new(Kind::Malformed, format!("{{\"ids\": [UUIDs]}} is needed: {error}")))?;
    if ids.len() > 1000 {
        return Err(Trouble::new(Kind::TooLarge, format!("{} ids; 1000 are allowed", ids.len())));
    }
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_jobs, GetJobs { ids }).await??))
}

pub(crate) async fn list(state: &State, request: &HttpRequest) -> Answer {
    let mut filter = JobFilter::default();
    let mut limit = 50;
    for (name, value) in query(request) {
        match &*name {
            "state" => {
                for state in value.split(',').filter(|state| !state.is_empty()) {
                    let state: JobState =
                        state.parse().map_err(|error| Trouble::parameter("state", format!("{error}")))?;
                    filter.states.push(state);
                }
            }
            "queue" => filter.queue = Some(value),
            "type" => filter.job_type = Some(value),
            "tag" => {
                tag::check(&value).map_err(|error| Trouble::parameter("tag", error.to_string()))?;
                filter.tag = Some(value);
            }
            "cause" => filter.cause = Some(value),
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=1000).contains(number));
                limit =
                    number.ok_or_else(|| Trouble::parameter("limit", "a number from 1 to 1000 is needed"))?;
            }
            "cursor" => {
                let before = value.parse().ok();
                let before =
                    before.ok_or_else(|| Trouble::parameter("cursor", "this is no cursor of ours"))?;
                filter.before = Some(before);
            }
            other => {
                let known = "there are state, queue, type, tag, cause, limit and cursor";
                return Err(Trouble::parameter(&other.chars().take(50).collect::<String>(), known));
            }
        }
    }
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.list_jobs, ListJobs { filter, limit }).await??))
}

pub(crate) async fn job(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let id = job_id(id)?;
    if encryption::wants_secrets(request)? {
        return encryption::reveal(state, request, id).await;
    }
    match state.ask(&state.roles.get_job, GetJob { id }).await?? {
        Some(job) => Ok(HttpResponse::Ok().json(job)),
        None => Err(Trouble::new(Kind::NotFound, format!("there is no job {id}"))),
    }
}

pub(crate) async fn cancel(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let signed = Signed { who: who(request), request: CancelJob { id: job_id(id)? } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.cancel, signed).await??))
}

pub(crate) async fn queues(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_queues, GetQueues).await??))
}

pub(crate) async fn queue(state: &State, name: &str) -> Answer {
    let queues = state.ask(&state.roles.get_queues, GetQueues).await??;
    match queues.into_iter().find(|queue| queue.name == name) {
        Some(queue) => Ok(HttpResponse::Ok().json(queue)),
        None => Err(Trouble::new(Kind::NotFound, "there is no such queue")),
    }
}

/// Pauses a queue; how it is now.
pub(crate) async fn pause(state: &State, request: &HttpRequest, payload: web::Payload, name: &str) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let PauseRequest { reason } = if read.trim_ascii().is_empty() {
        PauseRequest::default()
    } else {
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            let form = "nothing, or {\"reason\": \"...\"}";
            Trouble::new(Kind::Malformed, format!("{form}, is needed: {error}"))
        })?
    };
    set_paused(state, request, PauseQueue { queue: name.to_owned(), paused: true, reason }).await
}

/// Lets a queue go on; how it is now.
pub(crate) async fn resume(state: &State, request: &HttpRequest, name: &str) -> Answer {
    set_paused(state, request, PauseQueue { queue: name.to_owned(), paused: false, reason: None }).await
}

async fn set_paused(state: &State, request: &HttpRequest, asked: PauseQueue) -> Answer {
    let name = asked.queue.clone();
    let signed = Signed { who: who(request), request: asked };
    state.ask(&state.roles.pause_queue, signed).await??;
    queue(state, &name).await
}

/// Says what a node must have to run the jobs of a queue; how it is now.
pub(crate) async fn label(state: &State, request: &HttpRequest, payload: web::Payload, name: &str) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let QueueLabels { labels } =
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            let form = "{\"labels\": {\"NAME\": \"VALUE\", ...}}";
            Trouble::new(Kind::Malformed, format!("{form} is needed: {error}"))
        })?;
    let signed = Signed { who: who(request), request: LabelQueue { queue: name.to_owned(), labels } };
    state.ask(&state.roles.label_queue, signed).await??;
    queue(state, name).await
}

/// Limits a queue; how it is now.
pub(crate) async fn limit(state: &State, request: &HttpRequest, payload: web::Payload, name: &str) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let limits: QueueLimits =
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            let form = "{\"max_running\": N or null, \"rate\": \"N/TIME\" or null, ...}";
            Trouble::new(Kind::Malformed, format!("{form} is needed: {error}"))
        })?;
    let signed = Signed { who: who(request), request: LimitQueue { queue: name.to_owned(), limits } };
    state.ask(&state.roles.limit_queue, signed).await??;
    queue(state, name).await
}

pub(crate) async fn job_types(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_job_types, GetJobTypes).await?))
}

pub(crate) async fn tree(state: &State) -> Answer {
    // Backtraces are resolved for it, which takes a while.
    let tree = state.roles.tree.clone();
    match web::block(move || tree(Backtraces::Shown)).await {
        Ok(tree) => Ok(HttpResponse::Ok().json(tree)),
        Err(error) => Err(Trouble::new(Kind::Unavailable, error.to_string())),
    }
}

pub(crate) async fn stats(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_totals, GetTotals).await??))
}

pub(crate) fn live(state: &State) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live", "version": state.roles.version }))
}

pub(crate) fn ready(state: &State) -> HttpResponse {
    let readiness = state.scene.readiness();
    let mut response = match readiness.status.as_str() {
        "ready" => HttpResponse::Ok(),
        _ => HttpResponse::ServiceUnavailable(),
    };
    response.json(readiness)
}
