//! Signals to jobs, and the states that jobs show.

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::roles::request::{GetJobState, ListSignals, SignalJob, Signed};
use callboard_contracts::api::SendSignal;
use serde_json::json;
use uuid::Uuid;

use crate::{
    api::{State, job_id},
    body,
    guard::who,
    problem::{Kind, Trouble},
    route::{Route, Schema::*},
    routes::{part, uuid},
};

type Answer = Result<HttpResponse, Trouble>;

pub(crate) fn signals() -> Vec<Route> {
    let id = "The job's id.";
    vec![
        Route::post("/api/v1/jobs/{id}/signals", "signalJob", |state, request, payload| {
            Box::pin(async move { send(&state, &request, payload, part(&request, "id")).await })
        })
        .says(
            "Send a signal to a job",
            "Once this is answered it is stored durably with the job, behind those that are there. The attempt that runs gets it at \
             once, wherever it runs, and each later attempt again, until one acknowledges it; a job that waits gets it in its next \
             attempt. The same signal under the same id again changes nothing and is answered with `duplicate`. A job may have 64 \
             unacknowledged signals, with 256 KiB of values.",
        )
        .parameter("path", "id", id, uuid())
        .body(
            Named("SendSignal"),
            json!({
                "id": "01890a5d-ac96-774b-bcce-b302099a8057", "name": "approve", "value": { "note": "looks good" },
            }),
        )
        .answer(202, "It is stored.", Named("SignalSent"))
        .problems(&[
            Kind::NotFound, Kind::Invalid, Kind::WrongState, Kind::SignalConflict, Kind::TooManySignals,
        ]),
        Route::get("/api/v1/jobs/{id}/signals", "listSignals", |state, request, _| {
            Box::pin(async move { list(&state, part(&request, "id")).await })
        })
        .says(
            "The signals of a job",
            "In their order: those that are unacknowledged, and the newest 64 that were acknowledged.",
        )
        .parameter("path", "id", id, uuid())
        .answer(200, "The signals.", Named("SignalList"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
        Route::get("/api/v1/jobs/{id}/state", "getJobState", |state, request, _| {
            Box::pin(async move { job_state(&state, part(&request, "id")).await })
        })
        .says(
            "The state that a job shows",
            "What its run has published last, about a second after it did, wherever it runs; of a job that has ended, what its last \
             run published last.",
        )
        .parameter("path", "id", id, uuid())
        .answer(200, "The state.", Named("JobStateView"))
        .problems(&[Kind::Malformed, Kind::NotFound]),
    ]
    .into_iter()
    .map(|route| route.tag("Jobs"))
    .collect()
}

async fn send(state: &State, request: &HttpRequest, payload: web::Payload, id: &str) -> Answer {
    let id = job_id(id)?;
    let read = body::read(request, payload, &state.settings).await?;
    let signal: SendSignal =
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            let needed = "{\"name\": \"…\"} is needed, and may have value and id";
            Trouble::new(Kind::Malformed, format!("{needed}: {error}"))
        })?;
    let signed = Signed { who: who(request), request: SignalJob { id, signal } };
    Ok(HttpResponse::Accepted().json(state.ask(&state.roles.signal_job, signed).await??))
}

fn missing(id: Uuid) -> Trouble {
    Trouble::new(Kind::NotFound, format!("there is no job {id}"))
}

async fn list(state: &State, id: &str) -> Answer {
    let id = job_id(id)?;
    let found = state.ask(&state.roles.list_signals, ListSignals { id }).await??;
    Ok(HttpResponse::Ok().json(found.ok_or_else(|| missing(id))?))
}

async fn job_state(state: &State, id: &str) -> Answer {
    let id = job_id(id)?;
    let found = state.ask(&state.roles.get_job_state, GetJobState { id }).await??;
    Ok(HttpResponse::Ok().json(found.ok_or_else(|| missing(id))?))
}
