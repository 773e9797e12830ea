//! What a program left behind: how it ended and what it wrote.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::lines::Lines;

/// How much is read from a pipe at once.
const CHUNK: usize = 16 * 1024;

/// How a program ended and what it wrote.
///
/// Exactly one of `exit_code` and `signal` is set when the program's end was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandOutput {
    /// The code the program exited with.
    pub exit_code: Option<i32>,
    /// The number of the signal that killed the program.
    pub signal: Option<i32>,
    /// What the program wrote to its standard output: the beginning, as UTF-8 (what is not is replaced by U+FFFD).
    pub stdout: String,
    /// Whether `stdout` is only the beginning of what was written.
    pub stdout_truncated: bool,
    /// How many bytes the program wrote to its standard output in all.
    pub stdout_bytes: u64,
    /// What the program wrote to its standard error: the beginning, as UTF-8 (what is not is replaced by U+FFFD).
    pub stderr: String,
    /// Whether `stderr` is only the beginning of what was written.
    pub stderr_truncated: bool,
    /// How many bytes the program wrote to its standard error in all.
    pub stderr_bytes: u64,
    /// How long the program ran, in milliseconds.
    pub duration_ms: u64,
}

impl CommandOutput {
    /// Whether the program exited with code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// The bounded beginning of one output stream.
#[derive(Debug)]
pub(super) struct Capture {
    kept: Vec<u8>,
    total: u64,
    bound: usize,
    lines: Option<Lines>,
}

impl Capture {
    /// `lines` hear all of it, as it comes.
    pub(super) fn new(bound: usize, lines: Option<Lines>) -> Self {
        Self { kept: Vec::new(), total: 0, bound, lines }
    }

    /// Reads the stream to its end, also past the bound: a writer must never block because nobody reads on.
    ///
    /// Cancellation-safe: what was read is kept. A read error ends the stream like its end.
    pub(super) async fn drain(&mut self, mut stream: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            self.take(&chunk[..read]);
        }
        self.lines.iter_mut().for_each(Lines::end);
    }

    fn take(&mut self, bytes: &[u8]) {
        self.lines.iter_mut().for_each(|lines| lines.take(bytes));
        self.total += bytes.len() as u64;
        let room = self.bound - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The text, whether it is cut, and how many bytes there were.
    pub(super) fn finish(mut self) -> (String, bool, u64) {
        // It may not have come to the end of the stream.
        self.lines.iter_mut().for_each(Lines::end);
        let cut = self.total > self.kept.len() as u64;
        let whole_characters = match std::str::from_utf8(&self.kept) {
            // Only the cut can have split the last character; that is no fault of the program's.
            Err(error) if cut && error.error_len().is_none() => &self.kept[..error.valid_up_to()],
            _ => &self.kept[..],
        };
        let mut text = String::from_utf8_lossy(whole_characters).into_owned();
        // A replacement character is longer than the byte it stands for.
        let fits = text.floor_char_boundary(self.bound);
        let too_long = fits < text.len();
        text.truncate(fits);
        (text, cut || too_long, self.total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capture(bound: usize, chunks: &[&[u8]]) -> (String, bool, u64) {
        let mut capture = Capture::new(bound, None);
        chunks.iter().for_each(|chunk| capture.take(chunk));
        capture.finish()
    }

    #[test]
    fn the_beginning_is_kept_and_the_rest_is_counted() {
        assert_eq!(capture(5, &[b"hello"]), ("hello".into(), false, 5));
        assert_eq!(capture(5, &[b"hel", b"lo ", b"world"]), ("hello".into(), true, 11));
        assert_eq!(capture(0, &[b"x"]), (String::new(), true, 1));
        assert_eq!(capture(0, &[]), (String::new(), false, 0));
    }

    #[test]
    fn a_character_split_by_the_cut_is_left_out_and_bad_bytes_are_replaced() {
        assert_eq!(capture(3, &["aé".as_bytes(), "é".as_bytes()]), ("aé".into(), true, 5));
        assert_eq!(capture(4, &["aéé".as_bytes()]), ("aé".into(), true, 5));
        assert_eq!(capture(9, &[b"a\xffb"]), ("a\u{fffd}b".into(), false, 3));
        assert_eq!(capture(9, &[b"a\xc3"]), ("a\u{fffd}".into(), false, 2));
        assert_eq!(capture(4, &[b"\xff\xff\xff\xff"]), ("\u{fffd}".into(), true, 4));
    }

    proptest! {
        #[test]
        fn text_is_within_the_bound_and_a_prefix_of_what_was_written(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), bound in 0_usize..150, at in 0_usize..200,
        ) {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            let (text, truncated, total) = capture(bound, &[first, second]);
            let whole = String::from_utf8_lossy(&bytes);
            prop_assert!(text.len() <= bound);
            prop_assert!(whole.starts_with(&text) || truncated);
            prop_assert_eq!(!truncated, text == whole);
            prop_assert_eq!(total, bytes.len() as u64);
        }
    }
}
