//! Dead jobs: what they died of, a success beside them, and running them again.

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::{
    edges::store::dead_jobs::CauseQuery,
    roles::{
        dead_causes_cursor,
        request::{CompareJob, GetDeadCauses, RetryEdited, RetryJob, Signed},
    },
};
use callboard_contracts::api::RetryEdit;

use crate::{
    api::{State, job_id, query},
    body,
    guard::who,
    problem::{Kind, Trouble},
};

type Answer = Result<HttpResponse, Trouble>;

/// Groups that one page has at most, and if nothing is said.
const MOST: u32 = 200;
const PAGE: u32 = 50;

pub(crate) async fn causes(state: &State, request: &HttpRequest) -> Answer {
    let mut asked = CauseQuery { limit: PAGE, ..CauseQuery::default() };
    for (name, value) in query(request) {
        match &*name {
            "queue" => asked.queue = Some(value),
            "type" => asked.job_type = Some(value),
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=MOST).contains(number));
                asked.limit = number.ok_or_else(|| {
                    Trouble::parameter("limit", format!("a number from 1 to {MOST} is needed"))
                })?;
            }
            "cursor" => {
                let after = dead_causes_cursor(&value);
                asked.after =
                    Some(after.ok_or_else(|| Trouble::parameter("cursor", "this is no cursor of ours"))?);
            }
            other => {
                let known = "there are queue, type, limit and cursor";
                return Err(Trouble::parameter(&other.chars().take(50).collect::<String>(), known));
            }
        }
    }
    let causes = state.ask(&state.roles.get_dead_causes, GetDeadCauses { query: asked }).await??;
    Ok(HttpResponse::Ok().json(causes))
}

pub(crate) async fn compare(state: &State, id: &str) -> Answer {
    let id = job_id(id)?;
    match state.ask(&state.roles.compare_job, CompareJob { id }).await?? {
        Some(comparison) => Ok(HttpResponse::Ok().json(comparison)),
        None => Err(Trouble::new(Kind::NotFound, format!("there is no job {id}"))),
    }
}

/// Runs a job again, as it was or with another payload.
pub(crate) async fn retry(state: &State, request: &HttpRequest, payload: web::Payload, id: &str) -> Answer {
    let (id, who) = (job_id(id)?, who(request));
    let read = body::read(request, payload, &state.settings).await?;
    let edit = if read.trim_ascii().is_empty() {
        RetryEdit::default()
    } else {
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            let form = "nothing, or {\"payload\": {...}} or {\"patch\": {...}}, which may have a reason";
            Trouble::new(Kind::Malformed, format!("{form}, is needed: {error}"))
        })?
    };
    let retried = if edit == RetryEdit::default() {
        state.ask(&state.roles.retry, Signed { who, request: RetryJob { id } }).await??
    } else {
        state.ask(&state.roles.retry_edited, Signed { who, request: RetryEdited { id, edit } }).await??
    };
    Ok(HttpResponse::Ok().json(retried))
}
