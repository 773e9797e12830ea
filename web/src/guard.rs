//! Who may ask what: hosts, origins, content types and tokens, before anything is read.

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{ConnectionType, Method, header::HeaderMap},
    middleware::Next,
    web,
};
use callboard_actors::roles::{Role as NodeRole, RoleSet};
use uuid::Uuid;

pub(crate) use crate::credentials::{Caller, who};
use crate::{
    api::State,
    connections,
    correlation::{CORRELATION, Correlation, RequestSpan, trace_of},
    credentials::{self, ByCookie},
    origins,
    problem::{Kind, Trouble},
    security_headers, session, spans, terminal,
    unread::Held,
};

/// What whoever runs the server asks without a token.
const PROBES: [&str; 5] = ["/health", "/healthz", "/readyz", "/api/v1/live", "/api/v1/ready"];

/// Reads whose question does not fit into a query.
const READS: [&str; 1] = ["/api/v1/jobs/lookup"];

/// The settings of the node that is asked.
const SETTINGS: &str = "/api/v1/settings";

/// What the node must be for a request: whoever asks another node is told so.
fn needed_of_node(method: &Method, path: &str) -> &'static [NodeRole] {
    const ANY: [&str; 4] = ["/metrics", "/api/v1/tree", session::PATH, terminal::PATH];
    // Its sessions are those of the node itself.
    let of_terminal = path.starts_with(terminal::BELOW);
    if is_probe(path) || ANY.contains(&path) || of_terminal || *method == Method::OPTIONS {
        &[]
    } else if path == SETTINGS && is_safe(method) {
        // They are those of the node itself.
        &[]
    } else if is_safe(method) || READS.contains(&path) {
        &[NodeRole::ReadModel]
    } else if path.starts_with("/api/v1/queues/") {
        // How the queue is then is a part of the answer.
        &[NodeRole::Gateway, NodeRole::ReadModel]
    } else {
        &[NodeRole::Gateway]
    }
}

pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether whoever runs the server asks this.
pub(crate) fn is_probe(path: &str) -> bool {
    PROBES.contains(&path)
}

/// Whether a route is asked without a token. What a route says itself is found only once it is found by the path; this stands
/// before that, and a test holds both together.
pub(crate) fn is_open(method: &Method, path: &str) -> bool {
    is_probe(path) || (*method == Method::POST && path == session::PATH)
}

/// Every request goes through here.
pub(crate) async fn guard(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let given = text(request.headers(), CORRELATION).and_then(|id| Uuid::try_parse(id).ok());
    // Whoever traces finds by the trace's number what he caused.
    let traced = || trace_of(request.headers()).map(|trace| trace.as_uuid());
    let correlation = given.or_else(traced).unwrap_or_else(Uuid::now_v7);
    request.extensions_mut().insert(Correlation(correlation));
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let started = tokio::time::Instant::now();
    let unread = Held::of(&mut request);
    let parent = trace_of(request.headers());
    let span = spans::begin(&state.roles.telemetry, &method, &path, parent, correlation);
    if let Some(span) = &span {
        request.extensions_mut().insert(RequestSpan(span.context()));
    }
    let checked = allowed(&request, &state);
    let mut checked = checked.and_then(|()| check_node(&request, &state.roles.node_roles));
    // Also of requests that are refused, so that nobody can try tokens as fast as he likes.
    if let Some(limit) = &state.rate_limit {
        checked = limit.check(&request).await.and(checked);
    }
    let mut response = match checked {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(trouble) => {
            let mut answer = trouble.answer(request.request());
            if connections::is_one_too_many(request.request()) {
                answer.head_mut().set_connection_type(ConnectionType::Close);
            }
            request.into_response(answer)
        }
    };
    security_headers::finish(response.headers_mut(), &method, &path, correlation, &state.settings);
    let by_cookie = response.request().extensions_mut().remove::<ByCookie>();
    if let Some(ByCookie(session)) = by_cookie {
        response = response.map_body(|_, body| session.bound(body));
    }
    let status = response.status().as_u16();
    if let Some(span) = span {
        span.end(|| spans::request(&method, &path, response.request(), status));
    }
    tracing::debug!(%method, path, status, correlationId = %correlation, elapsed = ?started.elapsed(), "request");
    Ok(match unread {
        Some(unread) => response.map_body(|_, body| unread.until_the_end_of(body)),
        None => response,
    })
}

pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn allowed(request: &ServiceRequest, state: &State) -> Result<(), Trouble> {
    let settings = &state.settings;
    connections::check(request.request(), settings)?;
    origins::check_host(request.headers(), settings)?;
    if !is_safe(request.method()) {
        origins::check_origin(request.headers(), settings)?;
        check_content_type(request)?;
    }
    credentials::check(request, state)
}

fn check_node(request: &ServiceRequest, roles: &RoleSet) -> Result<(), Trouble> {
    let needed = needed_of_node(request.method(), request.path());
    match needed.iter().find(|role| !roles.has(**role)) {
        Some(missing) => Err(Trouble::new(
            Kind::NotHere,
            format!(
                "this node has the roles {roles}, and not {missing}, which is needed for this: ask another node"
            ),
        )),
        None => Ok(()),
    }
}

fn check_content_type(request: &ServiceRequest) -> Result<(), Trouble> {
    let kind = request.content_type();
    let (json, lines) = match request.path() {
        "/api/v1/jobs/batch" => (true, true),
        "/api/v1/jobs/stream" => (false, true),
        _ => (true, false),
    };
    if (json && kind.eq_ignore_ascii_case("application/json"))
        || (lines && kind.eq_ignore_ascii_case("application/x-ndjson"))
    {
        return Ok(());
    }
    let shown: String = kind.chars().take(100).collect();
    let needed = if json { "application/json" } else { "application/x-ndjson" };
    Err(Trouble::new(Kind::MediaType, format!("the content type is {shown:?}; {needed} is needed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::routes;

    #[test]
    fn what_is_open_is_what_the_routes_say() {
        for route in routes() {
            assert_eq!(
                is_open(&route.method, route.path),
                route.needs.is_none(),
                "{} {}",
                route.method,
                route.path
            );
        }
        for path in PROBES {
            assert!(routes().iter().any(|route| route.path == path), "{path}");
        }
    }
}
