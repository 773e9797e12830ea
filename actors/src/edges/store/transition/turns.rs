//! Who is served by a claim: the keys of a queue in turns, as far as limits allow.
//!
//! The keys stand in a circle in their order, the jobs without a key as one among them. A claim begins after the key that
//! was served last and goes round: the first job of each key, then the second of each, until it has what it wants. Keys
//! at their limit are passed over. It looks at no more than [`MOST_KEYS`] keys, and the next one goes on where it ended.

use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    time::Duration,
};

use callboard_contracts::{Rate, Timestamp};

use super::window::{Used, Window};
use crate::edges::store::{
    Outcome,
    record::{ClaimedJob, Limits},
};

/// Keys that one claim looks at, at most.
pub(crate) const MOST_KEYS: usize = 512;
/// Keys that are looked at in one go.
const PAGE: RangeInclusive<usize> = 16..=256;
/// How many times as many jobs are looked at as an equal share of each key has, for keys that have fewer.
const DEPTH: u32 = 4;
/// When a claim that was at its end before it found anything is to be followed by the next.
const PAUSE: Duration = Duration::from_millis(100);

/// What holds for a claim of a queue that does not simply give what comes first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) paused: bool,
    pub(crate) limits: Limits,
    /// The key that was served last; empty: the jobs without one.
    pub(crate) last_key: String,
    /// Whether available jobs have keys.
    pub(crate) keyed: bool,
}

impl Held {
    /// With no more than `most` of its jobs with anybody.
    pub(crate) fn with_most(mut self, most: u32) -> Self {
        let limit = self.limits.max_running.map_or(most, |limit| limit.min(most));
        self.limits.max_running = Some(limit);
        self
    }
}

/// What a claim has to know of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyUse {
    pub(crate) key: String,
    /// Its jobs that are with a node; 0 if there is no limit to that.
    pub(crate) executing: u64,
    /// What was claimed of it; nothing if there is no rate.
    pub(crate) used: Used,
}

/// What is to be looked at next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Keys that have available jobs, at most `count`, in their order.
    Keys { after: String, upto: Option<String>, count: usize },
    /// Whether there are available jobs without a key.
    WithoutKey,
}

/// Where on the circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    AfterLast,
    WithoutKey,
    UpToLast,
    Round,
}

/// Some of whose jobs may be given: a key, or no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) key: Option<String>,
    /// How many at most.
    most: u32,
    /// When it may have more, if its rate allows no more than that.
    free_at: Option<Timestamp>,
}

/// A claim on its way round the circle.
#[derive(Debug)]
pub(crate) struct Turns {
    limits: Limits,
    window: Option<Window>,
    /// Jobs that are wanted.
    wanted: u32,
    last_key: String,
    part: Part,
    /// The key that was looked at last.
    seen: String,
    looked: usize,
    groups: Vec<Group>,
    /// When the first of the keys that their rate holds back may go on.
    free_at: Option<Timestamp>,
}

impl Turns {
    /// A claim of so many jobs.
    pub(crate) fn new(held: &Held, wanted: u32, now: Timestamp) -> Self {
        let Held { limits, last_key, .. } = held.clone();
        Turns {
            window: limits.rate_per_key.map(|rate| Window::of(rate, now)),
            limits,
            wanted,
            seen: last_key.clone(),
            last_key,
            part: Part::AfterLast,
            looked: 0,
            groups: Vec::new(),
            free_at: None,
        }
    }

    /// The slices of time that count for each key, if there is a rate.
    pub(crate) fn window(&self) -> Option<Window> {
        self.window
    }

    /// Whether it is to be known how many of a key's jobs are with a node.
    pub(crate) fn counts_executing(&self) -> bool {
        self.limits.max_running_per_key.is_some()
    }

    /// What is to be looked at next, until there is enough.
    pub(crate) fn ask(&self) -> Option<Ask> {
        let missing = (self.wanted as usize).checked_sub(self.groups.len()).filter(|missing| *missing > 0)?;
        let left = MOST_KEYS.checked_sub(self.looked).filter(|left| *left > 0)?;
        let count = missing.clamp(*PAGE.start(), *PAGE.end()).min(left);
        match self.part {
            Part::AfterLast => Some(Ask::Keys { after: self.seen.clone(), upto: None, count }),
            Part::WithoutKey => Some(Ask::WithoutKey),
            Part::UpToLast => {
                Some(Ask::Keys { after: self.seen.clone(), upto: Some(self.last_key.clone()), count })
            }
            Part::Round => None,
        }
    }

    /// The keys that were asked for.
    pub(crate) fn keys(&mut self, found: Vec<KeyUse>, count: usize) {
        let last = found.len() < count;
        for KeyUse { key, executing, used } in found {
            // The rest is for the next claim, which begins after the last that is served here.
            if self.groups.len() >= self.wanted as usize {
                return;
            }
            self.looked += 1;
            let places = self.limits.max_running_per_key.map_or(u32::MAX, |most| {
                u32::try_from(u64::from(most).saturating_sub(executing)).unwrap_or(u32::MAX)
            });
            let allowed = self.window.map_or(u32::MAX, |window| window.left(used));
            let most = places.min(allowed).min(self.wanted);
            let free_at = self.window.filter(|_| most == allowed).map(|window| window.next_free_at(used));
            self.seen.clone_from(&key);
            if most > 0 {
                self.groups.push(Group { key: Some(key), most, free_at });
            } else {
                self.free_at = [self.free_at, free_at].into_iter().flatten().min();
            }
        }
        if last {
            self.part = match self.part {
                Part::AfterLast => Part::WithoutKey,
                _ => Part::Round,
            };
        }
    }

