//! What of the input of those who may only read reaches the program.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// Time between two notices that a key does nothing.
const QUIET: Duration = Duration::from_secs(5);
/// The key that adds a job, in every console. Of its other keys the console itself lets those do nothing that change something.
const MUTATING: [u8; 1] = [b'N'];

/// Lets keys through, or not.
#[derive(Debug)]
pub(super) struct ReadOnlyKeys {
    /// Whether the program sees to it itself that nothing is changed.
    can_be_read: bool,
    noticed: Option<Instant>,
}

/// What becomes of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filtered {
    pub(super) passed: Bytes,
    /// Whether whoever typed is to be told that keys were dropped.
    pub(super) notice: bool,
}

impl ReadOnlyKeys {
    pub(super) const NOTICE: &str = "this session is read-only: that key does nothing";

    pub(super) fn new(can_be_read: bool) -> Self {
        ReadOnlyKeys { can_be_read, noticed: None }
    }

    pub(super) fn filter(&mut self, input: Bytes, now: Instant) -> Filtered {
        let passed = match self.can_be_read {
            true if !input.iter().any(|byte| MUTATING.contains(byte)) => {
                return Filtered { passed: input, notice: false };
            }
            true => input.iter().copied().filter(|byte| !MUTATING.contains(byte)).collect(),
            false => Bytes::new(),
        };
        let dropped = passed.len() < input.len();
        Filtered { passed, notice: dropped && self.may_notice(now) }
    }

    /// Whether something is to be said again.
    pub(super) fn may_notice(&mut self, now: Instant) -> bool {
        let due = self.noticed.is_none_or(|last| now >= last + QUIET);
        if due {
            self.noticed = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_change_something_are_dropped_and_told_of_now_and_then() {
        let mut keys = ReadOnlyKeys::new(true);
        let begin = Instant::now();
        let mut typed = |text: &'static str, after: u64| {
            let Filtered { passed, notice } =
                keys.filter(Bytes::from_static(text.as_bytes()), begin + Duration::from_secs(after));
            (String::from_utf8(passed.to_vec()).expect("text"), notice)
        };
        assert_eq!(typed("jk\u{1b}[A\r", 0), ("jk\u{1b}[A\r".to_owned(), false));
        assert_eq!(typed("aNb", 0), ("ab".to_owned(), true));
        assert_eq!(typed("N", 4), (String::new(), false));
        assert_eq!(typed("N", 5), (String::new(), true));
    }

    #[test]
    fn nothing_reaches_a_program_that_cannot_be_read_only() {
        let mut keys = ReadOnlyKeys::new(false);
        let now = Instant::now();
        let all = Bytes::from_static(b"\x03j");
        assert_eq!(keys.filter(all.clone(), now), Filtered { passed: Bytes::new(), notice: true });
        assert_eq!(keys.filter(all, now), Filtered { passed: Bytes::new(), notice: false });
    }
}
