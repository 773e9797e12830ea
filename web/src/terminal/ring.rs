//! What of a session's output is kept, for a client that comes back: the newest bytes, or the newest frames.

use std::collections::VecDeque;

use bytes::Bytes;

/// The newest bytes of a stream, each known by its offset from the stream's beginning.
#[derive(Debug)]
pub(super) struct ByteRing {
    kept: VecDeque<u8>,
    /// The offset of the first one that is kept.
    start: u64,
    most: usize,
}

impl ByteRing {
    pub(super) fn new(most: usize) -> Self {
        ByteRing { kept: VecDeque::new(), start: 0, most }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The offset behind the last one.
    pub(super) fn end(&self) -> u64 {
        self.start + self.kept.len() as u64
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let end = self.end() + bytes.len() as u64;
        let bytes = &bytes[bytes.len().saturating_sub(self.most)..];
        let over = (self.kept.len() + bytes.len()).saturating_sub(self.most);
        self.kept.drain(..over);
        // Never more than there may be: growing by itself it would double.
        if self.kept.capacity() < self.kept.len() + bytes.len() {
            let wanted = (self.kept.capacity() * 2).max(64 * 1024).min(self.most);
            self.kept.reserve_exact(wanted.max(self.kept.len() + bytes.len()) - self.kept.len());
        }
        self.kept.extend(bytes);
        self.start = end - self.kept.len() as u64;
    }

    /// What is kept from this offset on, at most so much of it. Empty where there is nothing.
    pub(super) fn read(&self, from: u64, most: usize) -> Bytes {
        let from = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let from = from.min(self.kept.len());
        let to = from.saturating_add(most).min(self.kept.len());
        let (first, second) = self.kept.as_slices();
        let one = &first[from.min(first.len())..to.min(first.len())];
        let two = &second[from.saturating_sub(first.len())..to.saturating_sub(first.len())];
        match (one, two) {
            (one, []) => Bytes::copy_from_slice(one),
            ([], two) => Bytes::copy_from_slice(two),
            (one, two) => [one, two].concat().into(),
        }
    }
}

/// The newest frames of text, numbered from 1, bounded in their number and in their bytes.
#[derive(Debug)]
pub(super) struct FrameRing {
    kept: VecDeque<String>,
    bytes: usize,
    /// The number of the next one.
    next: u64,
    most_bytes: usize,
    most_frames: usize,
    /// The beginning of a character whose rest has not come yet.
    unfinished: Vec<u8>,
}

impl FrameRing {
    pub(super) fn new(most_bytes: usize, most_frames: usize) -> Self {
        FrameRing {
            kept: VecDeque::new(),
            bytes: 0,
            next: 1,
            most_bytes,
            most_frames,
            unfinished: Vec::new(),
        }
    }

    /// The number of the first one that is kept; of the next one, if none is.
    pub(super) fn start(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    /// The number of the next one.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    /// Makes a frame of these bytes. A character that is cut at their end goes with the next one; bytes that are no text become
    /// U+FFFD.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.unfinished);
        all.extend_from_slice(bytes);
        self.unfinished = all.split_off(all.len() - cut_at_end(&all));
        if all.is_empty() {
            return;
        }
        let frame = String::from_utf8(all)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        self.bytes += frame.len();
        self.kept.push_back(frame);
        self.next += 1;
        while self.kept.len() > self.most_frames || (self.bytes > self.most_bytes && self.kept.len() > 1) {
            if let Some(oldest) = self.kept.pop_front() {
                self.bytes -= oldest.len();
            }
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&str> {
        let place = usize::try_from(number.checked_sub(self.start())?).ok()?;
        self.kept.get(place).map(String::as_str)
    }
}

/// How many bytes at the end are the beginning of a character that is not all there.
pub(super) fn cut_at_end(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        let beginning = &bytes[bytes.len() - back..];
        // What can become no character any more is not waited for.
        let hopeful = std::str::from_utf8(beginning).is_err_and(|error| error.error_len().is_none());
        return if length > back && hopeful { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_ring_of_bytes_is_the_end_of_the_stream(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
            most in 1_usize..100,
            from in 0_u64..600,
            length in 0_usize..200,
        ) {
            let mut ring = ByteRing::new(most);
            let mut all = Vec::new();
            for piece in &pieces {
                ring.push(piece);
                all.extend_from_slice(piece);
                prop_assert_eq!(ring.end(), all.len() as u64);
                prop_assert_eq!(ring.start(), all.len().saturating_sub(most) as u64);
            }
            let first = (from.max(ring.start()) as usize).min(all.len());
            let last = (first + length).min(all.len());
            prop_assert_eq!(&ring.read(from, length)[..], &all[first..last]);
        }

        #[test]
        fn frames_are_numbered_bounded_and_lose_no_character(
            text in "\\PC{0,120}",
            cuts in prop::collection::vec(1_usize..9, 0..80),
            frames in 1_usize..20,
            bytes in 8_usize..80,
        ) {
            let mut all = FrameRing::new(usize::MAX, usize::MAX);
            let mut ring = FrameRing::new(bytes, frames);
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                rest = later;
                all.push(now);
                ring.push(now);
                prop_assert_eq!(all.end(), ring.end());
                let kept: Vec<&str> = (ring.start()..ring.end()).filter_map(|number| ring.get(number)).collect();
                prop_assert!(kept.len() <= frames);
                prop_assert!(kept.len() <= 1 || kept.iter().map(|frame| frame.len()).sum::<usize>() <= bytes);
                for number in ring.start()..ring.end() {
                    prop_assert_eq!(ring.get(number), all.get(number));
                }
                prop_assert_eq!(ring.get(ring.end()), None);
            }
            all.push(rest);
            let whole: String = (1..all.end()).filter_map(|number| all.get(number)).collect();
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn any_bytes_make_the_text_that_they_make_at_once(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec(1_usize..5, 0..200),
        ) {
            let mut ring = FrameRing::new(usize::MAX, usize::MAX);
            let mut rest = &bytes[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                rest = later;
                ring.push(now);
            }
            ring.push(rest);
            let whole: String = (1..ring.end()).filter_map(|number| ring.get(number)).collect();
            let finished = &bytes[..bytes.len() - ring.unfinished.len()];
            prop_assert_eq!(whole, String::from_utf8_lossy(finished));
            prop_assert!(ring.unfinished.len() < 4);
        }
    }
}
