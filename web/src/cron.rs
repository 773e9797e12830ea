//! The cron table.

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::roles::request::{
    DeleteCron, GetCron, ListCron, PauseCron, PreviewCron, PutCron, RunCron, Signed,
};
use callboard_contracts::api::CronDefinition;
use serde_json::json;

use crate::{
    api::{State, query},
    body,
    guard::who,
    problem::{Kind, Trouble},
};

type Answer = Result<HttpResponse, Trouble>;

/// Next times that a preview gives that was not told how many.
const TIMES: u32 = 5;

pub(crate) async fn list(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.list_cron, ListCron).await??))
}

pub(crate) async fn find(state: &State, name: &str) -> Answer {
    match state.ask(&state.roles.get_cron, GetCron { name: name.to_owned() }).await?? {
        Some(entry) => Ok(HttpResponse::Ok().json(entry)),
        None => Err(Trouble::new(Kind::NotFound, "there is no such entry in the cron table")),
    }
}

/// What an expression means.
pub(crate) async fn preview(state: &State, request: &HttpRequest) -> Answer {
    let (mut expression, mut time_zone, mut count) = (None, "UTC".to_owned(), TIMES);
    for (name, value) in query(request) {
        match name.as_str() {
            "expression" => expression = Some(value),
            "time_zone" => time_zone = value,
            "count" => {
                let number = value.parse().ok().filter(|number| (1..=100).contains(number));
                count =
                    number.ok_or_else(|| Trouble::parameter("count", "a number from 1 to 100 is needed"))?;
            }
            other => {
                let known = "there are expression, time_zone and count";
                return Err(Trouble::parameter(&other.chars().take(50).collect::<String>(), known));
            }
        }
    }
    let expression = expression
        .ok_or_else(|| Trouble::parameter("expression", "an expression is needed, such as */5 * * * *"))?;
    let request = PreviewCron { expression, time_zone, count };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.preview_cron, request).await??))
}

/// Makes an entry, or changes it; how it is now.
pub(crate) async fn put(state: &State, request: &HttpRequest, payload: web::Payload, name: &str) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let definition: CronDefinition =
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            let form = "{\"expression\": \"30 2 * * *\", \"job\": {\"type\": TYPE, ...}, ...}";
            Trouble::new(Kind::Malformed, format!("{form} is needed: {error}"))
        })?;
    let signed = Signed { who: who(request), request: PutCron { name: name.to_owned(), definition } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.put_cron, signed).await??))
}

pub(crate) async fn delete(state: &State, request: &HttpRequest, name: &str) -> Answer {
    let signed = Signed { who: who(request), request: DeleteCron { name: name.to_owned() } };
    state.ask(&state.roles.delete_cron, signed).await??;
    Ok(HttpResponse::Ok().json(json!({ "name": name, "deleted": true })))
}

/// Pauses an entry or lets it go on; how it is now.
pub(crate) async fn pause(state: &State, request: &HttpRequest, name: &str, paused: bool) -> Answer {
    let signed = Signed { who: who(request), request: PauseCron { name: name.to_owned(), paused } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.pause_cron, signed).await??))
}

/// Stores a job of an entry now.
pub(crate) async fn run(state: &State, request: &HttpRequest, name: &str) -> Answer {
    let signed = Signed { who: who(request), request: RunCron { name: name.to_owned() } };
    Ok(HttpResponse::Accepted().json(state.ask(&state.roles.run_cron, signed).await??))
}
