//! Making a request as far as the server allows it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};
use url::Url;

use super::{
    AddressRules, HeaderContent, HttpError, HttpOutput, HttpRequest, Origin, OriginList, Secrets, connection,
    output::{Answer, cut, shown},
    request::{self, header_pointer},
};

/// Bytes that an error quotes of an answer.
const QUOTED_BYTES: usize = 512;
/// The longest wait that an answer may ask for; more is taken for this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Makes requests for `http` jobs. Cheap to clone; one serves all jobs of a server. [`Self::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct HttpClient {
    /// Where requests may be sent. Nowhere by default.
    pub allow: OriginList,
    /// Addresses that are allowed besides public ones. None by default.
    pub addresses: AddressRules,
    /// The secrets that requests may carry. None by default.
    pub secrets: Secrets,
    /// Bytes that the body of an answer may have. 1 MiB by default.
    pub max_response: usize,
    /// How long a request may take that does not say. 30 s by default.
    pub default_timeout: Duration,
    /// What `User-Agent` says, unless the request says it. `callboard/VERSION` by default.
    pub user_agent: HeaderValue,
    authorities: Arc<[CertificateDer<'static>]>,
    /// Made when first needed: the system has many certificate authorities.
    tls: Arc<OnceCell<Arc<ClientConfig>>>,
}

/// Why requests cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpSetupError {
    /// The file of certificate authorities cannot be used.
    #[error("`http.ca_file` {}: {problem}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

/// What a request says of the job that it is made for.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The same for every attempt of the job.
    pub idempotency_key: &'a str,
    /// The span that asks.
    pub traceparent: &'a str,
}