    /// Whether there are available jobs without a key.
    pub(crate) fn without_key(&mut self, some: bool) {
        self.looked += 1;
        self.seen = String::new();
        if some {
            self.groups.push(Group { key: None, most: self.wanted, free_at: None });
        }
        self.part = if self.last_key.is_empty() { Part::Round } else { Part::UpToLast };
    }

    /// Whose jobs are looked at, in the order of their turns, and how many of each.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (Option<&str>, u32)> {
        self.groups.iter().map(|group| (group.key.as_deref(), self.depth(group)))
    }

    fn depth(&self, group: &Group) -> u32 {
        // Others that have not been looked at come before the second job of these. Where most were held back, so may
        // those be, and places would stay free.
        if self.part != Part::Round && self.looked >= MOST_KEYS && self.groups.len() * 2 >= MOST_KEYS {
            return group.most.min(1);
        }
        let groups = u32::try_from(self.groups.len()).unwrap_or(u32::MAX).max(1);
        group.most.min(self.wanted.div_ceil(groups).saturating_mul(DEPTH))
    }

    /// Deals out what the groups have, each in its order.
    pub(crate) fn deal<J>(&self, found: Vec<Vec<J>>) -> Vec<J> {
        let mut found: Vec<_> = found.into_iter().map(Vec::into_iter).collect();
        let mut dealt = Vec::new();
        loop {
            let before = dealt.len();
            for group in &mut found {
                if dealt.len() >= self.wanted as usize {
                    return dealt;
                }
                dealt.extend(group.next());
            }
            if dealt.len() == before {
                return dealt;
            }
        }
    }

    /// Where the next claim begins: after this key.
    pub(crate) fn next_after(&self, jobs: &[ClaimedJob]) -> String {
        match jobs.last() {
            Some(job) if self.looked < MOST_KEYS => job.partition_key.clone().unwrap_or_default(),
            _ => self.seen.clone(),
        }
    }

    /// When it is worth asking again, though these are fewer than were wanted; `None`: when something has changed.
    pub(crate) fn again_at(&self, jobs: &[ClaimedJob], now: Timestamp) -> Option<Timestamp> {
        if jobs.len() >= self.wanted as usize {
            return None;
        }
        let mut given: HashMap<Option<&str>, u32> = HashMap::new();
        jobs.iter().for_each(|job| *given.entry(job.partition_key.as_deref()).or_default() += 1);
        let has_got =
            |group: &Group, most: u32| given.get(&group.key.as_deref()).is_some_and(|given| *given >= most);
        let cut = |group: &Group| self.depth(group) < group.most && has_got(group, self.depth(group));
        let more = self.part != Part::Round || self.groups.iter().any(cut);
        match (more, jobs.is_empty()) {
            (true, true) => Some(now.saturating_add(PAUSE)),
            (true, false) => Some(now),
            (false, _) => {
                // A key that has got all that its rate allows may have more jobs.
                let served = self.groups.iter().filter(|group| has_got(group, group.most));
                served.map(|group| group.free_at).chain([self.free_at]).flatten().min()
            }
        }
    }
}

/// How many of `limit` jobs the limits of a queue leave, whatever their keys: by the places, of which `executing` are
/// taken, and by the rate.
pub(crate) fn room(held: &Held, limit: u32, executing: u64, rate: Option<(Window, Used)>) -> u32 {
    if held.paused {
        return 0;
    }
    let places = held.limits.max_running.map_or(u32::MAX, |most| {
        u32::try_from(u64::from(most).saturating_sub(executing)).unwrap_or(u32::MAX)
    });
    limit.min(places).min(rate.map_or(u32::MAX, |(window, used)| window.left(used)))
}

/// The answer to a claim of a queue with `limit` wanted and `room` for it. `again_at`: what its keys say.
pub(crate) fn answer(
    jobs: Vec<ClaimedJob>,
    limit: u32,
    room: u32,
    rate: Option<(Window, Used)>,
    again_at: Option<Timestamp>,
) -> Outcome {
    let by_rate = rate.and_then(|(window, used)| {
        let left = window.left(used);
        let all_of_it = jobs.len() >= room as usize && left == room && left < limit;
        all_of_it.then(|| window.next_free_at(used))
    });
    match by_rate.or(again_at) {
        Some(again_at) => Outcome::ClaimedInPart { jobs, again_at },
        None => Outcome::Claimed(jobs),
    }
}

/// What is to be counted of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// The key; empty: all of the queue.
    pub(crate) key: String,
    pub(crate) slice: i64,
    pub(crate) claims: i64,
    pub(crate) expires_at: i64,
}

/// What is to be counted of these, in the order of their keys.
pub(crate) fn counts(limits: &Limits, jobs: &[ClaimedJob], now: Timestamp) -> Vec<Count> {
    let count = |rate: Rate, key: &str, claims: i64| {
        let window = Window::of(rate, now);
        Count { key: key.to_owned(), slice: window.current, claims, expires_at: window.expires_at() }
    };
    let mut all = Vec::new();
    if jobs.is_empty() {
        return all;
    }
    if let Some(rate) = limits.rate {
        all.push(count(rate, "", i64::try_from(jobs.len()).unwrap_or(i64::MAX)));
    }
    if let Some(rate) = limits.rate_per_key {
        let mut keys: BTreeMap<&str, i64> = BTreeMap::new();
        jobs.iter()
            .filter_map(|job| job.partition_key.as_deref())
            .for_each(|key| *keys.entry(key).or_default() += 1);
        all.extend(keys.into_iter().map(|(key, claims)| count(rate, key, claims)));
    }
    all
}
