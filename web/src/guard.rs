//! Who may ask what: hosts, origins, content types and tokens, before anything is read.

use std::net::IpAddr;

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use callboard_actors::roles::{Role as NodeRole, RoleSet, request::Who};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    api::State,
    correlation::{CORRELATION, Correlation, RequestSpan, trace_of},
    pages,
    problem::{Kind, Trouble},
    settings::{Role, WebSettings},
    spans,
    unread::Held,
};

/// What an answer that is no page may load.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";
/// The routes of the old read side, which pages of any origin may read.
const READ_SIDE: [&str; 7] =
    ["/stats", "/jobs/recent", "/events", "/health", "/healthz", "/readyz", "/openapi.json"];
/// What whoever runs the server asks without a token.
const PROBES: [&str; 5] = ["/health", "/healthz", "/readyz", "/api/v1/live", "/api/v1/ready"];

/// Reads whose question does not fit into a query.
const READS: [&str; 1] = ["/api/v1/jobs/lookup"];

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

/// The settings of the node that is asked.
const SETTINGS: &str = "/api/v1/settings";

/// What the node must be for a request: whoever asks another node is told so.
fn needed_of_node(method: &Method, path: &str) -> &'static [NodeRole] {
    const ANY: [&str; 2] = ["/metrics", "/api/v1/tree"];
    if is_probe(path) || ANY.contains(&path) || *method == Method::OPTIONS {
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

/// The role that a request needs, where tokens are configured.
pub(crate) fn needed_role(method: &Method, path: &str) -> Role {
    if is_safe(method) || READS.contains(&path) { Role::Viewer } else { Role::Operator }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether this is asked without a token.
pub(crate) fn is_probe(path: &str) -> bool {
    PROBES.contains(&path)
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
    let checked = allowed(&request, &state.settings);
    let mut checked = checked.and_then(|()| check_node(&request, &state.roles.node_roles));
    // Also of requests that are refused, so that nobody can try tokens as fast as he likes.
    if let Some(limit) = &state.rate_limit {
        checked = limit.check(&request).await.and(checked);
    }
    let mut response = match checked {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(trouble) => {
            let answer = trouble.answer(request.request());
            request.into_response(answer)
        }
    };
    finish(response.headers_mut(), &method, &path, correlation);
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

fn finish(headers: &mut HeaderMap, method: &Method, path: &str, correlation: Uuid) {
    let page = pages::is_page(method, path);
    // Files of pages say themselves how long they keep.
    let cached = page && headers.contains_key(header::CACHE_CONTROL);
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static(CORRELATION), &correlation.to_string());
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, if page { pages::POLICY } else { NO_PAGE });
    if !cached {
        set(header::CACHE_CONTROL, "no-store");
    }
    if READ_SIDE.contains(&path) && (method == Method::GET || method == Method::OPTIONS) {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, OPTIONS");
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type");
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn allowed(request: &ServiceRequest, settings: &WebSettings) -> Result<(), Trouble> {
    check_host(request.headers(), settings)?;
    if !is_safe(request.method()) {
        check_origin(request.headers(), settings)?;
        check_content_type(request)?;
    }
    check_token(request, settings, needed_role(request.method(), request.path()))
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

/// A page of another site that has its own name point here is stopped by the name.
fn check_host(headers: &HeaderMap, settings: &WebSettings) -> Result<(), Trouble> {
    let Some(host) = text(headers, "host") else {
        return Err(Trouble::new(Kind::Misdirected, "the request names no host"));
    };
    let name = host_name(host);
    if is_ours(name, settings) {
        return Ok(());
    }
    let shown: String = host.chars().take(100).collect();
    Err(Trouble::new(
        Kind::Misdirected,
        format!("the request names the host {shown:?}; if that is this server, add it to web.hosts"),
    ))
}

/// Without the port, and without the brackets of an IPv6 address.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_ours(name: &str, settings: &WebSettings) -> bool {
    if name.eq_ignore_ascii_case("localhost")
        || settings.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    {
        return true;
    }
    // An address is no name that somebody else could have point here.
    let beyond = !settings.tokens.is_empty() || !settings.listen.ip().is_loopback();
    name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || beyond)
}

fn check_origin(headers: &HeaderMap, settings: &WebSettings) -> Result<(), Trouble> {
    let cross_site =
        text(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let foreign = text(headers, "origin").is_some_and(|origin| {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let same = text(headers, "host").is_some_and(|ours| ours.eq_ignore_ascii_case(host));
        !(same && is_ours(host_name(host), settings))
    });
    if cross_site || foreign {
        return Err(Trouble::new(Kind::Forbidden, "a page of another site may not change anything here"));
    }
    Ok(())
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

fn check_token(request: &ServiceRequest, settings: &WebSettings, needed: Role) -> Result<(), Trouble> {
    // A browser asks without a token whether a page may send one.
    let preflight = request.method() == Method::OPTIONS && READ_SIDE.contains(&request.path());
    let open = preflight || is_probe(request.path()) || pages::is_page(request.method(), request.path());
    if settings.tokens.is_empty() || open {
        return Ok(());
    }
    let given = text(request.headers(), "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let Some(given) = given else {
        return Err(Trouble::new(Kind::Unauthorized, "send a token: Authorization: Bearer …"));
    };
    // Digests have one length, and all tokens are compared: the time taken says nothing.
    let given = Sha256::digest(given.as_bytes());
    let mut found = None;
    for token in &settings.tokens {
        let known = Sha256::digest(token.secret.expose_secret().as_bytes());
        if bool::from(given.as_slice().ct_eq(known.as_slice())) {
            found = Some(token);
        }
    }
    match found {
        None => Err(Trouble::new(Kind::Unauthorized, "this token is not known")),
        Some(token) if token.role < needed => {
            let (has, needed) = (token.role.as_str(), needed.as_str());
            Err(Trouble::new(Kind::Forbidden, format!("this token has the role {has}; {needed} is needed")))
        }
        Some(token) => {
            request.extensions_mut().insert(Caller(token.name.clone(), token.role));
            Ok(())
        }
    }
}