impl HttpClient {
    /// One that allows nothing yet. It trusts the system's certificate authorities and those of the PEM file `ca_file`.
    ///
    /// It reads the file, so it blocks.
    ///
    /// # Errors
    /// `ca_file` has no certificate.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, HttpSetupError> {
        Ok(HttpClient {
            allow: OriginList::default(),
            addresses: AddressRules::default(),
            secrets: Secrets::default(),
            max_response: 1024 * 1024,
            default_timeout: Duration::from_secs(30),
            user_agent: HeaderValue::from_static(concat!("callboard/", env!("CARGO_PKG_VERSION"))),
            authorities: ca_file.map_or(Ok(Vec::new()), authorities)?.into(),
            tls: Arc::default(),
        })
    }

    /// Checks the request, and whether this server allows it.
    ///
    /// # Errors
    /// [`HttpError::Invalid`], [`HttpError::Refused`] or [`HttpError::Secret`].
    pub fn check(&self, request: &HttpRequest) -> Result<(), HttpError> {
        let (_, origin) = request.validate()?;
        self.allowed(&origin)?;
        for (name, reference) in request.secrets() {
            self.secrets
                .get(&reference.secret, &origin)
                .map_err(|problem| HttpError::Secret { pointer: header_pointer(name), problem })?;
        }
        Ok(())
    }

    /// Makes the request and gives what it was answered with. Dropping the future closes the connection.
    ///
    /// Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`HttpError`]; a status that the request does not expect is one.
    pub async fn send(&self, request: &HttpRequest, sender: Sender<'_>) -> Result<HttpOutput, HttpError> {
        self.check(request)?;
        let started = Instant::now();
        let limit = request.timeout().unwrap_or(self.default_timeout);
        let mut hop = Hop::first(request)?;
        loop {
            let answer = match timeout_at(started + limit, self.ask(request, &hop, sender)).await {
                Ok(answer) => answer?,
                Err(_) => return Err(HttpError::TimedOut { url: shown(&hop.url), limit }),
            };
            let elapsed = started.elapsed();
            tracing::debug!(
                url = shown(&hop.url),
                status = answer.status.as_u16(),
                ?elapsed,
                "an HTTP answer"
            );
            if request.expects(answer.status.as_u16()) {
                return Ok(answer.output(&hop.url, hop.number, elapsed, &self.secrets));
            }
            if !is_redirect(answer.status) || request.redirects == 0 {
                return Err(self.unexpected(&hop.url, answer));
            }
            let redirect = |problem: String| HttpError::Redirect { url: shown(&hop.url), problem };
            if hop.number == request.redirects {
                return Err(redirect(format!("once more after {} that may be followed", request.redirects)));
            }
            let next = hop.next(&answer).map_err(redirect)?;
            self.allowed(&next.origin)?;
            hop = next;
        }
    }

    fn allowed(&self, origin: &Origin) -> Result<(), HttpError> {
        if self.allow.covers(origin) {
            return Ok(());
        }
        let so_far = if self.allow.is_empty() { "anywhere yet, so none to " } else { "" };
        Err(HttpError::Refused(format!(
            "this server sends no requests to {so_far}{origin}; the operator can allow it with `http.allow`, for example \
             by the flag --set http.allow={origin}"
        )))
    }

    async fn ask(&self, request: &HttpRequest, hop: &Hop, sender: Sender<'_>) -> Result<Answer, HttpError> {
        let message = self.message(request, hop, sender)?;
        let limit = request.max_response_bytes.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(self.max_response).min(self.max_response);
        let stream = connection::connect(&hop.origin, &self.addresses).await?;
        let tls = if hop.origin.is_https() { Some(self.tls(&hop.origin).await?) } else { None };
        let answer = connection::exchange(stream, &hop.origin, tls, message, limit).await;
        answer.map_err(|error| match error {
            HttpError::TooLarge { limit, .. } => HttpError::TooLarge { url: shown(&hop.url), limit },
            error => error,
        })
    }

    async fn tls(&self, origin: &Origin) -> Result<Arc<ClientConfig>, HttpError> {
        let failed = |problem: String| HttpError::Tls { origin: origin.to_string(), problem };
        let make = || async {
            let authorities = self.authorities.clone();
            let made = tokio::task::spawn_blocking(move || trusting(&authorities)).await;
            let made = made.map_err(|error| failed(error.to_string()))?;
            made.map(Arc::new).map_err(|error| failed(error.to_string()))
        };
        self.tls.get_or_try_init(make).await.cloned()
    }

    fn message(
        &self,
        request: &HttpRequest,
        hop: &Hop,
        sender: Sender<'_>,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let invalid = |pointer: String, problem: String| {
            HttpError::Invalid(request::InvalidRequest { pointer, problem })
        };
        let (kind, body) = if hop.with_body { body(request) } else { (None, Bytes::new()) };
        let url = &hop.url;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut message = Request::new(Full::new(body));
        *message.method_mut() = hop.method.clone();
        *message.uri_mut() =
            target.parse().map_err(|error| invalid("/url".to_owned(), format!("cannot be sent: {error}")))?;
        let headers = message.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let key = format!("\"{}\"", sender.idempotency_key);
        if let Ok(key) = HeaderValue::from_str(&key) {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        if let Ok(trace) = HeaderValue::from_str(sender.traceparent) {
            headers.insert(TRACEPARENT, trace);
        }
        for (name, content) in &request.headers {
            let bad = |problem: String| invalid(header_pointer(name), problem);
            let parsed: HeaderName = name.parse().map_err(|_| bad("is no name of a header".to_owned()))?;
            if !hop.with_body && parsed == header::CONTENT_TYPE {
                continue;
            }
            if let Some(value) = self.header(name, content, hop)? {
                headers.insert(parsed, value);
            }
        }
        headers.insert(
            header::HOST,
            HeaderValue::from_str(&host(&hop.origin))
                .map_err(|error| invalid("/url".to_owned(), error.to_string()))?,
        );
        // One request a connection.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(message)
    }

    /// What a header says on this hop; `None`: it is not sent. A secret goes nowhere by a redirect that it was not
    /// meant for.
    fn header(
        &self,
        name: &str,
        content: &HeaderContent,
        hop: &Hop,
    ) -> Result<Option<HeaderValue>, HttpError> {
        let (text, is_secret) = match content {
            HeaderContent::Text(text) => (text.clone(), false),
            HeaderContent::Secret(reference) => match self.secrets.get(&reference.secret, &hop.origin) {
                Ok(secret) => (format!("{}{}", reference.prefix, secret.expose_secret()), true),
                Err(_) if hop.number > 0 => return Ok(None),
                Err(problem) => return Err(HttpError::Secret { pointer: header_pointer(name), problem }),
            },
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| HttpError::Secret {
            pointer: header_pointer(name),
            problem: "has characters that no header may have".to_owned(),
        })?;
        value.set_sensitive(is_secret);
        Ok(Some(value))
    }

    fn unexpected(&self, url: &Url, answer: Answer) -> HttpError {
        let hint = if is_redirect(answer.status) { "to follow redirects, set `redirects`; " } else { "" };
        let text = self.secrets.mask(String::from_utf8_lossy(&answer.body).into_owned());
        let retry_after = retry_after(&answer.headers, SystemTime::now());
        HttpError::Status {
            url: shown(url),
            status: answer.status,
            quote: format!("{hint}{}", cut(text.trim().to_owned(), QUOTED_BYTES)),
            retry_after,
        }
    }
}

