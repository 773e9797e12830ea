//! What ties a request to what it causes.

use actix_web::{HttpMessage, HttpRequest, http::header::HeaderMap};
use callboard_contracts::TraceContext;
use uuid::Uuid;

/// The header that ties a request to what it causes.
pub(crate) const CORRELATION: &str = "x-correlation-id";

/// Put on every request by the guard.
#[derive(Clone, Copy)]
pub(crate) struct Correlation(pub(crate) Uuid);

/// The header that says in which span a request is made (W3C Trace Context).
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The span in which a request is made. A header that is none is as good as no header.
pub(crate) fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(TRACEPARENT)?.to_str().ok()?.trim().parse().ok()
}

/// The span of the request itself, put on it by the guard where spans are recorded.
#[derive(Clone, Copy)]
pub(crate) struct RequestSpan(pub(crate) TraceContext);

/// The span that what the request causes stands below: its own, or that of whoever sent it.
pub(crate) fn span_of(request: &HttpRequest) -> Option<TraceContext> {
    let own = request.extensions().get::<RequestSpan>().map(|span| span.0);
    own.or_else(|| trace_of(request.headers()))
}

pub(crate) fn correlation_of(request: &HttpRequest) -> Option<Uuid> {
    request.extensions().get::<Correlation>().map(|correlation| correlation.0)
}
