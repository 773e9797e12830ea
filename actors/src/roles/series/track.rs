//! Numbers that are sampled about once a second, and kept at three resolutions.

use std::{fmt, str::FromStr, time::Duration};

use super::ring::Ring;

/// How long a step is, and so how far back it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// A second; ten minutes of them are kept.
    #[default]
    Second,
    /// Ten seconds; two hours of them are kept.
    TenSeconds,
    /// A minute; a day of them is kept.
    Minute,
}

impl Resolution {
    /// All of them.
    pub const ALL: [Resolution; 3] = [Resolution::Second, Resolution::TenSeconds, Resolution::Minute];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Resolution::Second => "1s",
            Resolution::TenSeconds => "10s",
            Resolution::Minute => "1m",
        }
    }

    /// Seconds of a step.
    pub(super) fn seconds(self) -> u64 {
        match self {
            Resolution::Second => 1,
            Resolution::TenSeconds => 10,
            Resolution::Minute => 60,
        }
    }

    /// Steps that are kept.
    pub(super) fn steps(self) -> usize {
        match self {
            Resolution::Second => 600,
            Resolution::TenSeconds => 720,
            Resolution::Minute => 1440,
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No resolution is called that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are 1s (of the last ten minutes), 10s (of two hours) and 1m (of a day)")]
pub struct InvalidResolution;

impl FromStr for Resolution {
    type Err = InvalidResolution;

    fn from_str(text: &str) -> Result<Self, InvalidResolution> {
        Resolution::ALL.into_iter().find(|resolution| resolution.as_str() == text).ok_or(InvalidResolution)
    }
}

/// What a step makes of the samples in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Counts: how many there were a second.
    Rate,
    /// What it was last.
    Last,
    /// The largest.
    Largest,
}

/// One resolution of a [`Track`].
#[derive(Clone, Debug)]
struct Level<const N: usize> {
    seconds: u64,
    ring: Ring<N>,
    /// The step that is not over.
    step: Option<u64>,
    elapsed: Duration,
    gathered: [f64; N],
}

/// `N` numbers over time.
#[derive(Clone, Debug)]
pub(super) struct Track<const N: usize> {
    kinds: [Kind; N],
    levels: [Level<N>; 3],
}

impl<const N: usize> Track<N> {
    pub(super) fn new(kinds: [Kind; N]) -> Self {
        let level = |resolution: Resolution| Level {
            seconds: resolution.seconds(),
            ring: Ring::new(resolution.steps()),
            step: None,
            elapsed: Duration::ZERO,
            gathered: [0.0; N],
        };
        Track { kinds, levels: Resolution::ALL.map(level) }
    }

    /// A sample at this second of Unix time, so long after the one before.
    pub(super) fn sample(&mut self, second: u64, elapsed: Duration, sample: [f64; N]) {
        for level in &mut self.levels {
            let step = second / level.seconds;
            if let Some(over) = level.step.filter(|&before| before != step) {
                level.close(over, &self.kinds);
            }
            level.step = Some(step);
            level.elapsed += elapsed;
            for ((gathered, kind), number) in level.gathered.iter_mut().zip(&self.kinds).zip(sample) {
                *gathered = match kind {
                    Kind::Rate => *gathered + number,
                    Kind::Last => number,
                    Kind::Largest => gathered.max(number),
                };
            }
        }
    }

    fn ring(&self, resolution: Resolution) -> &Ring<N> {
        &self.levels[resolution as usize].ring
    }

    /// The newest `count` steps of one number that are over, oldest first.
    pub(super) fn column(
        &self,
        resolution: Resolution,
        number: usize,
        count: usize,
    ) -> impl Iterator<Item = Option<f64>> {
        self.ring(resolution).column(number, count)
    }

    /// The second of Unix time at which the newest step that is over has ended.
    pub(super) fn end(&self, resolution: Resolution) -> Option<u64> {
        self.ring(resolution).newest().map(|step| (step + 1).saturating_mul(resolution.seconds()))
    }
}

impl<const N: usize> Level<N> {
    fn close(&mut self, step: u64, kinds: &[Kind; N]) {
        let seconds = self.elapsed.as_secs_f64();
        let mut numbers = [f32::NAN; N];
        for ((number, kind), gathered) in numbers.iter_mut().zip(kinds).zip(self.gathered) {
            *number = match kind {
                Kind::Rate if seconds > 0.0 => (gathered / seconds) as f32,
                Kind::Rate => f32::NAN,
                Kind::Last | Kind::Largest => gathered as f32,
            };
        }
        self.ring.put(step, numbers);
        (self.elapsed, self.gathered) = (Duration::ZERO, [0.0; N]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resolution_makes_its_own_of_the_same_samples() {
        let mut track = Track::new([Kind::Rate, Kind::Last, Kind::Largest]);
        for second in 0..=60 {
            track.sample(second, Duration::from_secs(1), [2.0, second as f64, (second % 7) as f64]);
        }
        let read = |resolution, number| track.column(resolution, number, 3).collect::<Vec<_>>();
        assert_eq!(read(Resolution::Second, 0), [Some(2.0); 3]);
        assert_eq!(read(Resolution::Second, 1), [Some(57.0), Some(58.0), Some(59.0)]);
        assert_eq!(read(Resolution::TenSeconds, 0), [Some(2.0); 3]);
        assert_eq!(read(Resolution::TenSeconds, 1), [Some(39.0), Some(49.0), Some(59.0)]);
        assert_eq!(read(Resolution::TenSeconds, 2), [Some(6.0); 3]);
        assert_eq!(read(Resolution::Minute, 1), [Some(59.0)]);
        assert_eq!(track.end(Resolution::Minute), Some(60));
        assert_eq!(track.end(Resolution::Second), Some(60));
    }

    #[test]
    fn a_rate_is_by_the_time_that_has_passed_and_unknown_if_none_has() {
        let mut track = Track::new([Kind::Rate]);
        track.sample(1, Duration::ZERO, [3.0]);
        track.sample(2, Duration::from_millis(500), [3.0]);
        track.sample(3, Duration::from_secs(2), [3.0]);
        track.sample(4, Duration::from_secs(1), [3.0]);
        let read: Vec<_> = track.column(Resolution::Second, 0, 10).collect();
        assert_eq!(read, [None, Some(6.0), Some(1.5)]);
    }

    #[test]
    fn resolutions_go_by_their_names() {
        for resolution in Resolution::ALL {
            assert_eq!(resolution.to_string().parse(), Ok(resolution));
        }
        assert!("2s".parse::<Resolution>().unwrap_err().to_string().contains("10s"));
    }
}
