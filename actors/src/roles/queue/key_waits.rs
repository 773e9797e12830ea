//! How long jobs wait whose keys are missing, and how often that is said.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::encryption::{Keyring, OpenError};

/// How long a job waits first.
const SHORTEST: Duration = Duration::from_secs(10);
/// How long it waits at most, whose key stays missing.
const LONGEST: Duration = Duration::from_secs(300);
/// How much shorter or longer each one waits, so that not all come back at once.
const JITTER: f64 = 0.2;
/// How often it is said of one key that it is missing.
const SAID_EVERY: Duration = Duration::from_secs(60);
/// Keys that are kept apart. More are taken for one.
const MOST_KEYS: usize = 64;

/// What is known of the keys that this node misses.
#[derive(Debug, Default)]
pub(crate) struct KeyWaits(Mutex<Missing>);

#[derive(Debug, Default)]
struct Missing {
    /// With which keys these were missing. With others all begins anew.
    keys: Keyring,
    waits: BTreeMap<String, Wait>,
}

#[derive(Debug)]
struct Wait {
    pause: Duration,
    /// Since when it is so long.
    since: Instant,
    said_at: Option<Instant>,
}

/// What becomes of a job whose key is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KeyWait {
    /// How long it waits.
    pub(super) pause: Duration,
    /// Whether that is to be said.
    pub(super) say: bool,
}

impl KeyWaits {
    /// A job's key is missing among these. `random` is uniform in 0..1.
    pub(super) fn missed(&self, keys: &Keyring, error: &OpenError, now: Instant, random: f64) -> KeyWait {
        let name = match error {
            OpenError::NoKey(name) | OpenError::OtherKey(name) => name.as_str(),
            OpenError::Damaged { .. } => "",
        };
        let mut missing = self.0.lock();
        if missing.keys != *keys {
            *missing = Missing { keys: keys.clone(), waits: BTreeMap::new() };
        }
        let known = missing.waits.contains_key(name) || missing.waits.len() < MOST_KEYS;
        let first = || Wait { pause: SHORTEST, since: now, said_at: None };
        // No key has this name.
        let wait = missing.waits.entry(if known { name } else { "" }.to_owned()).or_insert_with(first);
        let passed = now.saturating_duration_since(wait.since);
        if passed > wait.pause.mul_f64(1.0 + JITTER) + LONGEST {
            // For so long no job missed it: it was somewhere, or is not needed any more.
            (wait.pause, wait.since) = (SHORTEST, now);
        } else if passed >= wait.pause {
            // Once for all jobs that were put back together.
            (wait.pause, wait.since) = ((wait.pause * 2).min(LONGEST), now);
        }
        let say = wait.said_at.is_none_or(|at| now.saturating_duration_since(at) >= SAID_EVERY);
        if say {
            wait.said_at = Some(now);
        }
        KeyWait { pause: wait.pause.mul_f64(1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0)), say }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn ring(byte: &str) -> Keyring {
        Keyring::new([("b".to_owned(), SecretString::from(byte.repeat(32)))], Some("b"), None).unwrap()
    }

    fn no(name: &str) -> OpenError {
        OpenError::NoKey(name.to_owned())
    }

    #[test]
    fn jobs_wait_longer_while_a_key_stays_missing_and_it_is_said_once_a_minute() {
        let (waits, keys, begin) = (KeyWaits::default(), ring("01"), Instant::now());
        let missed = |seconds: u64| {
            let wait = waits.missed(&keys, &no("a"), begin + Duration::from_secs(seconds), 0.5);
            (wait.pause.as_secs(), wait.say)
        };
        assert_eq!([missed(0), missed(1), missed(9)], [(10, true), (10, false), (10, false)]);
        assert_eq!([missed(10), missed(11), missed(30)], [(20, false), (20, false), (40, false)]);
        assert_eq!([missed(70), missed(150), missed(310)], [(80, true), (160, true), (300, true)]);
        assert_eq!([missed(615), missed(616)], [(300, true), (300, false)]);
        // After a long time without it, and with other keys, it begins anew.
        assert_eq!(missed(5000).0, 10);
        assert_eq!(missed(5010).0, 20);
        let anew = waits.missed(&ring("02"), &no("a"), begin + Duration::from_secs(5011), 0.5);
        assert_eq!((anew.pause.as_secs(), anew.say), (10, true));
    }

    #[test]
    fn not_all_come_back_at_once_and_not_all_names_are_kept() {
        let (waits, keys, now) = (KeyWaits::default(), ring("01"), Instant::now());
        let pause = |name: &str, random| waits.missed(&keys, &no(name), now, random).pause.as_secs_f64();
        assert_eq!([pause("a", 0.0), pause("a", 0.5), pause("a", 1.0)], [8.0, 10.0, 12.0]);
        for number in 0..10 * MOST_KEYS {
            assert_eq!(pause(&format!("key-{number}"), 0.5), 10.0);
        }
        assert_eq!(waits.0.lock().waits.len(), MOST_KEYS + 1);
    }
}
