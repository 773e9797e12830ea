//! Who asks: by a bearer token, or else by the cookie of a sign-in.

use std::time::Instant;

use actix_web::{HttpMessage, HttpRequest, dev::ServiceRequest, http::Method};
use callboard_actors::roles::request::Who;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::{
    api::State,
    guard::{is_open, text},
    origins, pages,
    problem::{Kind, Trouble},
    security_headers::READ_SIDE,
    session::{self, Digest, cookie, digest},
    settings::{Role, Token, WebSettings},
    terminal,
};

/// The name of the token that a request has, put on it where tokens are configured.
pub(crate) struct Caller(pub(crate) String, pub(crate) Role);

/// Who changes something where no tokens are configured: the command line, or anybody else.
const COMMAND_LINE: &str = "cli";
const ANYBODY: &str = "api";

/// Who makes a request, for the audit trail.
pub(crate) fn who(request: &HttpRequest) -> Who {
    if let Some(Caller(name, role)) = request.extensions().get::<Caller>() {
        return Who { name: name.clone(), role: Some(role.as_str().to_owned()) };
    }
    let agent = text(request.headers(), "user-agent").unwrap_or_default();
    let name = if agent.starts_with("callboard-cli/") { COMMAND_LINE } else { ANYBODY };
    Who { name: name.to_owned(), role: None }
}

/// The sign-in that a request is made by, put on it beside [`Caller`].
pub(crate) struct ByCookie(pub(crate) session::Open);

/// The token with this digest. All tokens are compared: the time taken says nothing.
pub(crate) fn token_of<'s>(given: &Digest, settings: &'s WebSettings) -> Option<&'s Token> {
    let mut found = None;
    for token in &settings.tokens {
        let known = digest(token.secret.expose_secret().as_bytes());
        if bool::from(given.as_slice().ct_eq(known.as_slice())) {
            found = Some(token);
        }
    }
    found
}

/// Finds out who asks, and lets nobody else through. What he may, the route says.
pub(crate) fn check(request: &ServiceRequest, state: &State) -> Result<(), Trouble> {
    let settings = &state.settings;
    // A browser asks without a token whether a page may send one.
    let preflight = request.method() == Method::OPTIONS && READ_SIDE.contains(&request.path());
    let open = is_open(request.method(), request.path()) || pages::is_page(request.method(), request.path());
    if settings.tokens.is_empty() || preflight || open {
        return Ok(());
    }
    // The terminal says itself, in words of its own, who is not let in: it also takes tickets.
    let is_terminal = request.path() == terminal::PATH;
    let bearer = text(request.headers(), "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let caller = match bearer {
        // It stands above a cookie, also if it is wrong.
        Some(given) => self::bearer(state, given)
            .map(|(name, role)| Caller(name, role))
            .ok_or_else(|| Trouble::new(Kind::Unauthorized, "this token is not known")),
        None => signed_in(request, state).map(|token| Caller(token.name.clone(), token.role)),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(())
        }
        Err(_) if is_terminal => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

/// Whose bearer token this is, one of the settings or that of a terminal's session, and his role.
pub(crate) fn bearer(state: &State, given: &str) -> Option<(String, Role)> {
    let token = token_of(&digest(given.as_bytes()), &state.settings);
    let of_session = || state.terminal.as_ref()?.pass(given);
    token.map(|token| (token.name.clone(), token.role)).or_else(of_session)
}

/// The role that somebody of this name has now.
pub(crate) fn role_of(state: &State, name: &str) -> Option<Role> {
    state.settings.tokens.iter().find(|token| token.name == name).map(|token| token.role)
}

/// The token that a request's cookie stands for.
fn signed_in<'s>(request: &ServiceRequest, state: &'s State) -> Result<&'s Token, Trouble> {
    let settings = &state.settings;
    let Some(given) = cookie::given(request.headers(), settings.https) else {
        return Err(Trouble::new(Kind::Unauthorized, "send a token: Authorization: Bearer …"));
    };
    let over = || Trouble::new(Kind::Unauthorized, "the sign-in has ended: sign in again");
    let open = state.sessions.find(given, Instant::now()).ok_or_else(over)?;
    let Some(token) = token_of(&open.token, settings) else {
        state.sessions.end(given);
        return Err(over());
    };
    // A browser sends a cookie whoever made the page that asks.
    origins::check_cookie(request.request(), settings)?;
    request.extensions_mut().insert(ByCookie(open));
    Ok(token)
}

/// Refuses whoever may not do what needs this role.
pub(crate) fn check_role(request: &HttpRequest, needed: Role) -> Result<(), Trouble> {
    match request.extensions().get::<Caller>() {
        Some(Caller(_, role)) if *role < needed => {
            let (has, needed) = (role.as_str(), needed.as_str());
            Err(Trouble::new(Kind::Forbidden, format!("this token has the role {has}; {needed} is needed")))
        }
        _ => Ok(()),
    }
}
