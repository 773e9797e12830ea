//! `/proxy/alerts` and `/proxy/targets`: answers of the Alertmanager and of Prometheus, passed on.
//!
//! What is asked is always the same, of the server that is configured: nothing of what a client sends goes there, and
//! redirects are not followed.

use std::{error::Error, fmt::Display, pin::pin, sync::Arc, time::Duration};

use actix_web::{HttpResponse, http::StatusCode};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Uri,
    client::conn::http1,
    header::{self, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

use crate::settings::WebError;

/// Requests that are under way at a time, to both servers together. More wait, within their time.
const SEATS: usize = 16;
/// Bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How answers are passed on.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// The Alertmanager's base URL, of the scheme `http`.
    pub alertmanager_url: Option<String>,
    /// Prometheus' base URL, of the scheme `http`.
    pub prometheus_url: Option<String>,
    /// How long one of them may take for its whole answer.
    pub timeout: Duration,
    /// Bytes of an answer at most.
    pub max_answer: usize,
}

/// Passes answers on. Cheap to clone; clones share their bounds.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    alertmanager: Upstream,
    prometheus: Upstream,
    timeout: Duration,
    max_answer: usize,
    seats: Arc<Semaphore>,
}

/// A server whose answer is passed on.
#[derive(Clone, Debug)]
struct Upstream {
    /// As the old gateway names it in its errors.
    name: &'static str,
    /// The setting that says where it is.
    setting: &'static str,
    /// What is asked.
    target: Option<Target>,
}

/// One URL, taken apart.
#[derive(Clone, Debug)]
struct Target {
    host: String,
    port: u16,
    /// What `Host` says.
    authority: HeaderValue,
    path: Uri,
}

impl Proxy {
    /// # Errors
    /// [`WebError::Upstream`]: a URL is none that can be asked.
    pub(crate) fn new(settings: &ProxySettings) -> Result<Self, WebError> {
        let upstream = |name, setting, url: &Option<String>, path| {
            let target = url.as_deref().map(|url| target(url, path).ok_or(WebError::Upstream(setting)));
            Ok(Upstream { name, setting, target: target.transpose()? })
        };
        Ok(Proxy {
            alertmanager: upstream(
                "Alertmanager",
                "proxy.alertmanager_url",
                &settings.alertmanager_url,
                "/api/v2/alerts",
            )?,
            prometheus: upstream(
                "Prometheus",
                "proxy.prometheus_url",
                &settings.prometheus_url,
                "/api/v1/targets",
            )?,
            timeout: settings.timeout,
            max_answer: settings.max_answer,
            seats: Arc::new(Semaphore::new(SEATS)),
        })
    }

    /// The alerts of the Alertmanager.
    pub(crate) async fn alerts(&self) -> HttpResponse {
        self.pass_on(&self.alertmanager).await
    }

    /// The targets of Prometheus.
    pub(crate) async fn targets(&self) -> HttpResponse {
        self.pass_on(&self.prometheus).await
    }

    async fn pass_on(&self, upstream: &Upstream) -> HttpResponse {
        let Upstream { name, .. } = upstream;
        match timeout(self.timeout, self.ask(upstream)).await {
            Ok(Ok((status, body))) => HttpResponse::build(status).content_type("application/json").body(body),
            Ok(Err(details)) => {
                tracing::debug!(upstream = name, details, "an answer cannot be passed on");
                HttpResponse::BadGateway()
                    .json(json!({ "error": format!("{name} unavailable"), "details": details }))
            }
            Err(_) => HttpResponse::GatewayTimeout().json(json!({ "error": format!("{name} timeout") })),
        }
    }

    /// The whole answer, or why there is none that can be passed on.
    async fn ask(&self, upstream: &Upstream) -> Result<(StatusCode, Bytes), String> {
        let Some(target) = &upstream.target else {
            return Err(format!("{} is not set", upstream.setting));
        };
        // Nobody closes it.
        let _seat = self.seats.acquire().await.map_err(told)?;
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(told)?;
        let (status, body) = exchange(stream, target, self.max_answer).await?;
        if status.is_redirection() {
            return Err(format!("it answered {status}, and redirects are not followed"));
        }
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
            return Err(format!("it answered {status} with what is no JSON: {error}"));
        }
        Ok((status, body))
    }
}

/// Takes a base URL apart and adds the path.
fn target(url: &str, path: &str) -> Option<Target> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let plain =
        uri.scheme_str() == Some("http") && uri.query().is_none() && !authority.as_str().contains('@');
    let path = format!("{}{path}", uri.path().trim_end_matches('/'));
    plain.then_some(Target {
        host: uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: uri.port_u16().unwrap_or(80),
        authority: HeaderValue::from_str(authority.as_str()).ok()?,
        path: path.parse().ok()?,
    })
}

async fn exchange(
    stream: TcpStream,
    target: &Target,
    max_answer: usize,
) -> Result<(StatusCode, Bytes), String> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = target.path.clone();
    let headers = request.headers_mut();
    headers.insert(header::HOST, target.authority.clone());
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("callboard/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let builder = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream));
    let (mut sender, connection) = builder.await.map_err(told)?;
    let asked = async move {
        let (head, mut body) = sender.send_request(request).await.map_err(told)?.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(told)?.into_data() {
                if bytes.len() + data.len() > max_answer {
                    return Err(format!("its answer has more than {max_answer} bytes (proxy.max_answer)"));
                }
                bytes.extend_from_slice(&data);
            }
        }
        let status = StatusCode::from_u16(head.status.as_u16()).map_err(told)?;
        Ok((status, Bytes::from(bytes)))
    };
    // Nothing of it runs elsewhere: when the future is dropped, the connection is closed.
    match select(pin!(asked), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection is done, and all that was read is there; if it broke, whoever asked hears of it.
        Either::Right((_, asked)) => asked.await,
    }
}

/// An error with what caused it.
fn told(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        add(&mut text, error);
        cause = error.source();
    }
    text
}

fn add(text: &mut String, cause: impl Display) {
    let cause = cause.to_string();
    if !text.contains(&cause) {
        text.push_str(": ");
        text.push_str(&cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_to_the_base() {
        for (url, host, port, authority, path) in [
            ("http://127.0.0.1:9093", "127.0.0.1", 9093, "127.0.0.1:9093", "/api/v2/alerts"),
            ("http://am/", "am", 80, "am", "/api/v2/alerts"),
            ("http://am:1/base/", "am", 1, "am:1", "/base/api/v2/alerts"),
            ("http://[::1]:9093/base", "::1", 9093, "[::1]:9093", "/base/api/v2/alerts"),
        ] {
            let target = target(url, "/api/v2/alerts").unwrap();
            assert_eq!((&*target.host, target.port), (host, port), "{url}");
            assert_eq!((target.authority.to_str().unwrap(), target.path.path()), (authority, path), "{url}");
        }
        for url in ["https://am", "am:9093", "http://me@am", "http://am?x=1", "/api", ""] {
            assert!(target(url, "/api/v2/alerts").is_none(), "{url}");
        }
    }
}
