//! How many clients may follow the events, and who has to leave for another.

use std::{
    collections::HashMap,
    net::IpAddr,
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
    taken: Mutex<HashMap<u64, Taken>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Taken {
    address: Option<IpAddr>,
    /// When its stream was asked for more last.
    last: Instant,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    All,
    /// The address has as many as it may.
    Address,
}

/// One stream's seat; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
}

impl Seats {
    /// A seat, if there are fewer than `limit` streams that are read, and fewer than `each` of this address. `now` is any clock
    /// that only goes forward.
    pub(crate) fn take(
        self: &Arc<Self>,
        limit: usize,
        (address, each): (Option<IpAddr>, usize),
        now: Instant,
    ) -> Result<Seat, Full> {
        let mut taken = self.taken.lock();
        if taken.values().filter(|seat| seat.address == address).count() >= each {
            free_a_stalled(&mut taken, now, |seat| seat.address == address).ok_or(Full::Address)?;
        }
        if taken.len() >= limit {
            free_a_stalled(&mut taken, now, |_| true).ok_or(Full::All)?;
        }
        let number = self.next.fetch_add(1, SeqCst);
        taken.insert(number, Taken { address, last: now });
        Ok(Seat { seats: self.clone(), number })
    }
}

/// Of these seats, takes away the one that is stalled for longest, if any is.
fn free_a_stalled(
    taken: &mut HashMap<u64, Taken>,
    now: Instant,
    of: impl Fn(&Taken) -> bool,
) -> Option<Taken> {
    let stalled = |seat: &Taken| of(seat) && now.saturating_duration_since(seat.last) > STALLED;
    let longest = taken.iter().filter(|(_, seat)| stalled(seat)).min_by_key(|(_, seat)| seat.last);
    let number = longest.map(|(number, _)| *number)?;
    taken.remove(&number)
}

impl Seat {
    /// Its stream is asked for more. False if the seat was given to somebody else.
    pub(crate) fn is_kept(&self, now: Instant) -> bool {
        match self.seats.taken.lock().get_mut(&self.number) {
            Some(seat) => {
                seat.last = now;
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

    const ONE: (Option<IpAddr>, usize) = (None, 1000);

    fn take(seats: &Arc<Seats>, limit: usize, now: Instant) -> Result<Seat, Full> {
        seats.take(limit, ONE, now)
    }

    #[test]
    fn an_address_has_its_own_bound_and_its_own_stalled_streams() {
        let seats = Arc::new(Seats::default());
        let now = Instant::now();
        let (one, other) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        let stalled = seats.take(10, (one, 1), now).unwrap();
        assert_eq!(seats.take(10, (one, 1), now).unwrap_err(), Full::Address);
        let others = seats.take(10, (other, 1), now).unwrap();
        let later = now + STALLED + Duration::from_millis(1);
        let next = seats.take(10, (one, 1), later).expect("the stalled one's");
        assert!(!stalled.is_kept(later) && next.is_kept(later) && others.is_kept(later));
    }

    #[test]
    fn seats_are_bounded_and_free_again() {
        let seats = Arc::new(Seats::default());
        let now = Instant::now();
        let (first, second) = (take(&seats, 2, now).unwrap(), take(&seats, 2, now).unwrap());
        assert!(take(&seats, 2, now + STALLED).is_err());
        drop(first);
        let third = take(&seats, 2, now).unwrap();
        assert!(second.is_kept(now) && third.is_kept(now));
        assert!(take(&seats, 0, now).is_err());
    }

    #[test]
    fn whoever_reads_no_more_loses_the_seat_to_the_next() {
        let seats = Arc::new(Seats::default());
        let now = Instant::now();
        let (reads, stalled) = (take(&seats, 2, now).unwrap(), take(&seats, 2, now).unwrap());
        let later = now + STALLED + Duration::from_millis(1);
        assert!(reads.is_kept(later));
        let next = take(&seats, 2, later).expect("the stalled one's");
        assert!(!stalled.is_kept(later));
        // Its end must not free what is another's now.
        drop(stalled);
        assert!(take(&seats, 2, later).is_err());
        assert!(next.is_kept(later));
    }
}
