//! [`Breaker`]: whether a call is made, decided by how those before it ended. It has no clock, no lock and no chance of its own.

use std::time::Duration;

use tokio::time::Instant;

/// When a [`Breaker`] trips, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// It trips when so many calls in a row have failed, at least 1.
    pub failures: u32,
    /// How long it stays tripped the first time. Each further time it is twice as long.
    pub first_pause: Duration,
    /// The longest time.
    pub longest_pause: Duration,
    /// After that time, calls that may be under way at once, and so many must succeed; at least 1.
    pub probes: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings {
            failures: 5,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(15),
            probes: 1,
        }
    }
}

/// How an edge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgePhase {
    /// No call has succeeded yet.
    Connecting,
    /// Calls succeed.
    Ready,
    /// The last call has failed; calls are still made.
    Degraded,
    /// Several in a row have failed: no calls are made for a while, and then single ones.
    Tripped,
}

impl EdgePhase {
    /// Every state.
    pub const ALL: [EdgePhase; 4] =
        [EdgePhase::Connecting, EdgePhase::Ready, EdgePhase::Degraded, EdgePhase::Tripped];

    /// Its name, as metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            EdgePhase::Connecting => "connecting",
            EdgePhase::Ready => "ready",
            EdgePhase::Degraded => "degraded",
            EdgePhase::Tripped => "tripped",
        }
    }
}

/// How an edge is, and since it is tripped, until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeStanding {
    /// [`EdgePhase::Connecting`].
    Connecting,
    /// [`EdgePhase::Ready`].
    Ready,
    /// [`EdgePhase::Degraded`].
    Degraded,
    /// [`EdgePhase::Tripped`].
    Tripped {
        /// No call is made before.
        until: Instant,
    },
}

impl EdgeStanding {
    /// The state alone.
    pub const fn state(self) -> EdgePhase {
        match self {
            EdgeStanding::Connecting => EdgePhase::Connecting,
            EdgeStanding::Ready => EdgePhase::Ready,
            EdgeStanding::Degraded => EdgePhase::Degraded,
            EdgeStanding::Tripped { .. } => EdgePhase::Tripped,
        }
    }
}

/// That a call may be made. It is given back with what became of the call.
#[derive(Debug)]
#[must_use = "a call that is never over takes up a probe's place"]
pub struct Permit {
    /// What ended before the state changed says nothing about it.
    round: u64,
    probe: bool,
}

/// Decides whether calls are made.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    standing: EdgeStanding,
    /// Calls in a row that failed.
    failures: u32,
    /// Trips in a row.
    trips: u32,
    /// Probes that are under way, and those that have succeeded.
    probing: u32,
    probed: u32,
    /// Grows with each trip and each recovery.
    round: u64,
}

impl Breaker {
    /// One that is connecting.
    pub fn new(settings: BreakerSettings) -> Self {
        Breaker {
            settings,
            standing: EdgeStanding::Connecting,
            failures: 0,
            trips: 0,
            probing: 0,
            probed: 0,
            round: 0,
        }
    }

    /// How the edge is.
    pub fn standing(&self) -> EdgeStanding {
        self.standing
    }

    /// Asks for a call. `None`: it is tripped, and it is not yet time for a probe, or one is under way.
    pub fn permit(&mut self, now: Instant) -> Option<Permit> {
        let probe = match self.standing {
            EdgeStanding::Tripped { until } => {
                let places = self.settings.probes.max(1);
                if now < until || self.probing >= places {
                    return None;
                }
                self.probing += 1;
                true
            }
            _ => false,
        };
        Some(Permit { round: self.round, probe })
    }

    /// The call has succeeded.
    pub fn succeeded(&mut self, permit: Permit) {
        if permit.round != self.round {
            return;
        }
        if permit.probe {
            self.probing -= 1;
            self.probed += 1;
            if self.probed < self.settings.probes {
                return;
            }
            self.round += 1;
            self.trips = 0;
        }
        self.failures = 0;
        self.standing = EdgeStanding::Ready;
    }

    /// The call has failed. Whether the breaker has tripped by it.
    pub fn failed(&mut self, permit: Permit, now: Instant) -> bool {
        if permit.round != self.round {
            return false;
        }
        self.failures += 1;
        if !permit.probe && self.failures < self.settings.failures {
            if self.standing != EdgeStanding::Connecting {
                self.standing = EdgeStanding::Degraded;
            }
            return false;
        }
        let BreakerSettings { first_pause, longest_pause, .. } = self.settings;
        let pause = first_pause.saturating_mul(2_u32.saturating_pow(self.trips)).min(longest_pause);
        self.trips = self.trips.saturating_add(1);
        self.round += 1;
        (self.failures, self.probing, self.probed) = (0, 0, 0);
        self.standing = EdgeStanding::Tripped { until: now + pause };
        true
    }

    /// Nobody knows what became of the call: whoever made it has dropped it.
    pub fn abandoned(&mut self, permit: Permit) {
        if permit.round == self.round && permit.probe {
            self.probing -= 1;
        }
    }
}
