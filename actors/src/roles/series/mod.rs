//! The numbers of the fleet over time, as this node has seen them: for charts and for what is shown at one look.

mod histogram;
mod latencies;
mod ring;
mod track;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{Latency, Rates, Series},
};
use latencies::{Latencies, Took};
use parking_lot::Mutex;
pub use track::{InvalidResolution, Resolution};
use track::{Kind, Track};

use crate::edges::store::record::{EventCount, QueueTotals};

/// Queues whose numbers are kept at most; of further ones there are none.
const MOST_QUEUES: usize = 200;
/// Steps of a second that make what is said of now.
const RATE_STEPS: usize = 10;

/// What is kept of the fleet, by name, and how.
const ALL: [(&str, Kind); 10] = [
    ("submitted", Kind::Rate),
    ("started", Kind::Rate),
    ("completed", Kind::Rate),
    ("failed", Kind::Rate),
    ("retried", Kind::Rate),
    ("cancelled", Kind::Rate),
    ("available", Kind::Last),
    ("executing", Kind::Last),
    ("retryable", Kind::Last),
    ("oldest_ms", Kind::Largest),
];
/// What is kept of each queue.
const OF_QUEUE: [(&str, Kind); 5] = [
    ("completed", Kind::Rate),
    ("failed", Kind::Rate),
    ("available", Kind::Last),
    ("executing", Kind::Last),
    ("oldest_ms", Kind::Largest),
];

/// The numbers of the fleet over time, in memory, since the node's start. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct TimeSeries(Arc<Mutex<Kept>>);

/// Which numbers are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Only these; none: all of them.
    pub names: Vec<String>,
    /// Those of this queue alone.
    pub queue: Option<String>,
    /// In steps of this length.
    pub resolution: Resolution,
}

/// Why there are no such numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSeries {
    /// None is called that.
    #[error("there is no number {name:?}; there are {}", .known.join(", "))]
    Name {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// Nothing is known of such a queue.
    #[error("nothing is known of a queue {0:?}")]
    Queue(String),
}

/// What is said of now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recent {
    /// Over the last ten seconds.
    pub rates: Rates,
    /// From available until the run began, over the last minute.
    pub wait: Option<Latency>,
    /// What attempts took, over the last minute.
    pub run: Option<Latency>,
}

struct Kept {
    /// What was counted since the last sample.
    submitted: u64,
    started: u64,
    retried: u64,
    took: Took,
    /// When the last sample was taken, and what had ended in all queues then: completed, failed, cancelled.
    last: Option<Timestamp>,
    ended: Option<[u64; 3]>,
    all: Track<10>,
    latencies: Latencies,
    queues: BTreeMap<String, OfQueue>,
}

struct OfQueue {
    /// Completed, failed and cancelled when it was last seen.
    ended: [u64; 3],
    track: Track<5>,
}

impl Default for Kept {
    fn default() -> Self {
        Kept {
            submitted: 0,
            started: 0,
            retried: 0,
            took: Took::default(),
            last: None,
            ended: None,
            all: Track::new(ALL.map(|(_, kind)| kind)),
            latencies: Latencies::default(),
            queues: BTreeMap::new(),
        }
    }
}

impl TimeSeries {
    /// Events of the log that were counted.
    pub(crate) fn count(&self, count: &EventCount) {
        let mut kept = self.0.lock();
        match count.event_type {
            EventType::Created => kept.submitted += count.events,
            EventType::Executed | EventType::AttemptStarted => {
                kept.started += count.events;
                kept.took.waited(&count.durations);
            }
            EventType::Completed | EventType::Failed => kept.took.ran(&count.durations),
            EventType::AttemptFailed => {
                kept.retried += count.events;
                kept.took.ran(&count.durations);
            }
            _ => {}
        }
    }

