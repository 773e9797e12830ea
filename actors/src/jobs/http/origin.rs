//! Which origins a request may be sent to.

use std::{fmt, str::FromStr};

use thiserror::Error;
use url::{Host, Url};

/// Scheme, host and port of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    https: bool,
    host: Host,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL; `None` of any other.
    pub fn of(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Origin { https, host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// An origin, or a family of them: `https://api.example.com`, `http://10.0.0.7:8080`, `*.example.com` (every name below
/// it, and not itself), `*` (every host). Without a scheme it is `https`, without a port the scheme's usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    https: bool,
    host: HostPattern,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// With the dot before it.
    Below(String),
    Exactly(Host),
}

/// A text is no [`OriginPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no origin: {problem}; write for example \"https://api.example.com\", \"http://10.0.0.7:8080\" or \
     \"*.example.com\""
)]
pub struct InvalidOrigin {
    text: String,
    problem: String,
}

impl FromStr for OriginPattern {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let invalid = |problem: &str| InvalidOrigin {
            text: text.chars().take(200).collect(),
            problem: problem.to_owned(),
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let (wildcard, rest) = match rest.strip_prefix('*') {
            None => (None, rest.to_owned()),
            // A stand-in, so that a port after it is read as ever.
            Some(rest) if rest.is_empty() || rest.starts_with(':') => (Some(true), format!("any{rest}")),
            Some(rest) => match rest.strip_prefix('.') {
                Some(rest) => (Some(false), rest.to_owned()),
                None => return Err(invalid("a `*` stands alone or before a dot")),
            },
        };
        if rest.contains(['*', '\\']) {
            return Err(invalid("a `*` stands at the beginning of the host"));
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| invalid(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it has a user or a password in it"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it has a path, a query or a fragment"));
        }
        let origin = Origin::of(&url).ok_or_else(|| invalid("it is neither http nor https"))?;
        let host = match (wildcard, origin.host) {
            (Some(true), _) => HostPattern::Any,
            (Some(false), Host::Domain(name)) => HostPattern::Below(format!(".{name}")),
            (Some(false), _) => return Err(invalid("an address has no names below it")),
            (None, host) => HostPattern::Exactly(host),
        };
        Ok(OriginPattern { https: origin.https, host, port: origin.port })
    }
}

impl OriginPattern {
    /// Whether it covers this origin.
    pub fn covers(&self, origin: &Origin) -> bool {
        let host = match &self.host {
            HostPattern::Any => true,
            HostPattern::Exactly(host) => *host == origin.host,
            HostPattern::Below(suffix) => {
                matches!(&origin.host, Host::Domain(name) if name.len() > suffix.len() && name.ends_with(suffix))
            }
        };
        host && self.https == origin.https && self.port == origin.port
    }
}

/// The origins that are allowed. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginList(Vec<OriginPattern>);

impl OriginList {
    /// Allows these; see [`OriginPattern`] for how they are written.
    ///
    /// # Errors
    /// The first that is none.
    pub fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidOrigin> {
        entries.into_iter().map(|entry| entry.as_ref().parse()).collect::<Result<_, _>>().map(OriginList)
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them covers this origin.
    pub fn covers(&self, origin: &Origin) -> bool {
        self.0.iter().any(|pattern| pattern.covers(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, url: &str) -> bool {
        let origin = Origin::of(&Url::parse(url).unwrap()).unwrap();
        OriginList::new([pattern]).unwrap().covers(&origin)
    }

    #[test]
    fn a_pattern_covers_its_scheme_host_and_port() {
        for (pattern, url) in [
            ("https://api.example.com", "https://API.example.com/x?y"),
            ("api.example.com", "https://api.example.com:443/"),
            ("https://api.example.com:8443", "https://api.example.com:8443/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x"),
            ("http://127.0.0.1:8080", "http://0x7f.1:8080/x"),
            ("http://[::1]", "http://[0:0::1]/"),
            ("*.example.com", "https://a.b.example.com/"),
            ("http://*.example.com:81", "http://a.example.com:81/"),
            ("*", "https://1.1.1.1/"),
            ("http://*:8080", "http://x:8080/"),
            ("https://bücher.example", "https://xn--bcher-kva.example/"),
        ] {
            assert!(covers(pattern, url), "{pattern} {url}");
        }
        for (pattern, url) in [
            ("https://api.example.com", "http://api.example.com/"),
            ("https://api.example.com", "https://api.example.com:444/"),
            ("https://api.example.com", "https://api.example.com./"),
            ("https://api.example.com", "https://api.example.com.evil.test/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://evilexample.com/"),
            ("*", "http://a/"),
            ("*", "https://a:8443/"),
        ] {
            assert!(!covers(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://a?b",
            "a#b",
            "u@a",
            "https://u:p@a",
            "a*",
            "*a.com",
            "a.*.com",
            "*.*.com",
            "*.127.0.0.1",
            "https://a:99999",
            "a b",
            "https://a\\b",
        ] {
            let error = OriginList::new([text]).unwrap_err().to_string();
            assert!(error.contains("is no origin"), "{text:?}: {error}");
        }
        assert!(OriginList::default().is_empty());
    }
}
