//! Where a collector of spans is.

use std::fmt;

use crate::document::Node;
use crate::key::quoted;
use crate::value::{Fault, Setting, text};

const EXPECTED: &str = "expected a URL such as \"http://127.0.0.1:4318\", without user, query and fragment (keys go into `headers`)";
const LONGEST: usize = 2048;

/// The base URL of a collector: `http` or `https`, with nothing in it that would have to be kept secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorUrl(String);

/// The text is no base URL of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{EXPECTED}")]
pub struct InvalidCollectorUrl;

impl CollectorUrl {
    /// Takes a URL of the scheme `http` or `https`.
    ///
    /// # Errors
    /// What a URL has that this one has not. The text itself is not shown: it may hold what belongs elsewhere.
    pub fn new(url: impl Into<String>) -> Result<Self, InvalidCollectorUrl> {
        let url = url.into();
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']));
        let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
        let plain = visible && url.len() <= LONGEST && !url.contains(['@', '?', '#']);
        if host && plain { Ok(Self(url)) } else { Err(InvalidCollectorUrl) }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It never says what was found in its place.
impl Setting for CollectorUrl {
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
    fn urls_of_collectors_are_taken_and_others_refused() {
        for url in ["http://127.0.0.1:4318", "https://collector", "https://[::1]:4318/base/"] {
            assert_eq!(CollectorUrl::new(url).unwrap().as_str(), url);
        }
        for text in [
            "",
            "collector:4318",
            "http://",
            "http:///v1",
            "http://:4318",
            "grpc://c",
            "http://me:key@c",
            "http://c?key=1",
            "http://a b",
        ] {
            assert_eq!(CollectorUrl::new(text), Err(InvalidCollectorUrl), "{text}");
        }
    }
}
