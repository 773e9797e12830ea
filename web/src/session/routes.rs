//! Signing in, signing out, and who one is.

use std::time::{Duration, Instant};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web,
};
use callboard_actors::{edges::store::record::NewAudit, roles::request::Who};
use callboard_contracts::api::{Authentication, SessionView, SignIn, TokenRole};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::{cookie, digest};
use crate::{
    address,
    api::State,
    body,
    credentials::{ByCookie, Caller, token_of, who},
    problem::{Kind, Trouble},
    route::{Route, Schema::*},
    settings::{Role, Token},
};

type Answer = Result<HttpResponse, Trouble>;

/// Where sessions are.
pub(crate) const PATH: &str = "/api/v1/session";
/// Bytes of the body of a sign-in at most: whoever sends it may be anybody.
const LARGEST: usize = 8 * 1024;
/// How long the audit trail is waited for. One who signs in while the store is away may be the one who mends it.
const TRAIL_WITHIN: Duration = Duration::from_secs(2);
/// Who signs in with a token that is none.
const NOBODY: &str = "unknown";

/// The routes.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(PATH, "getSession", |state, request, _| {
            Box::pin(async move { Ok(HttpResponse::Ok().json(view(&state, &request))) })
        })
        .says(
            "Who asks, and what that allows",
            "401 where the server has tokens and the request has none: then a page lets people sign in.",
        )
        .answer(200, "Who asks.", Named("SessionView")),
        Route::post(PATH, "signIn", |state, request, payload| {
            Box::pin(async move { sign_in(&state, &request, payload).await })
        })
        .says(
            "Sign in with a token",
            "The answer sets a cookie, which no script can read and which stands for the token with everything that this server's \
             pages ask. It holds for `web.session_lifetime`, unless nothing is asked with it for `web.session_idle`, until it is \
             signed out with, the server restarts, or the token is taken away. Where no tokens are configured nothing is done.",
        )
        .open()
        .body(Named("SignIn"), json!({ "token": "one of the server's tokens" }))
        .answer(200, "Signed in. `Set-Cookie` has the session.", Named("SessionView")),
        Route::delete(PATH, "signOut", |state, request, _| {
            Box::pin(async move { sign_out(&state, &request).await })
        })
        .says(
            "Sign out",
            "The session of the cookie ends, and with it all that is being sent for it. Bearer tokens stay as they are.",
        )
        .needs(Role::Viewer)
        .answer(204, "Nobody is signed in with the cookie any more.", Nothing),
    ]
    .into_iter()
    .map(|route| route.tag("Session"))
    .collect()
}

/// Who asks.
fn view(state: &State, request: &HttpRequest) -> SessionView {
    let extensions = request.extensions();
    match extensions.get::<Caller>() {
        Some(Caller(name, of)) => {
            let open = extensions.get::<ByCookie>().map(|ByCookie(open)| open.expires_at);
            SessionView {
                authentication: if open.is_some() { Authentication::Cookie } else { Authentication::Token },
                name: Some(name.clone()),
                role: role(*of),
                expires_at: open,
            }
        }
        None => nobody(state),
    }
}

/// What everybody may where there are no tokens.
fn nobody(state: &State) -> SessionView {
    debug_assert!(state.settings.tokens.is_empty(), "the guard lets nobody through");
    SessionView { authentication: Authentication::None, name: None, role: TokenRole::Admin, expires_at: None }
}

fn role(role: Role) -> TokenRole {
    match role {
        Role::Viewer => TokenRole::Viewer,
        Role::Operator => TokenRole::Operator,
        Role::Admin => TokenRole::Admin,
    }
}

async fn sign_in(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let settings = &state.settings;
    let address = address::owner_of(request);
    state.attempts.check(address).await?;
    let read = body::read_up_to(request, payload, LARGEST.min(settings.max_body)).await?;
    // What is wrong is not shown: it may be the token.
    let SignIn { token: given } = serde_json::from_value(body::json(&read, settings)?)
        .map_err(|_| Trouble::new(Kind::Malformed, "{\"token\": \"...\"} is needed"))?;
    if settings.tokens.is_empty() {
        return Ok(HttpResponse::Ok().json(nobody(state)));
    }
    let given = digest(given.as_bytes());
    let Some(Token { name, role: of, .. }) = token_of(&given, settings) else {
        if let Some(unnoted) = state.attempts.failed().await {
            let who = Who { name: NOBODY.to_owned(), role: None };
            let detail = json!({ "not_noted_before": unnoted });
            note(state, request, who, ("session.begin", "refused"), &detail).await;
        }
        return Err(Trouble::new(Kind::Unauthorized, "this token is not known"));
    };
    if let Some(before) = cookie::given(request.headers(), settings.https) {
        state.sessions.end(before);
    }
    let begun = state.sessions.begin(given, Instant::now()).map_err(|error| {
        Trouble::new(Kind::Unavailable, format!("the system gives no random numbers: {error}"))
    })?;
    let who = Who { name: name.clone(), role: Some(of.as_str().to_owned()) };
    let detail = json!({ "expires_at": begun.expires_at });
    note(state, request, who, ("session.begin", "done"), &detail).await;
    let session = SessionView {
        authentication: Authentication::Cookie,
        name: Some(name.clone()),
        role: role(*of),
        expires_at: Some(begun.expires_at),
    };
    let cookie = cookie::set(&begun.secret, settings.session_lifetime, settings.https);
    Ok(HttpResponse::Ok().insert_header(set_cookie(&cookie)?).json(session))
}

async fn sign_out(state: &State, request: &HttpRequest) -> Answer {
    let https = state.settings.https;
    if let Some(given) = cookie::given(request.headers(), https) {
        let known = state.sessions.find(given, Instant::now()).is_some();
        state.sessions.end(given);
        if known {
            note(state, request, who(request), ("session.end", "done"), &Value::Null).await;
        }
    }
    Ok(HttpResponse::NoContent().insert_header(set_cookie(&cookie::clear(https))?).finish())
}

fn set_cookie(cookie: &str) -> Result<(header::HeaderName, HeaderValue), Trouble> {
    let value = HeaderValue::from_str(cookie)
        .map_err(|error| Trouble::new(Kind::Unavailable, format!("the cookie cannot be sent: {error}")))?;
    Ok((header::SET_COOKIE, value))
}

/// Keeps in the audit trail who signs in or out from where; if it is away, in the log.
async fn note(
    state: &State,
    request: &HttpRequest,
    who: Who,
    (action, outcome): (&str, &str),
    detail: &Value,
) {
    let target = request.peer_addr().map_or_else(|| "unknown".to_owned(), |at| at.ip().to_string());
    let entry = NewAudit {
        id: Uuid::now_v7(),
        by: who.name,
        role: who.role,
        action: action.to_owned(),
        target,
        detail: (!detail.is_null()).then(|| detail.to_string()),
    };
    let written = timeout(TRAIL_WITHIN, (state.roles.note_audit)(entry.clone(), outcome.to_owned())).await;
    let error = match written {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it has taken longer than {TRAIL_WITHIN:?}"),
    };
    let NewAudit { by, target, .. } = entry;
    tracing::warn!(action, outcome, by, from = target, error, "the audit trail may not have this entry");
}
