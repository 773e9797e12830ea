//! Secrets that are handed out, kept as their hashes and good once: tickets, and the tokens by which a client comes back.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

/// The hash of a secret, which is all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hashed([u8; 32]);

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Hashed {
    pub(super) fn of(secret: &str) -> Self {
        Hashed(Sha256::digest(secret.as_bytes()).into())
    }

    /// In a time that says nothing.
    pub(super) fn is(&self, other: &Hashed) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A new secret of 128 bits, as text.
///
/// `None`: the system has no randomness to give.
pub(super) fn secret() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Tickets that were given out and not used yet.
#[derive(Debug)]
pub(super) struct Tickets<T> {
    given: BTreeMap<Hashed, (Instant, T)>,
    kept_for: Duration,
    most: usize,
}

/// Why there is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTicket {
    /// Too many are given out.
    TooMany,
    /// The system has no randomness to give.
    NoRandomness,
}

impl<T> Tickets<T> {
    pub(super) fn new(kept_for: Duration, most: usize) -> Self {
        Tickets { given: BTreeMap::new(), kept_for, most }
    }

    /// Takes the oldest away of those that are alike, so that with the next one there are `most` of them.
    pub(super) fn make_room(&mut self, most: usize, alike: impl Fn(&T) -> bool) {
        let mut all: Vec<(Instant, Hashed)> = self
            .given
            .iter()
            .filter(|(_, (_, what))| alike(what))
            .map(|(ticket, (until, _))| (*until, *ticket))
            .collect();
        all.sort();
        let too_many = (all.len() + 1).saturating_sub(most);
        for (_, ticket) in all.into_iter().take(too_many) {
            self.given.remove(&ticket);
        }
    }

    /// A new ticket for this.
    pub(super) fn issue(&mut self, now: Instant, what: T) -> Result<String, NoTicket> {
        self.given.retain(|_, (until, _)| *until > now);
        if self.given.len() >= self.most {
            return Err(NoTicket::TooMany);
        }
        let ticket = secret().ok_or(NoTicket::NoRandomness)?;
        self.given.insert(Hashed::of(&ticket), (now + self.kept_for, what));
        Ok(ticket)
    }

    /// What the ticket is for. It is used up by that.
    pub(super) fn redeem(&mut self, now: Instant, ticket: &str) -> Option<T> {
        // It is looked for by its hash: what the time says of a hash says nothing of a ticket.
        let (until, what) = self.given.remove(&Hashed::of(ticket))?;
        (until > now).then_some(what)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const KEPT: Duration = Duration::from_secs(30);

    proptest! {
        #[test]
        fn a_ticket_is_good_once_and_in_its_time(
            ages in prop::collection::vec(0_u64..60, 1..30),
            most in 1_usize..20,
        ) {
            let mut tickets = Tickets::new(KEPT, most);
            let begin = Instant::now();
            let mut given = Vec::new();
            let mut now = begin;
            for (number, age) in ages.iter().enumerate() {
                now += Duration::from_secs(*age);
                let open = given.iter().filter(|(_, at, _): &&(String, Instant, usize)| *at + KEPT > now).count();
                match tickets.issue(now, number) {
                    Ok(ticket) => {
                        prop_assert!(open < most);
                        given.push((ticket, now, number));
                    }
                    Err(why) => {
                        prop_assert_eq!(why, NoTicket::TooMany);
                        prop_assert_eq!(open, most);
                    }
                }
            }
            let different: BTreeSet<&str> = given.iter().map(|(ticket, _, _)| &**ticket).collect();
            prop_assert_eq!(different.len(), given.len());
            for (ticket, at, number) in given {
                let good = (at + KEPT > now).then_some(number);
                prop_assert_eq!(tickets.redeem(now, &ticket), good);
                prop_assert_eq!(tickets.redeem(now, &ticket), None);
            }
        }
    }

    #[test]
    fn who_asks_for_many_loses_his_own() {
        let mut tickets = Tickets::new(KEPT, 100);
        let now = Instant::now();
        let other = tickets.issue(now, "other").expect("a ticket");
        let mut given = Vec::new();
        for second in 0..5 {
            tickets.make_room(3, |what| *what == "greedy");
            given.push(tickets.issue(now + Duration::from_secs(second), "greedy").expect("a ticket"));
        }
        let later = now + Duration::from_secs(5);
        let good: Vec<bool> = given.iter().map(|ticket| tickets.redeem(later, ticket).is_some()).collect();
        assert_eq!(good, [false, false, true, true, true]);
        assert_eq!(tickets.redeem(later, &other), Some("other"));
    }

    #[test]
    fn what_is_kept_of_a_ticket_is_not_the_ticket() {
        let mut tickets = Tickets::new(KEPT, 1);
        let ticket = tickets.issue(Instant::now(), ()).expect("a ticket");
        assert!(!format!("{tickets:?}").contains(&ticket));
        assert_eq!(tickets.redeem(Instant::now(), "another"), None);
        assert_eq!(tickets.redeem(Instant::now(), ""), None);
        assert_eq!(URL_SAFE_NO_PAD.decode(&ticket).map(|bytes| bytes.len()), Ok(16));
    }
}
