//! The routes of the old gateway and read model.

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::{
    edges::store::record::JobFilter,
    roles::{
        Condition,
        request::{Form, GetTotals, ListJobs, RecentEvents},
    },
};
use callboard_contracts::{JobAccepted, JobStatus, Timestamp, api::JobSummary};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    api::{State, answered},
    body,
    idempotency::{self, Stored},
    problem::{Kind, Trouble},
};

/// A job as the old read model shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecentJob {
    /// Its id.
    id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    job_type: String,
    /// Where it is on its way.
    status: JobStatus,
    /// When it was made.
    created_at: Timestamp,
}

impl From<JobSummary> for RecentJob {
    fn from(job: JobSummary) -> Self {
        let JobSummary { id, job_type, status, created_at, .. } = job;
        RecentJob { id, job_type, status, created_at }
    }
}

type Answer = Result<HttpResponse, Trouble>;

pub(crate) async fn submit(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let job = body::json(&read, &state.settings)?;
    let Stored { mut answers, replayed } =
        idempotency::store(state, request, Form::Contract, vec![job], &read).await?;
    let answer =
        answers.pop().ok_or_else(|| Trouble::new(Kind::Unavailable, "the gateway gave no answer"))??;
    Ok(answered(HttpResponse::Accepted(), replayed)
        .json(JobAccepted { job_id: answer.id, event_id: answer.event_id }))
}

pub(crate) async fn stats(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_totals, GetTotals).await??))
}

pub(crate) async fn recent_jobs(state: &State) -> Answer {
    let request = ListJobs { filter: JobFilter::default(), limit: 10 };
    let list = state.ask(&state.roles.list_jobs, request).await??;
    let jobs: Vec<RecentJob> = list.jobs.into_iter().map(RecentJob::from).collect();
    Ok(HttpResponse::Ok().json(jobs))
}

pub(crate) async fn recent_events(state: &State, request: &HttpRequest) -> Answer {
    let mut job = None;
    for (name, value) in crate::api::query(request) {
        if name == "jobId" {
            // An id that is none has no events.
            let Ok(id) = Uuid::try_parse(&value) else { return Ok(HttpResponse::Ok().json(json!([]))) };
            job = Some(id);
        }
    }
    let events = state.ask(&state.roles.recent_events, RecentEvents { job, limit: 50 }).await??;
    Ok(HttpResponse::Ok().json(events))
}

/// The process lives.
pub(crate) fn alive(state: &State) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok", "version": state.roles.version }))
}

/// What the bus was to the old gateway, the store is to this one.
pub(crate) fn healthz(state: &State) -> HttpResponse {
    match state.roles.conditions.get("edges/store") {
        Some(Condition::Ready) | None => alive(state),
        Some(condition) => HttpResponse::ServiceUnavailable()
            .json(json!({ "status": "not_ready", "reason": condition.to_string() })),
    }
}

pub(crate) fn metrics(state: &State) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((state.roles.metrics)())
}
