//! `/api/v1/terminal`.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use callboard_actors::{jobs::command::TerminalSize, roles::request::Signed};
use callboard_contracts::{
    Timestamp,
    api::{NewTerminalTicket, TerminalScope, TerminalTicket},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Scope, Terminal,
    broker::{EndSession, Grant, IssueTicket, ListSessions},
    link::Owner,
    ticket::NoTicket,
};
use crate::{
    address,
    api::{Answer, State},
    body,
    credentials::ByCookie,
    guard::{Caller, who},
    problem::{Kind, Trouble},
    route::{Route, Schema::*},
    routes::{part, uuid},
    settings::Role,
};

/// The path at which tickets are given out.
pub(crate) const TICKETS: &str = "/api/v1/terminal/tickets";

/// What all paths of the terminal begin with, but for the WebSocket.
pub(crate) const BELOW: &str = "/api/v1/terminal/";

/// The routes.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post(TICKETS, "newTerminalTicket", |state, request, payload| {
            Box::pin(async move { ticket(&state, &request, payload).await })
        })
        .says(
            "A ticket for the web terminal",
            "Good once, for 30 seconds at most, for whoever asks for it and from the address from which he asks. It is the first \
             message on the WebSocket `/ws` with the subprotocol `callboard.terminal.v2` (docs/terminal.md). The scope `read` \
             needs the role viewer, `write` the role operator.",
        )
        .needs(Role::Viewer)
        .body(Named("NewTerminalTicket"), json!({ "scope": "read", "cols": 80, "rows": 24 }))
        .answer(201, "The ticket.", Named("TerminalTicket"))
        .problems(&[Kind::Malformed, Kind::NotFound, Kind::TooManyRequests]),
        Route::get("/api/v1/terminal/sessions", "listTerminalSessions", |state, _, _| {
            Box::pin(async move { list(&state).await })
        })
        .says("The sessions of the web terminal", "Those of the node that is asked, the oldest first.")
        .answer(200, "The sessions.", ListOf("TerminalSessionView"))
        .problems(&[Kind::NotFound]),
        Route::delete("/api/v1/terminal/sessions/{id}", "endTerminalSession", |state, request, _| {
            Box::pin(async move { end(&state, &request, part(&request, "id")).await })
        })
        .needs(Role::Admin)
        .says(
            "End a session of the web terminal",
            "Its program and all that it has started are killed. It needs the role admin, and is kept in the audit trail.",
        )
        .parameter("path", "id", "The session's id.", uuid())
        .answer(200, "It is told to end.", Object)
        .problems(&[Kind::Malformed, Kind::NotFound]),
    ]
    .into_iter()
    .map(|route| route.tag("Terminal"))
    .collect()
}

/// The terminal, if there is one.
pub(super) fn terminal(state: &State) -> Result<&std::sync::Arc<Terminal>, Trouble> {
    let off = || Trouble::new(Kind::NotFound, "this server has no web terminal (terminal.enabled)");
    state.terminal.as_ref().ok_or_else(off)
}

/// The role of whoever makes a request, where tokens are configured.
pub(super) fn role(request: &HttpRequest) -> Option<Role> {
    request.extensions().get::<Caller>().map(|Caller(_, role)| *role)
}

/// Who a session that this request is about to open would belong to.
pub(super) fn owner(request: &HttpRequest) -> Result<Owner, Trouble> {
    let address = address::owner_of(request)
        .ok_or_else(|| Trouble::new(Kind::Malformed, "the request has no address"))?;
    let sign_in = request.extensions().get::<ByCookie>().map(|ByCookie(open)| open.sign_in());
    Ok(Owner { who: who(request), role: role(request), address, sign_in })
}

async fn ticket(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let terminal = terminal(state)?;
    let read = body::read(request, payload, &state.settings).await?;
    let NewTerminalTicket { scope, cols, rows, session } =
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            let form = "{\"scope\": \"read\" or \"write\", \"cols\": 80, \"rows\": 24}";
            Trouble::new(Kind::Malformed, format!("{form} is needed: {error}"))
        })?;
    let size = TerminalSize::new(cols, rows).ok_or_else(|| {
        Trouble::new(Kind::Malformed, format!("{cols} columns and {rows} rows; 1 to 1000 of each can be"))
    })?;
    let owner = owner(request)?;
    let scope = match scope {
        TerminalScope::Read => Scope::Read,
        TerminalScope::Write => Scope::Write,
    };
    if scope > Scope::of(owner.role, &terminal.settings) {
        let why = match terminal.settings.read_only {
            true => "the terminal is read-only here (terminal.read_only)".to_owned(),
            false => "the scope write needs the role operator".to_owned(),
        };
        return Err(Trouble::new(Kind::Forbidden, format!("{why}; ask for the scope read")));
    }
    let expires_at = Timestamp::now().saturating_add(terminal.settings.ticket);
    match state.ask(&terminal.broker.recipient(), IssueTicket(Grant { owner, scope, size, session })).await? {
        Ok(ticket) => Ok(HttpResponse::Created().json(TerminalTicket { ticket, expires_at })),
        Err(NoTicket::TooMany) => {
            let why = "too many tickets are given out and not used";
            Err(Trouble::new(Kind::TooManyRequests, why).retry_after(terminal.settings.ticket))
        }
        Err(NoTicket::NoRandomness) => {
            Err(Trouble::new(Kind::Unavailable, "the system has no randomness for a ticket"))
        }
    }
}

async fn list(state: &State) -> Answer {
    let terminal = terminal(state)?;
    Ok(HttpResponse::Ok().json(state.ask(&terminal.broker.recipient(), ListSessions).await?))
}

async fn end(state: &State, request: &HttpRequest, id: &str) -> Answer {
    let terminal = terminal(state)?;
    let wrong = || Trouble::parameter("id", "a session's id is a UUID");
    let id = Uuid::try_parse(id).map_err(|_| wrong())?;
    let signed = Signed { who: who(request), request: EndSession(id) };
    match state.ask(&terminal.broker.recipient(), signed).await? {
        true => Ok(HttpResponse::Ok().json(json!({ "id": id, "ended": true }))),
        false => Err(Trouble::new(Kind::NotFound, format!("there is no session {id} of the terminal"))),
    }
}
