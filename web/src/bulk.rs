//! Doing the same with many jobs.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use callboard_actors::roles::request::{BulkAnswer, BulkJobs, ListBulks, Signed, StopBulk};
use callboard_contracts::api::StartBulk;
use uuid::Uuid;

use crate::{
    api::{State, query},
    body,
    guard::who,
    problem::{Kind, Trouble},
};

type Answer = Result<HttpResponse, Trouble>;

/// Operations that a list gives that was not told how many.
const PAGE: u32 = 50;

/// Begins an operation, or says what it would do.
pub(crate) async fn start(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let start: StartBulk = serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
        let form = "{\"action\": \"retry\" or \"cancel\", \"filter\": {...}}";
        Trouble::new(
            Kind::Malformed,
            format!("{form} is needed, and may have id, patch, reason and dry_run: {error}"),
        )
    })?;
    let signed = Signed { who: who(request), request: BulkJobs { start } };
    match state.ask(&state.roles.bulk_jobs, signed).await?? {
        BulkAnswer::Preview(preview) => Ok(HttpResponse::Ok().json(preview)),
        BulkAnswer::Begun(view) => {
            let place = format!("/api/v1/bulk/{}", view.id);
            Ok(HttpResponse::Accepted().insert_header((header::LOCATION, place)).json(view))
        }
    }
}

fn bulk_id(text: &str) -> Result<Uuid, Trouble> {
    Uuid::try_parse(text).map_err(|_| {
        Trouble::parameter(
            "id",
            "a bulk operation's id is a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057",
        )
    })
}

pub(crate) async fn list(state: &State, request: &HttpRequest) -> Answer {
    let mut limit = PAGE;
    for (name, value) in query(request) {
        if name != "limit" {
            return Err(Trouble::parameter(&name.chars().take(50).collect::<String>(), "there is limit"));
        }
        let number = value.parse().ok().filter(|number| (1..=1000).contains(number));
        limit = number.ok_or_else(|| Trouble::parameter("limit", "a number from 1 to 1000 is needed"))?;
    }
    let bulks = state.ask(&state.roles.list_bulks, ListBulks { id: None, limit }).await??;
    Ok(HttpResponse::Ok().json(bulks))
}

pub(crate) async fn one(state: &State, id: &str) -> Answer {
    let id = bulk_id(id)?;
    let found = state.ask(&state.roles.list_bulks, ListBulks { id: Some(id), limit: 1 }).await??;
    match found.into_iter().next() {
        Some(bulk) => Ok(HttpResponse::Ok().json(bulk)),
        None => Err(Trouble::new(Kind::NotFound, format!("there is no bulk operation {id}"))),
    }
}

/// Lets an operation end where it is.
pub(crate) async fn stop(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let signed = Signed { who: who(request), request: StopBulk { id: bulk_id(id)? } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.stop_bulk, signed).await??))
}
