//! [`Coalescing`]: where in the queue the message with a key waits.

use std::{any::TypeId, collections::HashMap};

/// A message type, and what its handler says of the message. Not by the address of the type's label: each crate that
/// sends such a message may have a copy of it.
pub(crate) type Key = (TypeId, u64);

/// Entries of messages that are gone are cleared away when there are so many more than messages.
const SLACK: usize = 64;

/// Knows messages by their number in the order of arrival: numbers stay right when the queue's front goes.
#[derive(Default)]
pub(super) struct Coalescing {
    /// The number of the message at the queue's front.
    front: u64,
    numbers: HashMap<Key, u64>,
}

impl Coalescing {
    /// The place in the queue, from the front.
    pub(super) fn find(&self, key: Key) -> Option<usize> {
        let number = self.numbers.get(&key)?;
        usize::try_from(number.checked_sub(self.front)?).ok()
    }

    /// The message is put at the end of a queue of `length`.
    pub(super) fn put(&mut self, key: Key, length: usize) {
        if self.numbers.len() > 2 * length + SLACK {
            self.numbers.retain(|_, number| *number >= self.front);
        }
        self.numbers.insert(key, self.front + length as u64);
    }

    /// So many are taken from the front.
    pub(super) fn taken(&mut self, count: usize) {
        self.front += count as u64;
    }
}
