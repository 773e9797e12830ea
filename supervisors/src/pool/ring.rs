//! [`Ring`]: consistent hashing.

#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};

/// Points that each member has on the ring. The shares of the members then differ by some 10 %.
const POINTS: u64 = 128;

/// The hash of a key or a point: the same in the whole process.
pub(super) fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

struct Point {
    at: u64,
    /// Breaks ties in the same way, whoever else is there.
    member: u64,
    index: usize,
}

/// Every member owns the stretches of the ring that end at its points. When one leaves, its stretches fall to those who
/// come next, and nobody else's change; when one joins, it takes from the others and nobody else gets any.
pub(super) struct Ring {
    points: Vec<Point>,
    members: usize,
}

impl Ring {
    /// The members are known by numbers that stay the same; the ring gives their places in `numbers`.
    pub(super) fn new(numbers: impl Iterator<Item = u64>) -> Self {
        let mut points = Vec::new();
        let mut members = 0;
        for (index, member) in numbers.enumerate() {
            members += 1;
            points.extend((0..POINTS).map(|point| Point { at: hash_of(&(member, point)), member, index }));
        }
        points.sort_unstable_by_key(|point| (point.at, point.member));
        Ring { points, members }
    }

    /// The owner of a key, then those who would own it if the ones before were not there; each once.
    pub(super) fn owners(&self, key: u64) -> impl Iterator<Item = usize> {
        let first = self.points.partition_point(|point| point.at < key);
        let mut around = self.points.iter().cycle().skip(first).take(self.points.len());
        let mut given: Vec<usize> = Vec::new();
        std::iter::from_fn(move || {
            if given.len() == self.members {
                return None;
            }
            let next = around.find(|point| !given.contains(&point.index))?.index;
            given.push(next);
            Some(next)
        })
    }
}
