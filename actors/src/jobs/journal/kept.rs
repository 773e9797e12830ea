//! The newest lines of a log that are in the store.

use std::collections::VecDeque;

/// The numbers of the newest lines that are in the store, with their lengths.
#[derive(Debug, Default)]
pub(super) struct Kept {
    lines: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Kept {
    pub(super) fn add(&mut self, number: u64, length: usize) {
        self.lines.push_back((number, length));
        self.bytes += length;
    }

    /// Lets go of the oldest until so many are left; how many those were, and the number of the last of them.
    pub(super) fn shrink(&mut self, (lines, bytes): (usize, usize)) -> Option<(u64, u64)> {
        let mut gone = None;
        while self.lines.len() > lines || self.bytes > bytes {
            let Some((number, length)) = self.lines.pop_front() else { break };
            self.bytes -= length;
            gone = Some((gone.map_or(1, |(count, _)| count + 1), number));
        }
        gone
    }
}
