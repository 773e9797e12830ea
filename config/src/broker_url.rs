//! Where a message broker is, with what it takes to get in.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::database_url;
use crate::document::Node;
use crate::key::quoted;
use crate::value::{Fault, Setting, text};

const SCHEMES: [&str; 2] = ["amqp://", "amqps://"];
const EXPECTED: &str =
    "expected a URL such as \"amqp://USER:PASSWORD@HOST:5672/VHOST\", or \"amqps://…\" for TLS";
const LONGEST: usize = 2048;

/// The URL of a RabbitMQ broker. It may hold a password, so it shows as host and virtual host only:
/// `amqps://***@mq.example:5671/jobs`.
#[derive(Clone)]
pub struct BrokerUrl(SecretString);

/// The text is no URL of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{EXPECTED}, of at most {LONGEST} visible ASCII characters (others are written as %XX)")]
pub struct InvalidBrokerUrl;

impl BrokerUrl {
    /// Takes a URL of the scheme `amqp` or `amqps`.
    ///
    /// # Errors
    /// What a URL has that this one has not. The text itself is not shown.
    pub fn new(url: impl Into<String>) -> Result<Self, InvalidBrokerUrl> {
        let url = url.into();
        let scheme = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
        let host = scheme.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '@']));
        let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
        if host && visible && url.len() <= LONGEST { Ok(Self(url.into())) } else { Err(InvalidBrokerUrl) }
    }

    /// The URL itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether TLS is spoken there.
    pub fn is_encrypted(&self) -> bool {
        self.expose().starts_with("amqps://")
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        database_url::show(self.expose(), f)
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

/// It never says what was found in its place.
impl Setting for BrokerUrl {
    const SECRET: bool = true;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let Some(text) = text(node) else {
            let found = node.value.type_name();
            return Err(Fault::new(format!("{EXPECTED}, found {found}"), node).into());
        };
        Self::new(text.into_owned()).map_err(|error| Fault::new(error.to_string(), node).into())
    }

    fn render(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_where_it_is_and_no_more() {
        for (url, shown) in [
            ("amqp://me:secret@mq:5672/jobs", "amqp://***@mq:5672/jobs"),
            ("amqps://mq/%2f?secret=1", "amqps://mq/%2f"),
            ("amqp://me:secret@[::1]:5672", "amqp://***@[::1]:5672"),
            ("amqp://me:se/cret/jobs", "amqp://***"),
        ] {
            let url = BrokerUrl::new(url).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "mq:5672", "amqp://", "amqp:///jobs", "amqp://:5672", "http://mq", "amqp://mq/a b"] {
            assert_eq!(BrokerUrl::new(text).unwrap_err(), InvalidBrokerUrl, "{text}");
        }
    }
}