/// One of the requests that a request with redirects consists of.
struct Hop {
    url: Url,
    origin: Origin,
    method: hyper::Method,
    with_body: bool,
    /// From 0.
    number: u8,
}

impl Hop {
    fn first(request: &HttpRequest) -> Result<Self, HttpError> {
        let (url, origin) = request.validate()?;
        Ok(Hop { url, origin, method: request.method.into(), with_body: true, number: 0 })
    }

    /// Where an answer redirects to, or what is wrong with it.
    fn next(&self, answer: &Answer) -> Result<Hop, String> {
        let place = answer.headers.get(header::LOCATION).ok_or("without saying where to (`Location`)")?;
        let place = place.to_str().map_err(|_| "to what is no URL".to_owned())?;
        let url = self.url.join(place).map_err(|error| format!("to what is no URL: {error}"))?;
        let (url, origin) = request::checked(url).map_err(|problem| format!("to a URL that {problem}"))?;
        if self.origin.is_https() && !origin.is_https() {
            return Err(format!("from https to {origin}, where everybody on the way could read it"));
        }
        // As browsers do, and RFC 9110 wants of 303: what was posted is not posted elsewhere.
        let is_read = matches!(self.method, hyper::Method::GET | hyper::Method::HEAD);
        let becomes_get = match answer.status {
            StatusCode::SEE_OTHER => !is_read,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == hyper::Method::POST,
            _ => false,
        };
        Ok(Hop {
            url,
            origin,
            method: if becomes_get { hyper::Method::GET } else { self.method.clone() },
            with_body: self.with_body && !becomes_get,
            number: self.number + 1,
        })
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The body with its type.
fn body(request: &HttpRequest) -> (Option<&'static str>, Bytes) {
    match (&request.text, &request.json) {
        (Some(text), _) => (Some("text/plain; charset=utf-8"), text.clone().into()),
        (None, Some(json)) => (Some("application/json"), json.to_string().into()),
        (None, None) => (None, Bytes::new()),
    }
}

/// What `Host` says.
pub(crate) fn host(origin: &Origin) -> String {
    let usual = if origin.is_https() { 443 } else { 80 };
    if origin.port() == usual {
        origin.host().to_string()
    } else {
        format!("{}:{}", origin.host(), origin.port())
    }
}

/// When to come again: a number of seconds, or a date, which the answer's own clock is the measure of.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    let given = text(header::RETRY_AFTER)?;
    let wait = match given.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(given).ok()?;
            let now = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
            at.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The certificate authorities of a PEM file.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpSetupError> {
    let wrong = |problem: String| HttpSetupError::CaFile { path: path.to_owned(), problem };
    let found = rustls_native_certs::load_certs_from_paths(Some(path), None);
    if let Some(error) = found.errors.first() {
        return Err(wrong(error.to_string()));
    }
    if RootCertStore::empty().add_parsable_certificates(found.certs.iter().cloned()).0 == 0 {
        return Err(wrong("no certificate is in it; PEM is needed".to_owned()));
    }
    Ok(found.certs)
}

/// Trusts the system's certificate authorities and these.
pub(crate) fn trusting(authorities: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate authority of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots.add_parsable_certificates(authorities.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(pairs: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 11:00:00 GMT").unwrap();
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn an_answer_says_when_to_come_again_in_seconds_or_by_a_date() {
        assert_eq!(wait(&[("retry-after", " 7 ")]), Some(7));
        assert_eq!(wait(&[("retry-after", "Sat, 21 Nov 2026 11:00:30 GMT")]), Some(30));
        assert_eq!(wait(&[("retry-after", "Sat, 21 Nov 2026 10:00:00 GMT")]), Some(0));
        let skewed =
            [("retry-after", "Sat, 21 Nov 2026 12:00:30 GMT"), ("date", "Sat, 21 Nov 2026 12:00:00 GMT")];
        assert_eq!(wait(&skewed), Some(30));
        assert_eq!(wait(&[("retry-after", "999999999999")]), Some(24 * 60 * 60));
        for other in ["-1", "soon", "", "1.5"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(other));
            assert_eq!(retry_after(&headers, SystemTime::now()), None, "{other:?}");
        }
    }
}
