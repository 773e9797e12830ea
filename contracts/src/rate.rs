//! How many jobs in how much time.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The rule for a rate, as a regular expression of JSON Schema.
pub const RATE_PATTERN: &str = "^[0-9]{1,9}/[0-9]{1,7}[smhd]$";

/// Jobs at most.
const MOST: u32 = 999_999_999;
/// The units of a period, the largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
const DAY: u64 = 86_400;
/// Days of a period at most.
const MOST_DAYS: u64 = 30;

/// So many jobs in a time, such as `100/1m`. A time is 1 second to 30 days, in `s`, `m`, `h` or `d`.
///
/// ```
/// use callboard_contracts::Rate;
/// let rate: Rate = "100/60s".parse()?;
/// assert_eq!(rate.to_string(), "100/1m");
/// assert!("100".parse::<Rate>().is_err());
/// # Ok::<(), callboard_contracts::InvalidRate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    jobs: u32,
    seconds: u32,
}

/// Text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRate(String);

impl fmt::Display for InvalidRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule =
            "a number of jobs from 1 on and a time from 1s to 30d in s, m, h or d are needed, such as 100/1m";
        write!(f, "{:?} is no rate: {rule}", self.0)
    }
}

impl std::error::Error for InvalidRate {}

impl Rate {
    /// Jobs, at least 1.
    pub fn jobs(self) -> u32 {
        self.jobs
    }

    /// In how much time, at least a second.
    pub fn period(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = u64::from(self.seconds);
        let (unit, size) =
            UNITS.into_iter().find(|(_, size)| seconds.is_multiple_of(*size)).unwrap_or(('s', 1));
        write!(f, "{}/{}{unit}", self.jobs, seconds / size)
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidRate(text.chars().take(64).collect()))
    }
}

fn parse(text: &str) -> Option<Rate> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (jobs, period) = text.split_once('/')?;
    let (number, unit) = period.split_at_checked(period.len().checked_sub(1)?)?;
    let (_, size) = UNITS.into_iter().find(|(name, _)| unit.chars().eq([*name]))?;
    if !digits(jobs) || !digits(number) {
        return None;
    }
    let seconds = number.parse::<u64>().ok()?.checked_mul(size)?;
    let jobs = jobs.parse().ok()?;
    let fits = (1..=MOST).contains(&jobs) && (1..=MOST_DAYS * DAY).contains(&seconds);
    fits.then_some(Rate { jobs, seconds: u32::try_from(seconds).ok()? })
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": RATE_PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_rule_is_kept() {
        for (text, jobs, seconds) in [
            ("100/1m", 100, 60),
            ("1/1s", 1, 1),
            ("5/90s", 5, 90),
            ("999999999/30d", MOST, 2_592_000),
            ("7/24h", 7, 86_400),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.jobs(), rate.period()), (jobs, Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "/",
            "5",
            "5/",
            "/1m",
            "0/1m",
            "5/0s",
            "5/m",
            "5/1",
            "5/1ms",
            "5/1w",
            "+5/1m",
            "5/+1m",
            "-5/1m",
            " 5/1m",
            "5/1m ",
            "5/31d",
            "1000000000/1m",
            "5/18446744073709551615d",
            "5/1é",
            "é",
            "5/1/1m",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(jobs in 1..=MOST, seconds in 1_u32..2_592_000) {
            let rate = Rate { jobs, seconds };
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
            let json = serde_json::to_string(&rate).unwrap();
            prop_assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
        }
    }
}
