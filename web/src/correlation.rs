//! What ties a request to what it causes.

use actix_web::{HttpMessage, HttpRequest};
use uuid::Uuid;

/// The header that ties a request to what it causes.
pub(crate) const CORRELATION: &str = "x-correlation-id";

/// Put on every request by the guard.
#[derive(Clone, Copy)]
pub(crate) struct Correlation(pub(crate) Uuid);

pub(crate) fn correlation_of(request: &HttpRequest) -> Option<Uuid> {
    request.extensions().get::<Correlation>().map(|correlation| correlation.0)
}
