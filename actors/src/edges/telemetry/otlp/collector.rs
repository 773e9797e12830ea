//! The collector, as far as it is spoken to.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use rustls::{ClientConfig, pki_types::CertificateDer};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;
use url::Url;

use super::OtlpSettings;
use crate::jobs::http::{
    AddressRules, HttpError, HttpSetupError, Origin,
    wire::{Answer, authorities, connect, exchange, host, retry_after, trusting},
};

/// Where traces are taken in below a collector's base URL.
const TRACES: &str = "/v1/traces";
/// Bytes of an answer: it says what was rejected, and nothing else.
const MAX_ANSWER: usize = 64 * 1024;
/// Bytes that a log line quotes of an answer.
const QUOTED: usize = 200;

/// Why spans cannot be sent at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// The endpoint is no URL of a collector.
    #[error("`telemetry.endpoint` {endpoint:?}: {problem}")]
    Endpoint {
        /// What it is.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A header cannot be sent.
    #[error("`telemetry.headers`: {name:?} cannot be sent as a header")]
    Header {
        /// Its name.
        name: String,
    },
    /// The file of certificate authorities cannot be used.
    #[error("`telemetry.ca_file` {path}: {problem}")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why spans were not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// They may be sent again, after this time if the collector says so.
    Later { why: String, after: Option<Duration> },
    /// They never will be.
    ForGood { why: String },
}

/// The collector. Each batch has a connection of its own, which costs little at one a second.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    origin: Origin,
    target: Uri,
    headers: HeaderMap,
    /// The operator has said where it is: every address will do.
    addresses: AddressRules,
    authorities: Arc<[CertificateDer<'static>]>,
    /// Made when first needed: the system has many certificate authorities.
    tls: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl Collector {
    /// Reads `ca_file`, so it blocks.
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, OtlpError> {
        let wrong = |problem: String| OtlpError::Endpoint { endpoint: settings.endpoint.clone(), problem };
        let url = Url::parse(&settings.endpoint).map_err(|error| wrong(error.to_string()))?;
        let origin = Origin::of(&url)
            .ok_or_else(|| wrong("it begins with neither http:// nor https://".to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(wrong("it has a user or a query; keys go into `telemetry.headers`".to_owned()));
        }
        let path = url.path().trim_end_matches('/');
        let path = if path.ends_with(TRACES) { path.to_owned() } else { format!("{path}{TRACES}") };
        let target = path.parse().map_err(|_| wrong("its path cannot be sent".to_owned()))?;
        let addresses = AddressRules::new(["0.0.0.0/0", "::/0"]).map_err(|error| wrong(error.to_string()))?;
        let authorities = match &settings.ca_file {
            Some(path) => authorities(path).map_err(|error| ca_file(path, error))?,
            None => Vec::new(),
        };
        Ok(Collector {
            headers: headers(settings, &origin)?,
            origin,
            target,
            addresses,
            authorities: authorities.into(),
            tls: Arc::default(),
        })
    }

    /// Sends one request, and gives how many of its spans the collector did not want, and why.
    pub(super) async fn send(&self, body: Vec<u8>) -> Result<(u64, String), Refused> {
        let later = |error: HttpError| Refused::Later { why: error.to_string(), after: None };
        let stream = connect(&self.origin, &self.addresses).await.map_err(later)?;
        let tls = if self.origin.is_https() { Some(self.tls().await.map_err(later)?) } else { None };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        let answer = exchange(stream, &self.origin, tls, request, MAX_ANSWER).await.map_err(later)?;
        judge(&answer)
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, HttpError> {
        let failed = |problem: String| HttpError::Tls { origin: self.origin.to_string(), problem };
        let make = || async {
            let authorities = self.authorities.clone();
            let made = tokio::task::spawn_blocking(move || trusting(&authorities)).await;
            let made = made.map_err(|error| failed(error.to_string()))?;
            made.map(Arc::new).map_err(|error| failed(error.to_string()))
        };
        self.tls.get_or_try_init(make).await.cloned()
    }
}

impl std::fmt::Display for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin, self.target)
    }
}

fn ca_file(path: &Path, HttpSetupError::CaFile { problem, .. }: HttpSetupError) -> OtlpError {
    OtlpError::CaFile { path: path.display().to_string(), problem }
}

fn headers(settings: &OtlpSettings, origin: &Origin) -> Result<HeaderMap, OtlpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let wrong = || OtlpError::Header { name: name.clone() };
        let parsed: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(parsed, value);
    }
    let host = HeaderValue::from_str(&host(origin));
    headers.insert(header::HOST, host.map_err(|_| OtlpError::Header { name: "host".to_owned() })?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let agent = HeaderValue::from_static(concat!("callboard/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    // One request a connection.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(headers)
}

/// What OTLP wants to be made of an answer.
fn judge(answer: &Answer) -> Result<(u64, String), Refused> {
    let why = || {
        let said = String::from_utf8_lossy(&answer.body);
        let said: String = said.chars().filter(|letter| !letter.is_control()).take(QUOTED).collect();
        format!("it answered {}: {said}", answer.status)
    };
    match answer.status.as_u16() {
        200..300 => Ok(super::message::rejected(&answer.body)),
        429 | 502 | 503 | 504 => {
            Err(Refused::Later { why: why(), after: retry_after(&answer.headers, SystemTime::now()) })
        }
        _ => Err(Refused::ForGood { why: why() }),
    }
}
