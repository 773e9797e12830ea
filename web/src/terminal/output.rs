//! What a session's program has written, and how far its client has got with it.

use std::collections::VecDeque;

use super::{
    link::{Protocol, ToClient},
    ring::{ByteRing, FrameRing},
    settings::TerminalSettings,
};

/// Most bytes of output in one message.
pub(super) const PIECE: usize = 16 * 1024;

/// The output that is kept.
#[derive(Debug)]
pub(super) enum Kept {
    Frames(FrameRing),
    Bytes(ByteRing),
}

impl Kept {
    pub(super) fn new(protocol: Protocol, settings: &TerminalSettings) -> Self {
        match protocol {
            Protocol::Json => Kept::Frames(FrameRing::new(settings.ring, settings.ring_frames)),
            Protocol::V2 => Kept::Bytes(ByteRing::new(settings.ring_v2)),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Kept::Frames(frames) => frames.push(bytes),
            Kept::Bytes(ring) => ring.push(bytes),
        }
    }

    fn start(&self) -> u64 {
        match self {
            Kept::Frames(frames) => frames.start(),
            Kept::Bytes(ring) => ring.start(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        match self {
            Kept::Frames(frames) => frames.end(),
            Kept::Bytes(ring) => ring.end(),
        }
    }
}

/// How far a client has got.
#[derive(Debug)]
pub(super) struct Progress {
    /// What comes before output.
    first: VecDeque<ToClient>,
    /// The next byte or frame.
    next: u64,
    /// Behind the last byte that it has acknowledged.
    acknowledged: u64,
    paused: bool,
    /// Where what it has missed ends, of the JSON protocol.
    replay_until: Option<u64>,
}

impl Progress {
    /// Of a client that has something already, and gets what it has missed; or of one that has nothing, and begins where the
    /// output does.
    pub(super) fn new(kept: &Kept, after: Option<u64>) -> Self {
        let (start, end) = (kept.start(), kept.end());
        let mut first = VecDeque::new();
        let mut replay_until = None;
        let next = match kept {
            Kept::Bytes(_) => {
                // A client cannot have what was never sent.
                let wanted = after.unwrap_or(0).min(end);
                if wanted < start {
                    first.push_back(ToClient::Gap(wanted, start));
                }
                wanted.max(start)
            }
            Kept::Frames(_) => match after {
                None => start,
                Some(last) => {
                    let wanted = last.saturating_add(1).min(end);
                    if wanted < start {
                        first.push_back(ToClient::Gap(wanted, start));
                    }
                    first.push_back(ToClient::ReplayBegin(wanted.max(start)));
                    replay_until = Some(end);
                    wanted.max(start)
                }
            },
        };
        Progress { first, next, acknowledged: next, paused: false, replay_until }
    }

    /// Tells the client something, before any more output.
    pub(super) fn say(&mut self, what: ToClient) {
        // They are few: what makes many is bounded by whoever makes them.
        if self.first.len() < 64 {
            self.first.push_back(what);
        }
    }

    pub(super) fn acknowledge(&mut self, offset: u64) {
        self.acknowledged = self.acknowledged.max(offset.min(self.next));
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether it was sent all there is.
    pub(super) fn is_done(&self, kept: &Kept) -> bool {
        self.first.is_empty() && self.replay_until.is_none() && self.next >= kept.end()
    }

    /// Whether there is something that it may be sent now.
    pub(super) fn has_next(&self, kept: &Kept, window: usize) -> bool {
        if !self.first.is_empty() || self.replay_until.is_some_and(|until| self.next >= until) {
            return true;
        }
        !self.paused && self.next < kept.end() && self.room(kept, window) > 0
    }

    fn room(&self, kept: &Kept, window: usize) -> usize {
        match kept {
            Kept::Frames(_) => PIECE,
            Kept::Bytes(_) => {
                let open = usize::try_from(self.next - self.acknowledged).unwrap_or(usize::MAX);
                window.saturating_sub(open)
            }
        }
    }

    /// The next message.
    pub(super) fn take(&mut self, kept: &Kept, window: usize) -> Option<ToClient> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        if let Some(until) = self.replay_until.filter(|until| self.next >= *until) {
            self.replay_until = None;
            return Some(ToClient::ReplayEnd(until - 1));
        }
        // What it had no time for is gone.
        if self.next < kept.start() {
            let from = std::mem::replace(&mut self.next, kept.start());
            self.acknowledged = self.acknowledged.max(self.next);
            return Some(ToClient::Gap(from, self.next));
        }
        let room = self.room(kept, window);
        if self.paused || room == 0 {
            return None;
        }
        match kept {
            Kept::Frames(frames) => {
                let frame = frames.get(self.next)?.to_owned();
                self.next += 1;
                Some(ToClient::Frame(self.next - 1, frame))
            }
            Kept::Bytes(ring) => {
                let bytes = ring.read(self.next, room.min(PIECE));
                if bytes.is_empty() {
                    return None;
                }
                let at = self.next;
                self.next += bytes.len() as u64;
                Some(ToClient::Bytes(at, bytes))
            }
        }
    }

    /// Whether more may be read of the program: with so much unread, it is to wait.
    pub(super) fn wants_more(&self, kept: &Kept, window: usize) -> bool {
        match kept {
            Kept::Frames(_) => self.next >= kept.end(),
            Kept::Bytes(_) => {
                let behind = usize::try_from(kept.end() - self.acknowledged).unwrap_or(usize::MAX);
                !self.paused && behind < window
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_client_gets_every_byte_once_or_is_told_of_the_gap(
            pieces in prop::collection::vec(1_usize..50, 0..40),
            most in 1_usize..200,
            window in 1_usize..64,
            after in prop::option::of(0_u64..300),
            late in 0_usize..40,
        ) {
            let mut ring = Kept::Bytes(ByteRing::new(most));
            let byte = |offset: u64| (offset % 251) as u8;
            let mut written = 0;
            let mut write = |ring: &mut Kept, length: usize| {
                let bytes: Vec<u8> = (written..written + length as u64).map(byte).collect();
                written += length as u64;
                ring.push(&bytes);
            };
            for length in pieces.iter().take(late) {
                write(&mut ring, *length);
            }
            let mut progress = Progress::new(&ring, after);
            let mut at = after.unwrap_or(0).min(ring.end());
            for length in pieces.iter().skip(late).chain([&0]) {
                write(&mut ring, *length);
                while let Some(message) = progress.take(&ring, window) {
                    match message {
                        ToClient::Gap(from, to) => {
                            prop_assert_eq!(from, at);
                            prop_assert!(to > from);
                            at = to;
                        }
                        ToClient::Bytes(offset, bytes) => {
                            prop_assert_eq!(offset, at);
                            prop_assert!(bytes.len() <= window);
                            for (place, found) in bytes.iter().enumerate() {
                                prop_assert_eq!(*found, byte(offset + place as u64));
                            }
                            at += bytes.len() as u64;
                            prop_assert!(at - progress.acknowledged <= window as u64);
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                    progress.acknowledge(at);
                    // Nonsense is harmless.
                    progress.acknowledge(u64::MAX);
                    progress.acknowledge(0);
                }
            }
            prop_assert_eq!(at, ring.end());
            prop_assert!(progress.is_done(&ring) && progress.wants_more(&ring, window));
        }
    }

    #[test]
    fn without_acknowledgement_there_is_no_more_than_the_window() {
        let mut ring = Kept::Bytes(ByteRing::new(1000));
        ring.push(&[7; 500]);
        let mut progress = Progress::new(&ring, None);
        let mut sent = 0;
        while let Some(ToClient::Bytes(_, bytes)) = progress.take(&ring, 100) {
            sent += bytes.len();
        }
        assert_eq!(sent, 100);
        assert!(!progress.has_next(&ring, 100) && !progress.wants_more(&ring, 100));
        progress.acknowledge(40);
        assert!(progress.has_next(&ring, 100));
        assert!(matches!(progress.take(&ring, 100), Some(ToClient::Bytes(100, bytes)) if bytes.len() == 40));
        progress.acknowledge(140);
        progress.pause(true);
        assert!(!progress.has_next(&ring, 100) && progress.take(&ring, 100).is_none());
        progress.pause(false);
        assert!(progress.take(&ring, 100).is_some());
    }

    #[test]
    fn frames_that_were_missed_come_between_two_marks() {
        let mut kept = Kept::Frames(FrameRing::new(1000, 3));
        for frame in ["a", "b", "c", "d", "e"] {
            kept.push(frame.as_bytes());
        }
        let all = |after| {
            let mut progress = Progress::new(&kept, after);
            std::iter::from_fn(|| progress.take(&kept, 0)).collect::<Vec<_>>()
        };
        let frame = |number, text: &str| ToClient::Frame(number, text.to_owned());
        let (begin, end) = (ToClient::ReplayBegin, ToClient::ReplayEnd);
        assert_eq!(all(None), [frame(3, "c"), frame(4, "d"), frame(5, "e")]);
        assert_eq!(all(Some(3)), [begin(4), frame(4, "d"), frame(5, "e"), end(5)]);
        assert_eq!(
            all(Some(0)),
            [ToClient::Gap(1, 3), begin(3), frame(3, "c"), frame(4, "d"), frame(5, "e"), end(5)]
        );
        assert_eq!(all(Some(5)), [begin(6), end(5)]);
        assert_eq!(all(Some(99)), [begin(6), end(5)]);
    }
}
