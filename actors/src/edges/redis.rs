//! [`RedisServer`]: the connection to a Redis server that an edge has.

use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, aio::MultiplexedConnection};
use secrecy::{ExposeSecret, SecretString};

/// The URL of a Redis server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL of Redis cannot be used: expected redis://HOST:6379/DATABASE, or rediss:// over TLS")]
pub struct InvalidRedisUrl;

/// A server, and the one connection to it, which is made when it is needed.
pub(super) struct RedisServer {
    client: Client,
    /// The connection, and how many there were: whoever has found one broken drops that one only.
    connection: Mutex<(u64, Option<MultiplexedConnection>)>,
}

impl RedisServer {
    /// Does not connect yet.
    pub(super) fn new(url: &SecretString) -> Result<Self, InvalidRedisUrl> {
        // What the crate says of a URL may hold a part of it.
        let client = Client::open(url.expose_secret()).map_err(|_| InvalidRedisUrl)?;
        Ok(RedisServer { client, connection: Mutex::new((0, None)) })
    }

    /// The connection, which is made if there is none and `connect` is set.
    pub(super) async fn borrow(&self, connect: bool) -> Result<Borrowed<'_>, RedisError> {
        let (number, known) = self.connection.lock().clone();
        let (number, connection) = match known {
            Some(connection) => (number, connection),
            None if !connect => return Err(RedisError::from((ErrorKind::Io, "there is no connection yet"))),
            None => {
                // The guard has the time.
                let config =
                    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
                let made = self.client.get_multiplexed_async_connection_with_config(&config).await?;
                let mut connection = self.connection.lock();
                *connection = (connection.0 + 1, Some(made.clone()));
                (connection.0, made)
            }
        };
        Ok(Borrowed { server: self, number, connection, is_good: false })
    }
}

/// The connection while a command is under way on it. If that does not succeed, or is given up, the connection is not used
/// again: nobody knows what would be read from it.
pub(super) struct Borrowed<'a> {
    server: &'a RedisServer,
    number: u64,
    pub(super) connection: MultiplexedConnection,
    is_good: bool,
}

impl Borrowed<'_> {
    /// Says what came of the command.
    pub(super) fn give_back<T>(mut self, done: Result<T, RedisError>) -> Result<T, RedisError> {
        self.is_good = done.is_ok();
        done
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut connection = self.server.connection.lock();
        if !self.is_good && connection.0 == self.number {
            connection.1 = None;
        }
    }
}
