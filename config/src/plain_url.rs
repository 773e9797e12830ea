//! Where servers outside are that are asked by HTTP, with nothing in it that would have to be kept secret.

use std::fmt;

use crate::document::Node;
use crate::key::quoted;
use crate::value::{Fault, Setting, text};

const LONGEST: usize = 2048;

/// Whether it is a base URL of one of the schemes: a host, perhaps a port, perhaps a path.
fn fits(url: &str, schemes: &[&str]) -> bool {
    let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
    let plain = visible && url.len() <= LONGEST && !url.contains(['@', '?', '#', '\\', '"', '<', '>']);
    let rest =
        schemes.iter().find_map(|scheme| url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")));
    let authority = rest.and_then(|rest| rest.split('/').next());
    let has_place = authority.is_some_and(|authority| {
        let (host, port) = match authority.rsplit_once(':') {
            // Of an IPv6 address without a port, the last part is none either.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        !host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
    });
    plain && has_place
}

/// Declares the base URL of a kind of server, and the error of a text that is none.
macro_rules! plain_url {
    ($(#[$meta:meta])* pub struct $name:ident, $(#[$error_meta:meta])* $error:ident: $schemes:expr, $expected:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        $(#[$error_meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("expected a URL such as {}", $expected)]
        pub struct $error;

        impl $name {
            /// Takes a URL of the right scheme.
            ///
            /// # Errors
            /// What a URL has that this one has not. The text itself is not shown: it may hold what belongs elsewhere.
            pub fn new(url: impl Into<String>) -> Result<Self, $error> {
                let url = url.into();
                if fits(&url, &$schemes) { Ok(Self(url)) } else { Err($error) }
            }

            /// The URL.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
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
                quoted(&self.0)
            }
        }
    };
}

plain_url! {
    /// The base URL of a server whose answers are passed on: `http`.
    pub struct UpstreamUrl,
    /// The text is no base URL of such a server.
    InvalidUpstreamUrl: ["http"],
    "\"http://127.0.0.1:9093\", of the scheme http and without user, query and fragment"
}

plain_url! {
    /// The base URL of a collector of spans: `http` or `https`.
    pub struct CollectorUrl,
    /// The text is no base URL of a collector.
    InvalidCollectorUrl: ["http", "https"],
    "\"http://127.0.0.1:4318\", without user, query and fragment (keys go into `headers`)"
}

plain_url! {
    /// The address of a web interface: `http` or `https`.
    pub struct InterfaceUrl,
    /// The text is no address of a web interface.
    InvalidInterfaceUrl: ["http", "https"],
    "\"https://grafana.example/dashboards\", without user, query and fragment"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_http_servers_are_taken() {
        for url in [
            "http://127.0.0.1:9093",
            "http://alertmanager",
            "http://alertmanager/base/",
            "http://[::1]:9090",
            "http://[::1]",
        ] {
            assert_eq!(UpstreamUrl::new(url).unwrap().as_str(), url);
            assert_eq!(CollectorUrl::new(url).unwrap().as_str(), url);
        }
        for url in ["https://collector", "https://[::1]:4318/base/"] {
            assert_eq!(CollectorUrl::new(url).unwrap().as_str(), url);
            assert_eq!(UpstreamUrl::new(url), Err(InvalidUpstreamUrl), "{url}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "alertmanager:9093",
            "http://",
            "http:///v2",
            "http://:9093",
            "grpc://c",
            "file:///etc/passwd",
            "http://me:key@a",
            "http://a?x=1",
            "http://a#x",
            "http://a b",
            "http://a:0",
            "http://a:99999",
            "http://a:port",
        ] {
            assert_eq!(UpstreamUrl::new(text), Err(InvalidUpstreamUrl), "{text}");
            assert_eq!(CollectorUrl::new(text), Err(InvalidCollectorUrl), "{text}");
        }
    }
}
