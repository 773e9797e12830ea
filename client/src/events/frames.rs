//! Server-sent events, read piece by piece as they arrive (the HTML standard's `text/event-stream`).

use std::time::Duration;

/// One block of the stream: what came up to an empty line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) id: Option<String>,
    /// The event's name; empty if there was none.
    pub(crate) event: String,
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<Duration>,
}

/// A frame is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Makes frames of bytes. Holds at most one frame, of at most `limit` bytes.
#[derive(Debug)]
pub(super) struct FrameReader {
    limit: usize,
    line: Vec<u8>,
    frame: Frame,
    /// Bytes of the frame so far.
    size: usize,
    after_carriage_return: bool,
    at_start: bool,
}

impl FrameReader {
    pub(super) fn new(limit: usize) -> Self {
        FrameReader {
            limit,
            line: Vec::new(),
            frame: Frame::default(),
            size: 0,
            after_carriage_return: false,
            at_start: true,
        }
    }

    /// The frames that these bytes complete.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Frame>, TooLong> {
        let mut frames = Vec::new();
        loop {
            if self.after_carriage_return && !bytes.is_empty() {
                self.after_carriage_return = false;
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            self.size = self.size.saturating_add(piece.len());
            if self.size > self.limit {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            let Some(end) = end else { return Ok(frames) };
            self.after_carriage_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            if let Some(frame) = self.take(&line) {
                frames.push(frame);
            }
        }
    }

    fn take(&mut self, mut line: &[u8]) -> Option<Frame> {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            self.size = 0;
            let frame = std::mem::take(&mut self.frame);
            return (frame != Frame::default()).then_some(frame);
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match name {
            b"data" => match &mut self.frame.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&value);
                }
                none => *none = Some(value.into_owned()),
            },
            b"event" => self.frame.event = value.into_owned(),
            b"id" if !value.contains('\0') => self.frame.id = Some(value.into_owned()),
            b"retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.frame.retry = value.parse().ok().map(Duration::from_millis);
            }
            // A comment, or a field of a later time. Comments between frames must not add up to a long one.
            _ if self.frame == Frame::default() => self.size = 0,
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(id: Option<&str>, event: &str, data: Option<&str>) -> Frame {
        Frame {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.map(str::to_owned),
            retry: None,
        }
    }

    #[test]
    fn fields_are_read_as_the_standard_has_them() {
        let text = "\u{feff}: hello\nretry: 1000\n\nid: 1-7\nevent: job.created\ndata: {\ndata:}\n\n\
                    data\n\nid:\n\nevent: x\r\n\r\nretry: soon\nid: a\0b\nunknown: field\n\ndata: cut off";
        let frames = FrameReader::new(1000).push(text.as_bytes()).unwrap();
        let expected = [
            Frame { retry: Some(Duration::from_secs(1)), ..Frame::default() },
            frame(Some("1-7"), "job.created", Some("{\n}")),
            frame(None, "", Some("")),
            frame(Some(""), "", None),
            frame(None, "x", None),
        ];
        assert_eq!(frames, expected);
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_is_held() {
        let mut reader = FrameReader::new(1024);
        assert_eq!(reader.push(&[b'x'; 1024]), Ok(Vec::new()));
        assert_eq!(reader.push(b"x"), Err(TooLong));
        let mut reader = FrameReader::new(100);
        let many = "data: ten bytes\n".repeat(10);
        assert_eq!(reader.push(many.as_bytes()), Err(TooLong), "many lines of one frame");
        let mut reader = FrameReader::new(100);
        let comments = ": still here\n".repeat(1000);
        assert_eq!(reader.push(comments.as_bytes()), Ok(Vec::new()), "comments never add up");
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            lines in proptest::collection::vec("(data|id|event|retry|)(:| |: )[a-z0-9é]{0,5}|", 0..30),
            ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 30),
            cuts in proptest::collection::vec(0_usize..300, 0..10),
        ) {
            let text: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), end]).collect();
            let whole = FrameReader::new(10_000).push(text.as_bytes()).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut reader = FrameReader::new(10_000);
            let mut pieces = Vec::new();
            for pair in cuts.windows(2) {
                pieces.extend(reader.push(&text.as_bytes()[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(pieces, whole);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = FrameReader::new(100).push(&bytes);
        }
    }
}
