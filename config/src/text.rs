//! A configuration file's text: reading it within bounds, and finding lines and columns in it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The largest configuration file, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// A configuration file in memory.
pub(crate) struct SourceText {
    pub(crate) path: Arc<Path>,
    pub(crate) text: String,
    /// Offset of the first byte of each line.
    lines: Vec<usize>,
}

/// A place in a text; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Why a file could not be read.
pub(crate) struct Unreadable {
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
    /// The file is not there at all.
    pub(crate) missing: bool,
}

impl Unreadable {
    fn new(message: impl Into<String>, help: Option<&'static str>) -> Self {
        Self { message: message.into(), help, missing: false }
    }
}

impl SourceText {
    /// Splits a text into lines.
    pub(crate) fn new(path: &Path, text: String) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { path: Arc::from(path), text, lines }
    }

    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Unreadable> {
        let bytes = read_bytes(path)?;
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err(Unreadable::new(
                "it is UTF-16 (it begins with its byte-order mark)",
                Some("save it as UTF-8"),
            ));
        }
        if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
            return Err(Unreadable::new(
                "it begins with a byte-order mark",
                Some("save it as UTF-8 without one"),
            ));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
                let Position { line, column } = Self::new(path, text).position(good);
                let message =
                    format!("it is not UTF-8: line {line}, column {column} holds a byte that no text has");
                Err(Unreadable::new(message, Some("save it as UTF-8")))
            }
        }
    }

    /// The line of a byte, from 1.
    pub(crate) fn line_number(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset.min(self.text.len()))
    }

    /// Line and column of a byte; a place past the end is that of the end.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_number(offset);
        let start = self.lines[line - 1];
        let bytes = &self.text.as_bytes()[start..offset];
        // Bytes that go on a character are not counted.
        let column = 1 + bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Position { line, column }
    }

    /// A line by its number, without its end.
    pub(crate) fn line(&self, number: usize) -> &str {
        let start = self.lines[number - 1];
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// How many characters of a range stand in the line it begins in; at least one.
    pub(crate) fn width_in_line(&self, range: &Range<usize>) -> usize {
        let start = self.position(range.start);
        let end = self.position(range.end);
        let last =
            if end.line == start.line { end.column } else { self.line(start.line).chars().count() + 1 };
        last.saturating_sub(start.column).max(1)
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Unreadable { message: "there is no such file".to_owned(), help: None, missing: true }
        }
        ErrorKind::PermissionDenied => {
            Unreadable::new("this user may not read it", Some("change its owner or its mode"))
        }
        ErrorKind::IsADirectory => is_a_folder(),
        _ => Unreadable::new(error.to_string(), None),
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(is_a_folder());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unreadable::new("it is larger than 1 MiB", Some("is this the right file?")));
    }
    Ok(bytes)
}

fn is_a_folder() -> Unreadable {
    Unreadable::new("it is a folder", Some("name the file in it, such as callboard.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SourceText {
        SourceText::new(Path::new("x"), text.to_owned())
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let text = text("a = 1\r\nä = 2\n");
        for (offset, line, column) in [(0, 1, 1), (4, 1, 5), (7, 2, 1), (9, 2, 2), (14, 3, 1), (999, 3, 1)] {
            assert_eq!(text.position(offset), Position { line, column }, "{offset}");
        }
        assert_eq!(text.line(1), "a = 1");
        assert_eq!(text.line(2), "ä = 2");
        assert_eq!(text.line(3), "");
    }

    #[test]
    fn a_range_over_lines_is_as_wide_as_the_rest_of_its_first() {
        let text = text("abc\ndef");
        assert_eq!(text.width_in_line(&(1..6)), 2);
        assert_eq!(text.width_in_line(&(1..2)), 1);
        assert_eq!(text.width_in_line(&(7..7)), 1);
    }
}
