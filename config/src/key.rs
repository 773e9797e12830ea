//! Keys: `web.listen`, `queues."a.b".concurrency`.

use std::fmt;

/// A key as its segments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) Vec<String>);

impl Key {
    /// Reads dotted segments; one in single or double quotes may hold dots.
    pub(crate) fn parse(text: &str) -> Self {
        let mut segments = vec![String::new()];
        let mut quote = None;
        for letter in text.chars() {
            match quote {
                Some(open) if open == letter => quote = None,
                None if matches!(letter, '"' | '\'') => quote = Some(letter),
                None if letter == '.' => segments.push(String::new()),
                _ => segments.last_mut().expect("it begins with one segment").push(letter),
            }
        }
        Self(segments)
    }

    /// This key with one more segment.
    pub(crate) fn join(&self, segment: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.to_owned());
        Self(segments)
    }

    /// The segments.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for Key {
    fn from(segments: [S; N]) -> Self {
        Self(segments.iter().map(|segment| segment.as_ref().to_owned()).collect())
    }
}

impl fmt::Display for Key {
    /// Writes the key as in TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if !segment.is_empty() && segment.bytes().all(bare) {
                f.write_str(segment)?;
            } else {
                f.write_str(&quoted(segment))?;
            }
        }
        Ok(())
    }
}

/// A text as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A text cut to a length that suits a message, without what would upset a terminal.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text
        .chars()
        .take(LONGEST)
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_split_at_dots_outside_quotes() {
        assert_eq!(Key::parse("web.listen"), Key::from(["web", "listen"]));
        assert_eq!(Key::parse("queues.\"a.b\".concurrency"), Key::from(["queues", "a.b", "concurrency"]));
        assert_eq!(Key::parse("a..b"), Key::from(["a", "", "b"]));
    }

    #[test]
    fn keys_show_as_in_toml() {
        assert_eq!(Key::from(["queues", "a.b", "concurrency"]).to_string(), "queues.\"a.b\".concurrency");
        assert_eq!(Key::from(["", "a\u{1b}\"b"]).to_string(), "\"\".\"a\\u001B\\\"b\"");
    }
}
