//! One connection for one request: resolved, judged and made without looking anything up twice.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Host;

use super::{AddressRules, HttpError, Origin, output::Answer};

/// How long one address may take to answer; the next one is tried after that.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// Bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Why an answer was not read to its end.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The connection broke.
    Broken(hyper::Error),
    /// Its body is longer than it may be.
    TooLarge,
}

/// The addresses of an origin that requests may be sent to; an error if there are none.
async fn resolve(origin: &Origin, rules: &AddressRules) -> Result<Vec<SocketAddr>, HttpError> {
    let found: Vec<SocketAddr> = match origin.host() {
        Host::Ipv4(address) => vec![(*address, origin.port()).into()],
        Host::Ipv6(address) => vec![(*address, origin.port()).into()],
        Host::Domain(name) => {
            let unresolved = |source| HttpError::Unresolved { host: name.clone(), source };
            lookup_host((name.as_str(), origin.port())).await.map_err(unresolved)?.collect()
        }
    };
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match rules.refuse(address.ip()) {
            None => allowed.push(address),
            Some(special) => refused = refused.or(Some((address.ip(), special))),
        }
    }
    allowed.truncate(MAX_ADDRESSES);
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some((address, special))) => Err(refusal(origin, address, special)),
        (true, None) => {
            let source = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
            Err(HttpError::Unresolved { host: origin.host().to_string(), source })
        }
    }
}

fn refusal(origin: &Origin, address: IpAddr, special: super::address::Special) -> HttpError {
    HttpError::address(&origin.host().to_string(), address, special)
}

/// A connection to the first of the origin's addresses that answers.
pub(crate) async fn connect(origin: &Origin, rules: &AddressRules) -> Result<TcpStream, HttpError> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in resolve(origin, rules).await? {
        match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is written at once; waiting for more of it gains nothing. Where it cannot be set it costs
                // some time and nothing else.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("{address} did not answer")),
        }
    }
    Err(HttpError::Connect { origin: origin.to_string(), source: last })
}

/// Sends the request over the connection and reads the whole answer.
pub(crate) async fn exchange(
    stream: TcpStream,
    origin: &Origin,
    tls: Option<Arc<ClientConfig>>,
    request: Request<Full<Bytes>>,
    max_body: usize,
) -> Result<Answer, HttpError> {
    let read = match tls {
        None => talk(stream, request, max_body).await,
        Some(config) => {
            let failed = |problem: String| HttpError::Tls { origin: origin.to_string(), problem };
            let name = match origin.host() {
                Host::Domain(name) => {
                    ServerName::try_from(name.clone()).map_err(|error| failed(error.to_string()))?
                }
                Host::Ipv4(address) => ServerName::from(IpAddr::from(*address)),
                Host::Ipv6(address) => ServerName::from(IpAddr::from(*address)),
            };
            let connected = TlsConnector::from(config).connect(name, stream).await;
            talk(connected.map_err(|error| failed(error.to_string()))?, request, max_body).await
        }
    };
    read.map_err(|error| match error {
        ReadError::Broken(source) => HttpError::Broken { origin: origin.to_string(), source },
        ReadError::TooLarge => HttpError::TooLarge { url: origin.to_string(), limit: max_body },
    })
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    max_body: usize,
) -> Result<Answer, ReadError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ReadError::Broken)?;
    let asked = async move {
        let (head, mut body) = sender.send_request(request).await.map_err(ReadError::Broken)?.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(ReadError::Broken)?.into_data() {
                if bytes.len() + data.len() > max_body {
                    return Err(ReadError::TooLarge);
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: bytes })
    };
    // Nothing of it runs elsewhere: when the future is dropped, the connection is closed.
    match select(pin!(asked), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection is done, and all that was read is there; if it broke, whoever asked hears of it.
        Either::Right((_, asked)) => asked.await,
    }
}
