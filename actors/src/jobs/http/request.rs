//! What a job asks for.

use std::{collections::BTreeMap, time::Duration};

use hyper::header::{self, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use url::Url;

use super::Origin;

const MAX_URL_BYTES: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 8 * 1024;
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Redirects that a request may ask to be followed.
pub(super) const MAX_REDIRECTS: u8 = 10;

/// Headers that Callboard sets, or that say how the connection is used.
const OWN_HEADERS: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// More of them, which have no constant.
const OWN_HEADER_NAMES: &[&str] = &["keep-alive", "proxy-connection", "traceparent", "tracestate"];
/// Headers that carry secrets, so that a payload may not hold them.
const SECRET_HEADERS: &[HeaderName] = &[header::AUTHORIZATION, header::COOKIE];
/// More of them, which have no constant.
const SECRET_HEADER_NAMES: &[&str] = &["api-key", "apikey", "x-api-key", "x-auth-token", "x-access-token"];

/// An HTTP request to make: the payload of an `http` job.
///
/// It goes to origins that the server allows (`http.allow`), and to public addresses unless others are allowed. A status
/// that is not expected fails the attempt: for good if it is of the client's making (4xx but 408, 425 and 429), else it
/// is tried again, when `Retry-After` says so if the answer has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// Where to: `http` or `https`, without user and password.
    #[schemars(length(min = 1, max = 8192))]
    pub url: String,
    /// The method; `GET` if left out.
    #[serde(default)]
    pub method: Method,
    /// The headers. Each has a text, or names a secret of the server. `Authorization`, `Cookie` and the usual headers of
    /// keys take secrets alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub headers: BTreeMap<String, HeaderContent>,
    /// The body as text; `Content-Type` is `text/plain; charset=utf-8` unless a header says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The body as JSON (null is none); `Content-Type` is `application/json` unless a header says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The statuses that count as success; 200 to 299 if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(range(min = 200, max = 599)))]
    pub expect: Vec<u16>,
    /// How many redirects are followed, each checked as the URL itself; none if left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 10))]
    pub redirects: u8,
    /// How long it may take in milliseconds, redirects and the body of the answer included; the server's default if left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub timeout_ms: Option<u64>,
    /// Bytes that the body of the answer may have; the server's bound if left out, and at most that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes: Option<u64>,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "they are those of HTTP")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl From<Method> for hyper::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => hyper::Method::GET,
            Method::Head => hyper::Method::HEAD,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Patch => hyper::Method::PATCH,
            Method::Delete => hyper::Method::DELETE,
            Method::Options => hyper::Method::OPTIONS,
        }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HeaderContent {
    /// This text.
    Text(String),
    /// A secret of the server.
    Secret(SecretReference),
}

/// A secret of the server, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretReference {
    /// Its name in `http.secrets`.
    pub secret: String,
    /// What stands before it, such as `Bearer `; nothing if left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// What is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{pointer}: {problem}")]
pub struct InvalidRequest {
    /// The field, as a JSON pointer into the payload.
    pub pointer: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl InvalidRequest {
    fn new(pointer: impl Into<String>, problem: impl Into<String>) -> Self {
        InvalidRequest { pointer: pointer.into(), problem: problem.into() }
    }
}

/// The pointer of a header.
pub(super) fn header_pointer(name: &str) -> String {
    format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl HttpRequest {
    /// Checks everything but what the server allows, and gives the URL with its origin.
    ///
    /// # Errors
    /// The first field that is out of bounds or no part of a request.
    pub fn validate(&self) -> Result<(Url, Origin), InvalidRequest> {
        let target = target(&self.url).map_err(|problem| InvalidRequest::new("/url", problem))?;
        self.check_headers()?;
        if self.text.is_some() && self.json.is_some() {
            return Err(InvalidRequest::new("/json", "is there beside `text`; a request has one body"));
        }
        if let Some(index) = self.expect.iter().position(|status| !(200..=599).contains(status)) {
            return Err(InvalidRequest::new(
                format!("/expect/{index}"),
                "is no final status; 200 to 599 are",
            ));
        }
        if self.redirects > MAX_REDIRECTS {
            return Err(InvalidRequest::new("/redirects", format!("is more than {MAX_REDIRECTS}")));
        }
        match self.timeout() {
            Some(timeout) if timeout.is_zero() || timeout > MAX_TIMEOUT => {
                let problem = format!("must be from 1 to {} (a day)", MAX_TIMEOUT.as_millis());
                Err(InvalidRequest::new("/timeout_ms", problem))
            }
            _ => Ok(target),
        }
    }

    fn check_headers(&self) -> Result<(), InvalidRequest> {
        if self.headers.len() > MAX_HEADERS {
            let problem = format!("has {} headers; at most {MAX_HEADERS} are taken", self.headers.len());
            return Err(InvalidRequest::new("/headers", problem));
        }
        let mut seen = Vec::with_capacity(self.headers.len());
        for (name, content) in &self.headers {
            let invalid = |problem: &str| InvalidRequest::new(header_pointer(name), problem);
            let parsed: HeaderName = name.parse().map_err(|_| invalid("is no name of a header"))?;
            if OWN_HEADERS.contains(&parsed) || OWN_HEADER_NAMES.contains(&parsed.as_str()) {
                return Err(invalid("is set by Callboard, or by how the connection is used; leave it out"));
            }
            let text = match content {
                HeaderContent::Text(_)
                    if SECRET_HEADERS.contains(&parsed) || SECRET_HEADER_NAMES.contains(&parsed.as_str()) =>
                {
                    return Err(invalid(
                        "carries a secret, which a payload may not hold: name one of `http.secrets`, as in \
                         {\"secret\": \"NAME\", \"prefix\": \"Bearer \"}",
                    ));
                }
                HeaderContent::Text(text) => text,
                HeaderContent::Secret(reference) => &reference.prefix,
            };
            if text.len() > MAX_HEADER_BYTES {
                return Err(invalid(&format!("is longer than {MAX_HEADER_BYTES} bytes")));
            }
            HeaderValue::from_str(text).map_err(|_| invalid("has characters that no header may have"))?;
            if seen.contains(&parsed) {
                return Err(invalid("is there twice, in two spellings"));
            }
            seen.push(parsed);
        }
        Ok(())
    }

    /// [`Self::timeout_ms`] as a duration.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    /// Whether this status is success.
    pub fn expects(&self, status: u16) -> bool {
        if self.expect.is_empty() { (200..300).contains(&status) } else { self.expect.contains(&status) }
    }

    /// The names of the secrets it carries, each with its header's name.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&str, &SecretReference)> {
        self.headers.iter().filter_map(|(name, content)| match content {
            HeaderContent::Secret(reference) => Some((name.as_str(), reference)),
            HeaderContent::Text(_) => None,
        })
    }
}

/// The URL of a request, with its origin.
pub(super) fn target(text: &str) -> Result<(Url, Origin), String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("has {} bytes; at most {MAX_URL_BYTES} are taken", text.len()));
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}; https://HOST/PATH is needed"))?;
    checked(url)
}

