//! Where a database is, with what it takes to get in.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::document::Node;
use crate::key::quoted;
use crate::value::{Fault, Setting, text};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const EXPECTED: &str = "expected a URL such as \"postgres://USER:PASSWORD@HOST:5432/DATABASE\"";
const LONGEST: usize = 2048;

/// The URL of a PostgreSQL database. It may hold a password, so it shows as host and database only:
/// `postgres://***@db.example:5432/callboard`.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// Takes a URL of the scheme `postgres` or `postgresql`.
    ///
    /// # Errors
    /// What a URL has that this one has not. The text itself is not shown.
    pub fn new(url: impl Into<String>) -> Result<Self, InvalidDatabaseUrl> {
        let url = url.into();
        let scheme = SCHEMES.iter().any(|scheme| url.starts_with(scheme));
        let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
        if scheme && visible && url.len() <= LONGEST { Ok(Self(url.into())) } else { Err(InvalidDatabaseUrl) }
    }

    /// The URL itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The text is no URL of a PostgreSQL database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{EXPECTED}, of at most {LONGEST} visible ASCII characters (others are written as %XX)")]
pub struct InvalidDatabaseUrl;

/// Shows scheme, host, port and path of a URL, and nothing at all of one that is not of the usual form, where a password
/// could stand anywhere.
pub(crate) fn show(url: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some((scheme, rest)) = url.split_once("://") else { return f.write_str("***") };
    let (place, options) =
        rest.split_once(['?', '#']).map_or((rest, ""), |(place, options)| (place, options));
    let (user, place) = place.rsplit_once('@').map_or(("", place), |(_, place)| ("***@", place));
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let port = match host.strip_prefix('[').map_or(host.rsplit_once(':'), |host| host.split_once("]:")) {
        Some((_, port)) => port,
        None => "0",
    };
    let usual =
        port.bytes().all(|byte| byte.is_ascii_digit()) && !path.contains('/') && !options.contains('@');
    if usual { write!(f, "{scheme}://{user}{place}") } else { write!(f, "{scheme}://***") }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.expose(), f)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// It never says what was found in its place.
impl Setting for DatabaseUrl {
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
            ("postgres://me:secret@db:5432/jobs", "postgres://***@db:5432/jobs"),
            ("postgresql://db/jobs?password=secret", "postgresql://db/jobs"),
            ("postgres://me:sec@ret@[::1]:5432/jobs", "postgres://***@[::1]:5432/jobs"),
            ("postgres:///jobs?host=/run/postgresql", "postgres:///jobs"),
            ("postgres://db", "postgres://db"),
            ("postgres://me:secret/jobs", "postgres://***"),
            ("postgres://me:sec?ret@db/jobs", "postgres://***"),
            ("postgres://me:1/secret@db/jobs", "postgres://***@db/jobs"),
            ("postgres://me:1/se#cret@db/jobs", "postgres://***"),
        ] {
            let url = DatabaseUrl::new(url).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "mysql://db/jobs", "db:5432", "postgres://db/a b", "postgres://db/\u{e4}"] {
            assert_eq!(DatabaseUrl::new(text).unwrap_err(), InvalidDatabaseUrl);
        }
    }
}
