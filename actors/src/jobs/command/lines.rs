//! What a program writes, line by line, while it runs.

use std::{fmt, sync::Arc};

use callboard_contracts::api::LogLevel;

/// Bytes of a line that are passed on; of a longer one the beginning is.
const LINE: usize = 64 * 1024;

/// Hears every line that a program writes, with the stream that it came from, while the program runs.
///
/// What is not UTF-8 is replaced. Of a line that a program overwrites by carriage returns, as progress bars do, the last
/// version is heard, when the line ends.
#[derive(Clone)]
pub struct OutputLog(Arc<dyn Fn(OutputLine<'_>) + Send + Sync>);

/// A line that a program has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLine<'l> {
    /// Where it wrote it to.
    pub level: LogLevel,
    /// The line, or the beginning of one that is very long.
    pub text: &'l str,
    /// How many bytes the line has.
    pub bytes: u64,
}

impl OutputLog {
    /// Calls `hear` with each line. It must not block.
    pub fn new(hear: impl Fn(OutputLine<'_>) + Send + Sync + 'static) -> Self {
        OutputLog(Arc::new(hear))
    }
}

impl fmt::Debug for OutputLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutputLog")
    }
}

/// Makes lines of one stream. Holds one at most, and of that no more than is passed on.
#[derive(Debug)]
pub(super) struct Lines {
    log: OutputLog,
    level: LogLevel,
    line: Vec<u8>,
    /// Bytes of the line, those that are not held included.
    length: u64,
    /// A carriage return came last: what follows it overwrites the line, unless it is its end.
    returned: bool,
}

impl Lines {
    pub(super) fn new(log: OutputLog, level: LogLevel) -> Self {
        Lines { log, level, line: Vec::new(), length: 0, returned: false }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece {
                [text @ .., end @ (b'\n' | b'\r')] => (text, Some(*end)),
                text => (text, None),
            };
            if self.returned && !text.is_empty() {
                self.clear();
            }
            self.length += text.len() as u64;
            let room = LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            match end {
                Some(b'\n') => self.pass_on(),
                Some(_) => self.returned = true,
                None => {}
            }
        }
    }

    /// The stream has ended; its last line need not have.
    pub(super) fn end(&mut self) {
        if self.length > 0 {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        (self.log.0)(OutputLine { level: self.level, text: &text, bytes: self.length });
        self.clear();
    }

    fn clear(&mut self) {
        self.line.clear();
        self.length = 0;
        self.returned = false;
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use proptest::prelude::*;

    use super::*;

    fn measured(chunks: &[&[u8]]) -> Vec<(String, u64)> {
        let all = Arc::new(Mutex::new(Vec::new()));
        let hear = all.clone();
        let log = OutputLog::new(move |line| hear.lock().push((line.text.to_owned(), line.bytes)));
        let mut lines = Lines::new(log, LogLevel::Stdout);
        for chunk in chunks {
            lines.take(chunk);
            assert!(lines.line.len() <= LINE);
        }
        lines.end();
        let all = all.lock();
        all.clone()
    }

    fn heard(chunks: &[&[u8]]) -> Vec<String> {
        measured(chunks).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn lines_are_heard_with_what_overwrote_them() {
        assert_eq!(heard(&[b"a\n\nb", b"c\nd"]), ["a", "", "bc", "d"]);
        assert_eq!(heard(&[b"a\r\nb\r", b"\nc\r"]), ["a", "b", "c"]);
        assert_eq!(heard(&[b"10%\r20%\r", b"100%\ndone\n"]), ["100%", "done"]);
        assert_eq!(heard(&[b"a\xffb\n\xc3", b"\xa4\n"]), ["a\u{fffd}b", "ä"]);
        assert!(heard(&[]).is_empty());
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let chunk = vec![b'x'; LINE];
        let lines = measured(&[&chunk, &chunk, &chunk, b"\nnext"]);
        assert_eq!((lines[0].0.len(), lines[0].1), (LINE, 196_608));
        assert_eq!(lines[1..], [("next".to_owned(), 4)]);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_lines_are_the_same(text in "[ab\r\n]{0,60}", at in 0..60_usize) {
            let (one, two) = text.as_bytes().split_at(at.min(text.len()));
            prop_assert_eq!(heard(&[one, two]), heard(&[text.as_bytes()]));
        }
    }
}
