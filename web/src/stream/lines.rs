//! Lines of a body, as they come.

use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use crate::problem::{Kind, Trouble};

/// A line without its end, or why it costs its job alone.
pub(super) type Line = Result<BytesMut, Trouble>;

/// Reads lines. It holds one of them at most, and what came with its end; one that is too long is passed over.
pub(super) struct Lines<S> {
    chunks: S,
    buffer: BytesMut,
    /// How far the buffer has no end of a line.
    searched: usize,
    limit: usize,
    /// Within a line that is too long.
    skips: bool,
    ended: bool,
}

impl<S, E> Lines<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub(super) fn new(chunks: S, limit: usize) -> Self {
        Lines { chunks, buffer: BytesMut::new(), searched: 0, limit, skips: false, ended: false }
    }

    /// The next line that is no blank; none after the last. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The body broke off. What came of a line is no line.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, E> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => {
                    self.ended = true;
                    self.buffer.clear();
                    return Err(error);
                }
                None => {
                    self.ended = true;
                    // The last line need not have an end.
                    self.buffer.extend_from_slice(b"\n");
                }
            }
        }
    }

    fn buffered(&mut self) -> Option<Line> {
        loop {
            let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.skips {
                    self.buffer.clear();
                    self.searched = 0;
                } else if self.buffer.len() > self.limit {
                    self.buffer.clear();
                    self.searched = 0;
                    self.skips = true;
                    return Some(Err(self.too_long()));
                }
                return None;
            };
            let mut line = self.buffer.split_to(self.searched + found + 1);
            self.searched = 0;
            // The end of one that was answered for when it became too long.
            if std::mem::take(&mut self.skips) {
                continue;
            }
            line.truncate(line.len() - 1);
            if line.len() > self.limit {
                return Some(Err(self.too_long()));
            }
            if !line.trim_ascii().is_empty() {
                return Some(Ok(line));
            }
        }
    }

    fn too_long(&self) -> Trouble {
        Trouble::new(Kind::TooLarge, format!("a line may have at most {} bytes", self.limit))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::rt::System;
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    /// Each line as text, `!` for one that is too long, and whether the body broke off.
    fn read(chunks: Vec<Result<&[u8], ()>>, limit: usize) -> (Vec<String>, bool) {
        let chunks: Vec<_> = chunks.into_iter().map(|chunk| chunk.map(Bytes::copy_from_slice)).collect();
        System::new().block_on(async {
            let mut lines = Lines::new(stream::iter(chunks), limit);
            let mut all = Vec::new();
            loop {
                assert!(lines.buffer.len() <= limit.max(64), "it is bounded");
                match lines.next().await {
                    Ok(Some(Ok(line))) => all.push(String::from_utf8_lossy(&line).into_owned()),
                    Ok(Some(Err(trouble))) => {
                        assert_eq!(trouble.status(), 413);
                        all.push("!".to_owned());
                    }
                    Ok(None) => return (all, false),
                    Err(()) => return (all, true),
                }
            }
        })
    }

    #[test]
    fn lines_are_those_that_are_no_blanks() {
        let chunks: Vec<Result<&[u8], ()>> = vec![Ok(b"a\n\n  \r\nb"), Ok(b"b\r\n"), Ok(b""), Ok(b"cc\nd")];
        assert_eq!(read(chunks, 10), (["a", "bb\r", "cc", "d"].map(str::to_owned).into(), false));
        assert_eq!(read(vec![], 10), (Vec::new(), false));
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_alone() {
        let chunks: Vec<Result<&[u8], ()>> = vec![Ok(b"a\n12345678"), Ok(b"90"), Ok(b"123\nb\n123456\nc")];
        assert_eq!(read(chunks, 5), (["a", "!", "b", "!", "c"].map(str::to_owned).into(), false));
        assert_eq!(read(vec![Ok(b"123456")], 5), (vec!["!".to_owned()], false));
    }

    #[test]
    fn what_breaks_off_is_no_line() {
        assert_eq!(read(vec![Ok(b"a\nbb"), Err(())], 5), (vec!["a".to_owned()], true));
    }

    proptest! {
        #[test]
        fn however_the_body_is_cut_the_lines_are_the_same(
            body in "[ab \n]{0,60}",
            cuts in proptest::collection::vec(0..60_usize, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.sort_unstable();
            let mut chunks: Vec<Result<&[u8], ()>> = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([body.len()]) {
                chunks.push(Ok(&body.as_bytes()[from..cut]));
                from = cut;
            }
            let expected: Vec<String> = body
                .split('\n')
                .map(|line| if line.len() > 7 { "!" } else { line })
                .filter(|line| !line.trim().is_empty())
                .map(str::to_owned)
                .collect();
            prop_assert_eq!(read(chunks, 7), (expected, false));
        }
    }
}
