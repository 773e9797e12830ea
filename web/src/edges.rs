//! Edges: services outside that jobs need.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use callboard_actors::roles::request::{GetEdges, SetEdge};
use callboard_contracts::api::PutEdge;

use crate::{
    api::State,
    body,
    guard::Caller,
    problem::{Kind, Trouble},
};

/// Who changes an edge where no tokens are configured.
const ANYBODY: &str = "api";

type Answer = Result<HttpResponse, Trouble>;

pub(crate) async fn list(state: &State) -> Answer {
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.get_edges, GetEdges).await??))
}

/// Trips an edge or makes it ready; how it is now.
pub(crate) async fn put(state: &State, request: &HttpRequest, payload: web::Payload, name: &str) -> Answer {
    let read = body::read(request, payload, &state.settings).await?;
    let set: PutEdge = serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
        let needed = "{\"state\": \"tripped\" or \"ready\"} is needed, and may have reason and for_ms";
        Trouble::new(Kind::Malformed, format!("{needed}: {error}"))
    })?;
    let by = request.extensions().get::<Caller>().map(|caller| caller.0.clone());
    let request = SetEdge { edge: name.to_owned(), set, by: Some(by.unwrap_or_else(|| ANYBODY.to_owned())) };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.set_edge, request).await??))
}
