//! Reading requests from strangers.

use actix_web::{HttpMessage, HttpRequest, http::header, web};
use callboard_actors::roles::request::{Form, Origin};
use futures_util::StreamExt;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    correlation::{correlation_of, span_of},
    json,
    problem::{Kind, Trouble},
    settings::WebSettings,
};

/// The body, within its limit.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &WebSettings,
) -> Result<web::BytesMut, Trouble> {
    read_up_to(request, payload, settings.max_body).await
}

/// The body, within a limit of its own.
pub(crate) async fn read_up_to(
    request: &HttpRequest,
    mut payload: web::Payload,
    limit: usize,
) -> Result<web::BytesMut, Trouble> {
    let too_large = || Trouble::new(Kind::TooLarge, format!("the body may have at most {limit} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|error| Trouble::new(Kind::Malformed, format!("the body could not be read: {error}")))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The body as one JSON value.
pub(crate) fn json(body: &[u8], settings: &WebSettings) -> Result<Value, Trouble> {
    json::read(body, settings.max_json_depth)
        .map_err(|error| Trouble::new(Kind::Malformed, error.to_string()))
}

/// Whether the body is one job a line.
pub(crate) fn is_ndjson(request: &HttpRequest) -> bool {
    request.content_type().eq_ignore_ascii_case("application/x-ndjson")
}

/// What the forms have in common.
pub(crate) fn submit(
    form: Form,
    jobs: Vec<Value>,
    request: &HttpRequest,
) -> callboard_actors::roles::request::Submit {
    let correlation_id = correlation_of(request).unwrap_or_else(Uuid::now_v7);
    let origin = Origin { correlation_id, trace: span_of(request) };
    callboard_actors::roles::request::Submit { form, jobs, origin }
}
