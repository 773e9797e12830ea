//! The spans of requests, in the words of OpenTelemetry's conventions for HTTP.

use actix_web::{HttpRequest, http::Method};
use callboard_actors::edges::telemetry::{Description, OpenSpan, SpanKind, Telemetry};
use callboard_contracts::TraceContext;
use uuid::Uuid;

use crate::{guard, pages};

/// What is asked so often, by machines, that it would hide the rest.
const UNSEEN: [&str; 1] = ["/metrics"];

/// A request begins. None for what has no span: probes, metrics and pages, and everything where none are recorded.
pub(crate) fn begin(
    telemetry: &Telemetry,
    method: &Method,
    path: &str,
    parent: Option<TraceContext>,
    correlation: Uuid,
) -> Option<OpenSpan> {
    let unseen = guard::is_probe(path) || UNSEEN.contains(&path) || pages::is_page(method, path);
    (telemetry.is_on() && !unseen).then(|| telemetry.open(SpanKind::Server, parent, correlation))
}

/// A request was answered; of a stream, its head.
pub(crate) fn request(method: &Method, path: &str, request: &HttpRequest, status: u16) -> Description {
    // What clients make up must make no names.
    let method = match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::OPTIONS
        | Method::PATCH => method.as_str(),
        _ => "_OTHER",
    };
    let route = request.match_pattern();
    let name = match (&route, method) {
        (Some(route), _) => format!("{method} {route}"),
        (None, "_OTHER") => "HTTP".to_owned(),
        (None, method) => method.to_owned(),
    };
    let mut described = Description::new(name)
        .with("http.request.method", method)
        .with("http.response.status_code", i64::from(status))
        .with("url.path", path);
    if let Some(route) = route {
        described = described.with("http.route", route);
    }
    match status {
        500.. => described.with("error.type", status.to_string()).failed(Some(format!("status {status}"))),
        _ => described,
    }
}
