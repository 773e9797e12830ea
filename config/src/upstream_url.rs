//! Where a server stands whose answers are passed on.

use std::fmt;

use crate::document::Node;
use crate::key::quoted;
use crate::value::{Fault, Setting, text};

const EXPECTED: &str = "expected a URL such as \"http://127.0.0.1:9093\", of the scheme http and without user, query and fragment";
const LONGEST: usize = 2048;

/// The base URL of a server whose answers are passed on: `http`, with nothing in it that would have to be kept secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl(String);

/// The text is no base URL of such a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{EXPECTED}")]
pub struct InvalidUpstreamUrl;

impl UpstreamUrl {
    /// Takes a URL of the scheme `http`.
    ///
    /// # Errors
    /// What a URL has that this one has not. The text itself is not shown: it may hold what belongs elsewhere.
    pub fn new(url: impl Into<String>) -> Result<Self, InvalidUpstreamUrl> {
        let url = url.into();
        let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
        let plain = visible && url.len() <= LONGEST && !url.contains(['@', '?', '#', '\\', '"', '<', '>']);
        let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let fits = authority.is_some_and(|authority| {
            let (host, port) = match authority.rsplit_once(':') {
                // Of an IPv6 address without a port, the last part is none either.
                Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
                _ => (authority, None),
            };
            !host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
        });
        if plain && fits { Ok(Self(url)) } else { Err(InvalidUpstreamUrl) }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It never says what was found in its place.
impl Setting for UpstreamUrl {
    const SECRET: bool = true;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let Some(text) = text(node) else {
            let found = node.value.type_name();
            return Err(Fault::new(format!("{EXPECTED}, found {found}"), node).into());
        };
        Self::new(text.into_owned()).map_err(|error| Fault::new(error.to_string(), node).into())
    }

    fn render(&self) -> String {
        quoted(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_http_servers_are_taken_and_others_refused() {
        for url in [
            "http://127.0.0.1:9093",
            "http://alertmanager",
            "http://alertmanager/base/",
            "http://[::1]:9090",
            "http://[::1]",
        ] {
            assert_eq!(UpstreamUrl::new(url).unwrap().as_str(), url);
        }
        for text in [
            "",
            "alertmanager:9093",
            "http://",
            "http:///v2",
            "http://:9093",
            "https://alertmanager",
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
        }
    }
}
