//! [`Brokers`]: where the brokers are, and how one of them is connected to.

use std::{fmt, fs, io, path::PathBuf};

use futures_util::{FutureExt, future::BoxFuture};
use lapin::{
    Connection, ConnectionProperties,
    runtime::default_runtime,
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};
use secrecy::ExposeSecret;

use super::RabbitSettings;

/// Why a bus cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RabbitError {
    /// The URL is none. It is not shown, as it may hold a password.
    #[error("`bus.url`: {0}")]
    Url(String),
    /// An address is none.
    #[error("`bus.addresses`: {0:?} is neither HOST nor HOST:PORT")]
    Address(String),
    /// The file of certificate authorities cannot be used.
    #[error("`bus.ca_file` {}: {error}", path.display())]
    Authorities {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

/// A broker, with what it takes to get in.
#[derive(Clone)]
pub(super) struct Broker {
    uri: AMQPUri,
    /// PEM.
    authorities: Option<String>,
    name: String,
}

/// Where it is, without anything secret.
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = &self.uri.authority;
        match authority.host.contains(':') {
            true => write!(f, "[{}]:{}", authority.host, authority.port),
            false => write!(f, "{}:{}", authority.host, authority.port),
        }
    }
}

/// The brokers of the cluster, in the order in which they are tried.
///
/// # Errors
/// The URL, an address or the file of certificate authorities cannot be used.
pub(super) fn brokers(settings: &RabbitSettings) -> Result<Vec<Broker>, RabbitError> {
    let mut uri: AMQPUri = settings.url.expose_secret().parse().map_err(RabbitError::Url)?;
    let seconds = settings.heartbeat.as_secs().clamp(1, u64::from(u16::MAX));
    uri.query.heartbeat = u16::try_from(seconds).ok();
    uri.query.connection_timeout = u64::try_from(settings.connect_timeout.as_millis()).ok();
    let authorities = match &settings.ca_file {
        Some(path) => Some(
            fs::read_to_string(path)
                .map_err(|error| RabbitError::Authorities { path: path.clone(), error })?,
        ),
        None => None,
    };
    let first = Broker { uri, authorities, name: settings.name.clone() };
    let usual = match first.uri.scheme {
        AMQPScheme::AMQP => 5672,
        AMQPScheme::AMQPS => 5671,
    };
    let mut brokers = vec![first.clone()];
    for address in &settings.addresses {
        let (host, port) = split(address).ok_or_else(|| RabbitError::Address(address.clone()))?;
        let mut other = first.clone();
        other.uri.authority.host = host.to_owned();
        other.uri.authority.port = port.unwrap_or(usual);
        brokers.push(other);
    }
    Ok(brokers)
}

/// Host and port of an address.
fn split(address: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match address.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}

impl Broker {
    /// Connects, or says why not. That it takes too long is for the caller to find; who then drops this leaves a thread behind that
    /// goes on waiting for the broker, as the client library cannot be told to stop.
    pub(super) fn connect(&self) -> BoxFuture<'static, Result<Connection, String>> {
        let place = self.to_string();
        let options = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authorities.clone() };
        let uri = self.uri.clone();
        async move {
            let runtime = default_runtime().map_err(|error| error.to_string())?;
            let connecting = Connection::connect_uri_with_config(uri, options, tls, runtime);
            connecting.await.map_err(|error| format!("{place}: {error}"))
        }
        .boxed()
    }
}
