//! How many clients may follow the events, and who has to leave for another.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// A stream is asked for more whenever its client has read on, and says something at least every quarter of this. One
/// that was not asked for so long has a client that reads no more, and gives its seat to the next who wants one.
pub(crate) const STALLED: Duration = Duration::from_secs(60);

/// The seats of all streams.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    taken: Mutex<HashMap<u64, Instant>>,
    next: AtomicU64,
}

/// One stream's seat; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
}

impl Seats {
    /// A seat, if there are fewer than `limit` streams that are read. `now` is any clock that only goes forward.
    pub(crate) fn take(self: &Arc<Self>, limit: usize, now: Instant) -> Option<Seat> {
        let mut taken = self.taken.lock();
        if taken.len() >= limit {
            let stalled = |last: &Instant| now.saturating_duration_since(*last) > STALLED;
            let (number, _) =
                taken.iter().filter(|(_, last)| stalled(last)).min_by_key(|(_, last)| **last)?;
            let number = *number;
            taken.remove(&number);
        }
        let number = self.next.fetch_add(1, SeqCst);
        taken.insert(number, now);
        Some(Seat { seats: self.clone(), number })
    }
}

impl Seat {
    /// Its stream is asked for more. False if the seat was given to somebody else.
    pub(crate) fn is_kept(&self, now: Instant) -> bool {
        match self.seats.taken.lock().get_mut(&self.number) {
            Some(last) => {
                *last = now;
                true
            }
            None => false,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_free_again() {
        let seats = Arc::new(Seats::default());
        let now = Instant::now();
        let (first, second) = (seats.take(2, now).unwrap(), seats.take(2, now).unwrap());
        assert!(seats.take(2, now + STALLED).is_none());
        drop(first);
        let third = seats.take(2, now).unwrap();
        assert!(second.is_kept(now) && third.is_kept(now));
        assert!(seats.take(0, now).is_none());
    }

    #[test]
    fn whoever_reads_no_more_loses_the_seat_to_the_next() {
        let seats = Arc::new(Seats::default());
        let now = Instant::now();
        let (reads, stalled) = (seats.take(2, now).unwrap(), seats.take(2, now).unwrap());
        let later = now + STALLED + Duration::from_millis(1);
        assert!(reads.is_kept(later));
        let next = seats.take(2, later).expect("the stalled one's");
        assert!(!stalled.is_kept(later));
        // Its end must not free what is another's now.
        drop(stalled);
        assert!(seats.take(2, later).is_none());
        assert!(next.is_kept(later));
    }
}