    /// What the queues hold now; to be said about once a second.
    pub(crate) fn sample<'q>(&self, totals: impl Iterator<Item = &'q QueueTotals>, now: Timestamp) {
        let kept = &mut *self.0.lock();
        let second = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
        let elapsed = kept.last.map_or(Duration::ZERO, |last| now.saturating_since(last));
        kept.last = Some(now);
        let mut before = std::mem::take(&mut kept.queues);
        let mut all = [0.0; ALL.len()];
        // Counts are far below what a float of this size holds exactly.
        let [submitted, started, retried] = [&mut kept.submitted, &mut kept.started, &mut kept.retried]
            .map(|count| std::mem::take(count) as f64);
        (all[0], all[1], all[4]) = (submitted, started, retried);
        let mut ended_in_all = [0; 3];
        for (index, totals) in totals.enumerate() {
            let count = |state| totals.count(state);
            let ended = [JobState::Completed, JobState::Discarded, JobState::Cancelled].map(count);
            ended_in_all.iter_mut().zip(ended).for_each(|(all, count)| *all += count);
            let oldest =
                totals.oldest_available_at.map_or(Duration::ZERO, |since| now.saturating_since(since));
            let oldest = oldest.as_millis() as f64;
            let [available, executing, retryable] =
                [JobState::Available, JobState::Executing, JobState::Retryable]
                    .map(|state| count(state) as f64);
            all[6] += available;
            all[7] += executing;
            all[8] += retryable;
            all[9] = oldest.max(all[9]);
            if index >= MOST_QUEUES {
                continue;
            }
            let mut queue = before
                .remove(&totals.queue)
                .unwrap_or_else(|| OfQueue { ended, track: Track::new(OF_QUEUE.map(|(_, kind)| kind)) });
            let new = |index: usize| ended[index].saturating_sub(queue.ended[index]) as f64;
            queue.track.sample(second, elapsed, [new(0), new(1), available, executing, oldest]);
            queue.ended = ended;
            kept.queues.insert(totals.queue.clone(), queue);
        }
        // A queue that comes brings what has happened in it, and one that goes takes nothing away.
        let before = kept.ended.replace(ended_in_all).unwrap_or(ended_in_all);
        let new = |index: usize| ended_in_all[index].saturating_sub(before[index]) as f64;
        (all[2], all[3], all[5]) = (new(0), new(1), new(2));
        kept.all.sample(second, elapsed, all);
        kept.latencies.sample(second, &kept.took);
        kept.took.clear();
    }

    /// What is said of now.
    pub fn recent(&self) -> Recent {
        let kept = self.0.lock();
        let rate = |number| {
            let known = kept.all.column(Resolution::Second, number, RATE_STEPS).flatten();
            let (sum, count) = known.fold((0.0, 0_u32), |(sum, count), rate| (sum + rate, count + 1));
            (sum / f64::from(count.max(1)) * 1e3).round() / 1e3
        };
        let rates = Rates {
            submitted: rate(0),
            started: rate(1),
            completed: rate(2),
            failed: rate(3),
            retried: rate(4),
            cancelled: rate(5),
        };
        let [wait, run] = kept.latencies.last_minute();
        Recent { rates, wait, run }
    }

    /// Numbers over time.
    ///
    /// # Errors
    /// There are none of that name, or nothing is known of that queue.
    pub fn read(&self, query: &SeriesQuery) -> Result<Series, NoSeries> {
        let kept = self.0.lock();
        let (resolution, steps) = (query.resolution, query.resolution.steps());
        let (known, end): (Vec<&'static str>, _) = match &query.queue {
            None => (
                ALL.iter().map(|(name, _)| *name).chain(latencies::NAMES).collect(),
                kept.all.end(resolution),
            ),
            Some(name) => {
                let queue = kept.queues.get(name).ok_or_else(|| NoSeries::Queue(name.clone()))?;
                (OF_QUEUE.iter().map(|(name, _)| *name).collect(), queue.track.end(resolution))
            }
        };
        if let Some(name) = query.names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(NoSeries::Name { name: name.clone(), known });
        }
        let read = |index: usize| -> Vec<Option<f64>> {
            match query.queue.as_ref().and_then(|name| kept.queues.get(name)) {
                Some(queue) => queue.track.column(resolution, index, steps).collect(),
                None if index < ALL.len() => kept.all.column(resolution, index, steps).collect(),
                None => kept.latencies.column(resolution, index - ALL.len(), steps).collect(),
            }
        };
        let wanted = |name: &str| query.names.is_empty() || query.names.iter().any(|wanted| wanted == name);
        let points = known.iter().enumerate().filter(|(_, name)| wanted(name));
        let points = points.map(|(index, name)| ((*name).to_owned(), read(index))).collect();
        let end = end.map_or_else(|| kept.last.unwrap_or_else(Timestamp::now), of_second);
        Ok(Series { resolution_ms: resolution.seconds() * 1000, end, points })
    }
}

