//! Edges: services outside that jobs need.

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::roles::request::{GetEdges, SetEdge, Signed};
use callboard_contracts::api::PutEdge;

use crate::{
    api::State,
    body,
    guard::who,
    problem::{Kind, Trouble},
};

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
    let who = who(request);
    let request = SetEdge { edge: name.to_owned(), set, by: Some(who.name.clone()) };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.set_edge, Signed { who, request }).await??))
}
