//! [`Schedule`]: an expression in a time zone, and the times that it says.

use std::sync::LazyLock;

use callboard_contracts::{Timestamp, api::CronTime};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    Zoned,
    tz::{TimeZone, TimeZoneDatabase},
};

/// The longest expression, in bytes.
const MAX_EXPRESSION: usize = 200;
/// The longest name of a time zone, in bytes.
const MAX_TIME_ZONE: usize = 64;
/// How much of what is wrong is quoted.
const QUOTED: usize = 64;
const MICROS: i64 = 1_000_000;

/// The time zones that are compiled in: every node has the same, whatever its system has.
static TIME_ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// An expression or a time zone that cannot be read, or an expression that no time fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// The expression.
    #[error("{0}")]
    Expression(String),
    /// The time zone.
    #[error("{0}")]
    TimeZone(String),
}

/// An expression in a time zone.
///
/// It says times of whole seconds. Where clocks change, what it means depends on whether it has one second, one minute and one hour:
///
/// * If so, it says *a fixed time*. One that does not exist, since the clocks are put forward over it, is due at the moment at which
///   they are. One that comes twice, since they are put back, is due the first time alone.
/// * If not, it says *intervals*, which go on: times that do not exist are left out, and what comes twice is due twice.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads an expression and the IANA name of a time zone.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, InvalidSchedule> {
        let schedule = Schedule { cron: read(expression)?, zone: find(time_zone)? };
        // 2000 and the years after it have every date that there is.
        match schedule.after(Timestamp::from_micros(946_684_800 * MICROS)) {
            Some(_) => Ok(schedule),
            None => Err(InvalidSchedule::Expression(format!(
                "no time fits {:?}: is there such a day in such a month?",
                quoted(expression)
            ))),
        }
    }

    /// Its first time after this one; `None`: there is none within the time that a calendar can be counted on for.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let second = at.as_micros().div_euclid(MICROS);
        // A search may end where it began when clocks change; it goes on from the next second then.
        for from in second..=second + 1 {
            let start = self.zoned(from)?;
            let found = self.cron.find_next_occurrence(&start, false).ok()?.timestamp().as_second();
            let found = Timestamp::from_micros(found.checked_mul(MICROS)?);
            if found > at {
                return Some(found);
            }
        }
        None
    }

    /// Its last time from `from` on that is not after `until`.
    pub fn latest(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let second = |at: Timestamp| at.as_micros().div_euclid(MICROS);
        let is_due_after = |after: i64| self.after(at(after)).filter(|due| *due <= until);
        // The last second after which one is still due: the later the second, the fewer are.
        let (mut low, mut high) = (second(from) - 1, second(until));
        is_due_after(low)?;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match is_due_after(middle) {
                Some(_) => low = middle,
                None => high = middle,
            }
        }
        is_due_after(low)
    }

    /// Its next times after this one.
    pub fn next_times(&self, after: Timestamp, count: usize) -> Vec<CronTime> {
        let times = std::iter::successors(self.after(after), |last| self.after(*last));
        times.take(count).map(|at| CronTime { at, local: self.local(at) }).collect()
    }

    /// What it says, in words.
    pub fn words(&self) -> String {
        let words = self.cron.describe();
        let words = words.trim_end_matches('.');
        match self.zone.iana_name() {
            Some("UTC") | None => words.to_owned(),
            Some(zone) => format!("{words} ({zone})"),
        }
    }

    /// What clocks show then.
    fn local(&self, at: Timestamp) -> String {
        let shown = self.zoned(at.as_micros().div_euclid(MICROS));
        shown.map(|shown| shown.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).unwrap_or_default()
    }

    fn zoned(&self, second: i64) -> Option<Zoned> {
        Some(jiff::Timestamp::from_second(second).ok()?.to_zoned(self.zone.clone()))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second.saturating_mul(MICROS))
}

fn read(expression: &str) -> Result<Cron, InvalidSchedule> {
    let refuse = |why: String| Err(InvalidSchedule::Expression(why));
    if expression.len() > MAX_EXPRESSION {
        return refuse(format!("{} bytes; an expression may have {MAX_EXPRESSION}", expression.len()));
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(expression).or_else(|error| {
        let (quoted, why) = (quoted(expression), error.to_string());
        let why = why.trim_end_matches('.');
        refuse(format!(
            "{quoted:?} is no cron expression: {why}. An expression has five fields, minute hour day-of-month month \
             day-of-week, such as \"30 2 * * MON-FRI\", or six with seconds before them"
        ))
    })
}

fn find(time_zone: &str) -> Result<TimeZone, InvalidSchedule> {
    let unknown = || {
        InvalidSchedule::TimeZone(format!(
            "there is no time zone {:?}; it has an IANA name, such as UTC or Europe/Berlin",
            quoted(time_zone)
        ))
    };
    if time_zone.len() > MAX_TIME_ZONE {
        return Err(unknown());
    }
    TIME_ZONES.get(time_zone).map_err(|_| unknown())
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}