/// A URL that a request can be sent to, with its origin.
pub(super) fn checked(mut url: Url) -> Result<(Url, Origin), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "has a user or a password in it, which would be stored and shown; send a secret in a header"
                .to_owned(),
        );
    }
    let origin = Origin::of(&url).ok_or("is neither http nor https")?;
    // Fragments are the client's own; they are not sent.
    url.set_fragment(None);
    Ok((url, origin))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointer(change: Value) -> String {
        let mut payload = json!({"url": "https://a.example/"});
        payload.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let request: HttpRequest = serde_json::from_value(payload).unwrap();
        request.validate().unwrap_err().pointer
    }

    #[test]
    fn what_is_out_of_bounds_has_a_pointer() {
        let many: BTreeMap<String, String> = (0..65).map(|n| (format!("x-{n}"), String::new())).collect();
        for (change, says) in [
            (json!({"url": "/x"}), "/url"),
            (json!({"url": "ftp://a/"}), "/url"),
            (json!({"url": "https://me:secret@a/"}), "/url"),
            (json!({"url": "https://me@a/"}), "/url"),
            (json!({"url": format!("https://a/{}", "x".repeat(8192))}), "/url"),
            (json!({"headers": {"a b": "x"}}), "/headers/a b"),
            (json!({"headers": {"x/y": "x"}}), "/headers/x~1y"),
            (json!({"headers": {"x": "a\r\nb: c"}}), "/headers/x"),
            (json!({"headers": {"Host": "b"}}), "/headers/Host"),
            (json!({"headers": {"traceparent": "b"}}), "/headers/traceparent"),
            (json!({"headers": {"Transfer-Encoding": "chunked"}}), "/headers/Transfer-Encoding"),
            (json!({"headers": {"Authorization": "Bearer x"}}), "/headers/Authorization"),
            (json!({"headers": {"X-API-Key": "x"}}), "/headers/X-API-Key"),
            (json!({"headers": {"X": "1", "x": "2"}}), "/headers/x"),
            (json!({"headers": {"x": "y".repeat(8193)}}), "/headers/x"),
            (json!({"headers": many}), "/headers"),
            (json!({"text": "a", "json": 1}), "/json"),
            (json!({"expect": [200, 100]}), "/expect/1"),
            (json!({"redirects": 11}), "/redirects"),
            (json!({"timeout_ms": 0}), "/timeout_ms"),
        ] {
            assert_eq!(pointer(change.clone()), says, "{change}");
        }
    }

    #[test]
    fn a_request_says_little_when_little_is_to_be_said() {
        let request: HttpRequest = serde_json::from_value(json!({
            "url": "https://a.example/x#part",
            "headers": {"Authorization": {"secret": "a", "prefix": "Bearer "}},
        }))
        .unwrap();
        let (url, origin) = request.validate().unwrap();
        assert_eq!((url.as_str(), origin.to_string().as_str()), ("https://a.example/x", "https://a.example"));
        assert!(request.expects(204) && !request.expects(302));
        assert_eq!(request.secrets().count(), 1);
        let unknown = json!({"url": "https://a/", "headers": {"x": {"secret": "a", "value": "b"}}});
        assert!(serde_json::from_value::<HttpRequest>(unknown).is_err());
    }
}
