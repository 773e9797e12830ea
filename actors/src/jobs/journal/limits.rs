//! How much of what attempts say is kept.

use std::borrow::Cow;

/// How much of an attempt's log is kept. Of what is more, the first half of it and the newest are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Lines.
    pub lines: usize,
    /// Bytes of all lines.
    pub bytes: usize,
    /// Bytes of one line; what is longer is cut.
    pub line: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        LogLimits { lines: 1000, bytes: 256 * 1024, line: 8 * 1024 }
    }
}

impl LogLimits {
    /// Bytes of one line, of which there is always room for one at either end.
    pub(super) fn line_bytes(&self) -> usize {
        self.line.min(self.bytes / 2)
    }

    /// Lines and bytes of the beginning that is kept.
    pub(super) fn head(&self) -> (usize, usize) {
        (self.lines / 2, self.bytes / 2)
    }

    /// Lines and bytes of the newest that are kept.
    pub(super) fn tail(&self) -> (usize, usize) {
        (self.lines - self.lines / 2, self.bytes - self.bytes / 2)
    }
}

/// A line of so many bytes, of which this may be the beginning; as much of it as there is room for, saying so if that is not
/// all.
pub(super) fn cut_line(beginning: &str, bytes: u64, max: usize) -> Cow<'_, str> {
    if beginning.len() <= max && bytes <= beginning.len() as u64 {
        return Cow::Borrowed(beginning);
    }
    let note = format!("… ({bytes} bytes in all)");
    let end = beginning.floor_char_boundary(max.saturating_sub(note.len()));
    let mut text = format!("{}{note}", &beginning[..end]);
    text.truncate(text.floor_char_boundary(max));
    Cow::Owned(text)
}
