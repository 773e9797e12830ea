//! Where servers outside are, with what it takes to get in.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::database_url::show;
use crate::document::Node;
use crate::key::quoted;
use crate::value::{Fault, Setting, text};

const LONGEST: usize = 2048;

/// Whether it has one of the schemes, and something after it, which begins with none of `never`.
fn fits(url: &str, schemes: &str, never: &[char]) -> bool {
    let rest = schemes
        .split(' ')
        .find_map(|scheme| url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")));
    let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(never)) && visible && url.len() <= LONGEST
}

/// Declares the URL of a kind of server, and the error of a text that is none.
macro_rules! server_url {
    ($(#[$meta:meta])* pub struct $name:ident, $(#[$error_meta:meta])* $error:ident: $schemes:literal, never $never:expr, $expected:literal) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        $(#[$error_meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("expected a URL such as {}, of at most {LONGEST} visible ASCII characters (others are written as %XX)", $expected)]
        pub struct $error;

        impl $name {
            /// Takes a URL of the right scheme.
            ///
            /// # Errors
            /// What a URL has that this one has not. The text itself is not shown.
            pub fn new(url: impl Into<String>) -> Result<Self, $error> {
                let url = url.into();
                if fits(&url, $schemes, &$never) { Ok(Self(url.into())) } else { Err($error) }
            }

            /// The URL itself.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// The URL itself, as a secret.
            pub fn secret(&self) -> &SecretString {
                &self.0
            }
        }

        impl fmt::Display for $name {
            /// Shows scheme, host, port and database, and nothing at all of a URL that is not of the usual form.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(self.expose(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        /// It never says what was found in its place.
        impl Setting for $name {
            const SECRET: bool = true;

            fn read(node: &Node) -> Result<Self, Vec<Fault>> {
                let Some(text) = text(node) else {
                    let found = node.value.type_name();
                    return Err(Fault::new(format!("{}, found {found}", $error), node).into());
                };
                Self::new(text.into_owned()).map_err(|error| Fault::new(error.to_string(), node).into())
            }

            fn render(&self) -> String {
                quoted(&self.to_string())
            }
        }
    };
}

server_url! {
    /// The URL of a Redis server. It may hold a password, so it shows as host and database only.
    pub struct RedisUrl,
    /// The text is no URL of a Redis server.
    InvalidRedisUrl: "redis rediss", never [], "\"redis://:PASSWORD@HOST:6379/0\""
}

server_url! {
    /// The URL of a MongoDB deployment. It may hold a password, so it shows as hosts and database only.
    pub struct MongodbUrl,
    /// The text is no URL of a MongoDB deployment.
    InvalidMongodbUrl: "mongodb", never [], "\"mongodb://USER:PASSWORD@HOST:27017/\""
}

server_url! {
    /// The URL of a RabbitMQ broker. It may hold a password, so it shows as host and virtual host only:
    /// `amqps://***@mq.example:5671/jobs`.
    pub struct BrokerUrl,
    /// The text is no URL of a broker.
    InvalidBrokerUrl: "amqp amqps", never ['/', ':', '@'],
    "\"amqp://USER:PASSWORD@HOST:5672/VHOST\", or \"amqps://…\" for TLS"
}

impl BrokerUrl {
    /// Whether TLS is spoken there.
    pub fn is_encrypted(&self) -> bool {
        self.expose().starts_with("amqps://")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_where_it_is_and_no_more() {
        for (url, shown) in [
            ("redis://:secret@cache:6379/1", "redis://***@cache:6379/1"),
            ("rediss://cache", "rediss://cache"),
            ("redis://:secret/1", "redis://***"),
        ] {
            let url = RedisUrl::new(url).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
        for (url, shown) in [
            ("amqp://me:secret@mq:5672/jobs", "amqp://***@mq:5672/jobs"),
            ("amqps://mq/%2f?secret=1", "amqps://mq/%2f"),
            ("amqp://me:secret@[::1]:5672", "amqp://***@[::1]:5672"),
            ("amqp://me:se/cret/jobs", "amqp://***"),
        ] {
            let url = BrokerUrl::new(url).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
            assert_eq!(url.is_encrypted(), shown.starts_with("amqps"));
        }
        let several = "mongodb://me:secret@one:27017,two:27018/?replicaSet=rs&authSource=secret";
        assert_eq!(MongodbUrl::new(several).unwrap().to_string(), "mongodb://***@one:27017,two:27018/");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "redis://", "mongodb://db", "cache:6379", "redis://a b"] {
            assert_eq!(RedisUrl::new(text).unwrap_err(), InvalidRedisUrl);
        }
        for text in ["", "mongodb://", "redis://db", "mongodb:db", "mongodb+srv://db"] {
            assert_eq!(MongodbUrl::new(text).unwrap_err(), InvalidMongodbUrl);
        }
        for text in ["", "mq:5672", "amqp://", "amqp:///jobs", "amqp://:5672", "http://mq", "amqp://mq/a b"] {
            assert_eq!(BrokerUrl::new(text).unwrap_err(), InvalidBrokerUrl, "{text}");
        }
    }
}