fn of_second(second: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(second.saturating_mul(1_000_000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(queue: &str, completed: u64, available: u64) -> QueueTotals {
        let mut totals = QueueTotals { queue: queue.to_owned(), ..QueueTotals::default() };
        totals.counts[JobState::Completed as usize] = completed;
        totals.counts[JobState::Available as usize] = available;
        totals
    }

    fn created(events: u64) -> EventCount {
        EventCount {
            event_type: EventType::Created,
            queue: "mail".to_owned(),
            job_type: "noop".to_owned(),
            events,
            durations: Vec::new(),
        }
    }

    #[test]
    fn what_there_was_before_the_first_sample_is_no_rate() {
        let series = TimeSeries::default();
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        for second in 0..12 {
            series.count(&created(3));
            let done = 1_000_000 + 5 * u64::try_from(second).unwrap();
            series.sample([totals("mail", done, 7), totals("default", 0, 1)].iter(), at(second));
        }
        let recent = series.recent();
        assert_eq!((recent.rates.submitted, recent.rates.completed), (3.0, 5.0));
        assert_eq!((recent.wait, recent.run), (None, None));
        let all = series.read(&SeriesQuery::default()).unwrap();
        assert_eq!((all.resolution_ms, all.end), (1000, at(11)));
        assert!(all.points.len() == ALL.len() + latencies::NAMES.len());
        assert!(all.points.values().all(|points| points.len() == 11), "{all:?}");
        assert_eq!(all.points["completed"][..2], [None, Some(5.0)]);
        assert_eq!(all.points["available"][10], Some(8.0));
        let query = SeriesQuery {
            names: vec!["completed".to_owned()],
            queue: Some("mail".to_owned()),
            resolution: Resolution::TenSeconds,
        };
        let mail = series.read(&query).unwrap();
        assert_eq!(mail.points.into_iter().collect::<Vec<_>>(), [("completed".to_owned(), vec![Some(5.0)])]);
    }

    #[test]
    fn what_nothing_is_known_of_is_said() {
        let series = TimeSeries::default();
        let query = SeriesQuery { names: vec!["speed".to_owned()], ..SeriesQuery::default() };
        let error = series.read(&query).unwrap_err().to_string();
        assert!(error.contains("speed") && error.contains("wait_p99_ms"), "{error}");
        let query = SeriesQuery { queue: Some("mail".to_owned()), ..SeriesQuery::default() };
        assert_eq!(series.read(&query), Err(NoSeries::Queue("mail".to_owned())));
    }

    #[test]
    fn a_queue_that_is_gone_is_forgotten_and_their_number_is_bounded() {
        let series = TimeSeries::default();
        let many: Vec<QueueTotals> = (0..300).map(|number| totals(&format!("q{number}"), 0, 0)).collect();
        series.sample(many.iter(), Timestamp::from_micros(1));
        assert_eq!(series.0.lock().queues.len(), MOST_QUEUES);
        // What is said of all of them has those that are not kept.
        let more: Vec<QueueTotals> = many.iter().map(|many| totals(&many.queue, 1, 2)).collect();
        series.sample(more.iter(), Timestamp::from_micros(1_000_001));
        series.sample(more.iter(), Timestamp::from_micros(2_000_001));
        assert_eq!(series.recent().rates.completed, 300.0);
        let all = series.read(&SeriesQuery::default()).unwrap();
        assert_eq!(all.points["available"].last(), Some(&Some(600.0)));
        series.sample([totals("q1", 0, 0)].iter(), Timestamp::from_micros(3_000_001));
        assert_eq!(series.0.lock().queues.keys().collect::<Vec<_>>(), ["q1"]);
    }
}
