//! What a request gave.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::header::{self, HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Secrets;

/// The headers of an answer that are kept.
const KEPT: &[HeaderName] = &[
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::SERVER,
    header::VARY,
];
/// More of them, which have no constant.
const KEPT_NAMES: &[&str] = &[
    "idempotency-replayed",
    "ratelimit",
    "ratelimit-policy",
    "traceresponse",
    "x-correlation-id",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
];
/// Bytes that are kept of one of them.
const MAX_KEPT_BYTES: usize = 1024;

/// What a request gave: the result of an `http` job.
///
/// At most one of `json`, `text` and `base64` is there. Secrets of the server are masked in all of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HttpOutput {
    /// The status.
    pub status: u16,
    /// Where the answer came from, after all redirects; without its query.
    pub url: String,
    /// How many redirects were followed.
    pub redirects: u8,
    /// Those headers of the answer that say what it is; long ones are cut.
    pub headers: BTreeMap<String, String>,
    /// The body, if it is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The body, if it is other text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The body in Base64, if it is no UTF-8 text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// From the first byte sent to the last one received, in milliseconds.
    pub duration_ms: u64,
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: hyper::StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// How the job's result shows it.
    pub(super) fn output(
        self,
        url: &url::Url,
        redirects: u8,
        took: Duration,
        secrets: &Secrets,
    ) -> HttpOutput {
        let headers = self.headers.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| {
            let value = cut(String::from_utf8_lossy(value.as_bytes()).into_owned(), MAX_KEPT_BYTES);
            (name.as_str().to_owned(), secrets.mask(value))
        });
        let output = HttpOutput {
            status: self.status.as_u16(),
            url: shown(url),
            redirects,
            headers: headers.collect(),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            ..HttpOutput::default()
        };
        let is_json = is_json(&self.headers);
        match String::from_utf8(self.body) {
            Ok(text) if text.is_empty() => output,
            Ok(text) => {
                let text = secrets.mask(text);
                match serde_json::from_str(&text) {
                    Ok(json) if is_json => HttpOutput { json: Some(json), ..output },
                    _ => HttpOutput { text: Some(text), ..output },
                }
            }
            Err(bytes) => HttpOutput { base64: Some(STANDARD.encode(bytes.as_bytes())), ..output },
        }
    }
}

/// A URL as logs, errors and results show it: its query may hold what is nobody's business.
pub(super) fn shown(url: &url::Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.into()
}

fn is_kept(name: &HeaderName) -> bool {
    KEPT.contains(name) || KEPT_NAMES.contains(&name.as_str())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// Cuts a text that is too long at a character.
pub(super) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use hyper::{StatusCode, header::HeaderValue};
    use serde_json::json;

    use super::*;

    fn output(kind: &'static str, body: &[u8]) -> HttpOutput {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::SET_COOKIE, HeaderValue::from_static("a=b")),
        ];
        let answer =
            Answer { status: StatusCode::OK, headers: headers.into_iter().collect(), body: body.to_vec() };
        let url = url::Url::parse("https://a.example/x?token=1").unwrap();
        answer.output(&url, 1, Duration::from_millis(7), &Secrets::default())
    }

    #[test]
    fn a_body_is_kept_as_what_it_is() {
        let json = output("application/json; charset=utf-8", br#"{"a": 1}"#);
        assert_eq!(json.json, Some(json!({"a": 1})));
        assert_eq!(output("application/problem+json", b"[]").json, Some(json!([])));
        assert_eq!(output("application/json", b"{").text.as_deref(), Some("{"));
        assert_eq!(output("text/plain", b"{}").text.as_deref(), Some("{}"));
        assert_eq!(output("image/png", b"\xff\xd8").base64.as_deref(), Some("/9g="));
        let empty = output("text/plain", b"");
        assert_eq!((empty.json, empty.text, empty.base64), (None, None, None));
        assert_eq!((json.url.as_str(), json.duration_ms, json.redirects), ("https://a.example/x", 7, 1));
        assert_eq!(json.headers.keys().collect::<Vec<_>>(), ["content-type"]);
    }
}
