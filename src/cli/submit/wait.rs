//! Waiting for jobs: events say which have finished, lookups say how. Where there are no events, lookups alone do.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use callboard::{
    client::{Client, ClientError, EventQuery, EventStream, RetryPolicy, StreamItem},
    contracts::{
        EventType, JobState,
        api::{EventRecord, JobSummary},
    },
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use super::{
    super::{
        output::{Failure, Printer, SOME_FAILED, first_line, try_line},
        progress::Progress,
    },
    sender::Told,
};

/// Jobs that one lookup names at most.
const LOOKUP: usize = 1000;
/// How long the events are waited for before anything is submitted; without them lookups do.
const OPENING: Duration = Duration::from_secs(2);
/// Outcomes are gathered for so long before they are looked up together.
const GATHER: Duration = Duration::from_millis(30);
/// How often jobs are looked up of which no event told, also while events come.
const SWEEP: Duration = Duration::from_secs(5);
/// The first and the longest pause between two lookups while no events come.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a server that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Characters of an error that an outcome shows.
const ERROR: usize = 200;

/// What is known of a job that has not been shown yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Sent,
    /// Sent, and events may have told of its end before the answer came.
    SentAndMaybeFinished,
    Accepted,
}

/// Which jobs are looked up next. Knows nothing of the network and the clock.
#[derive(Debug, Default)]
struct Ledger {
    open: HashMap<Uuid, Open>,
    /// Accepted and probably finished: to be looked up at once.
    due: VecDeque<Uuid>,
    /// Accepted, in the order in which they are looked up without a reason. Those that were shown stay until their turn.
    round: VecDeque<Uuid>,
}

impl Ledger {
    fn told(&mut self, told: Told) {
        match told {
            Told::Sent(id) => {
                self.open.entry(id).or_insert(Open::Sent);
            }
            Told::Refused(id) => {
                // The same id may have been accepted before, on another line.
                if self.open.get(&id) != Some(&Open::Accepted) {
                    self.open.remove(&id);
                }
            }
            Told::Accepted(id, state) => {
                let before = self.open.insert(id, Open::Accepted);
                if before == Some(Open::SentAndMaybeFinished) || state.is_final() {
                    self.due.push_back(id);
                }
                self.round.push_back(id);
            }
        }
    }

    fn event(&mut self, record: &EventRecord) {
        if !matches!(record.event.event_type, EventType::Completed | EventType::Failed) {
            return;
        }
        let Ok(id) = Uuid::try_parse(&record.event.idempotency_key) else { return };
        match self.open.get_mut(&id) {
            Some(Open::Accepted) => self.due.push_back(id),
            Some(open) => *open = Open::SentAndMaybeFinished,
            None => {}
        }
    }

    /// Events were missed: any of them may have finished.
    fn missed(&mut self) {
        self.due.clear();
        for (id, open) in &mut self.open {
            match open {
                Open::Accepted => self.due.push_back(*id),
                _ => *open = Open::SentAndMaybeFinished,
            }
        }
    }

    /// What to look up now: what is due, or else what has waited longest.
    fn next(&mut self) -> Vec<Uuid> {
        let mut ids = Vec::new();
        while ids.len() < LOOKUP
            && let Some(id) = self.due.pop_front()
        {
            if self.open.contains_key(&id) {
                ids.push(id);
            }
        }
        if !ids.is_empty() {
            return ids;
        }
        for _ in 0..self.round.len() {
            let Some(id) = self.round.pop_front() else { break };
            if self.open.contains_key(&id) {
                self.round.push_back(id);
                ids.push(id);
            }
            if ids.len() == LOOKUP {
                break;
            }
        }
        ids
    }

    /// Whether this one has not been shown yet; from now on it has.
    fn shown(&mut self, id: Uuid) -> bool {
        self.open.remove(&id).is_some()
    }
}

pub(super) struct Watch<'p> {
    client: Client,
    printer: Printer,
    progress: &'p Progress,
    limit: Duration,
    events: Option<EventStream>,
    /// Whether events come, as far as is known.
    following: bool,
    ledger: Ledger,
    /// How many ended in which state.
    ends: BTreeMap<JobState, usize>,
    away_since: Option<Instant>,
    heard: bool,
}

impl<'p> Watch<'p> {
    pub(super) fn new(client: Client, printer: Printer, progress: &'p Progress, limit: Duration) -> Self {
        let events = Some(client.events(EventQuery::default()));
        // Trying again is done here, where it is known how long.
        let client = client.with_retry(RetryPolicy::never());
        Watch {
            client,
            printer,
            progress,
            limit,
            events,
            following: false,
            ledger: Ledger::default(),
            ends: BTreeMap::new(),
            away_since: None,
            heard: true,
        }
    }

    /// Waits until events come, so that none of a job submitted from then on is missed.
    pub(super) async fn open(&mut self) {
        if let Ok(item) = timeout(OPENING, next(&mut self.events)).await {
            self.item(item);
        }
    }

    /// Shows every accepted job when it has finished; returns when all are shown and no more will be told of.
    pub(super) async fn until_all_are_finished(
        &mut self,
        mut told: UnboundedReceiver<Told>,
    ) -> Result<(), Failure> {
        let mut all_told = false;
        let mut deadline = None;
        let mut pause = FIRST_PAUSE;
        let mut next_lookup = Instant::now() + FIRST_PAUSE;
        loop {
            if all_told && self.ledger.open.is_empty() {
                return Ok(());
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let open = self.ledger.open.len();
                let have = if open == 1 { "job has" } else { "jobs have" };
                let still = if open == 1 { "it goes on" } else { "they go on" };
                let message = format!("{open} {have} not finished within {:?}; {still}", self.limit);
                return Err(Failure { code: SOME_FAILED, message });
            }
            if !self.ledger.due.is_empty() && self.away_since.is_none() {
                next_lookup = next_lookup.min(Instant::now() + GATHER);
            }
            let wake = deadline.map_or(next_lookup, |deadline| next_lookup.min(deadline));
            tokio::select! {
                news = told.recv(), if !all_told => match news {
                    Some(news) => self.ledger.told(news),
                    None => {
                        all_told = true;
                        deadline = Some(Instant::now() + self.limit);
                        self.show_progress();
                    }
                },
                item = next(&mut self.events), if self.events.is_some() => self.item(item),
                () = sleep_until(wake), if !self.ledger.open.is_empty() => {
                    if Instant::now() < next_lookup {
                        continue;
                    }
                    let news = self.look().await?;
                    if all_told {
                        self.show_progress();
                    }
                    pause = if news { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                    next_lookup = Instant::now() + if self.following { SWEEP } else { pause };
                }
            }
        }
    }

    fn item(&mut self, item: Option<Result<StreamItem, ClientError>>) {
        match item {
            Some(Ok(StreamItem::Opened)) => self.following = true,
            Some(Ok(StreamItem::Event(record))) => self.ledger.event(&record),
            Some(Ok(StreamItem::Reset)) => self.ledger.missed(),
            // Lookups will tell what is wrong, if they are concerned too.
            Some(Err(_)) | None => {
                self.following = false;
                self.events = None;
            }
        }
    }

    /// Looks up what is due, and shows what has finished. Says whether there was any.
    async fn look(&mut self) -> Result<bool, Failure> {
        let asked = self.ledger.next();
        if asked.is_empty() {
            return Ok(false);
        }
        let list = match self.client.lookup(&asked).await {
            Ok(list) => list,
            Err(error) if error.is_passing() => {
                let since = *self.away_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Err(error.into());
                }
                self.progress.note(super::waiting_for(&error));
                // They are asked for again, and so are all others, of whose ends an event may have been lost.
                self.ledger.missed();
                self.following = false;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        if self.away_since.take().is_some() {
            // The stream comes back by itself, from where it was.
            self.following = self.events.is_some();
        }
        let mut news = false;
        for job in list.jobs.iter().filter(|job| job.state.is_final()) {
            if self.ledger.shown(job.id) {
                news = true;
                *self.ends.entry(job.state).or_default() += 1;
                self.show(job);
            }
        }
        Ok(news)
    }

    fn show(&mut self, job: &JobSummary) {
        if !self.heard {
            return;
        }
        let text = if self.printer.json {
            serde_json::to_string(job).unwrap_or_default()
        } else {
            outcome(job, self.printer)
        };
        self.heard = self.progress.aside(|| try_line(&text));
    }

    fn show_progress(&self) {
        let finished: usize = self.ends.values().sum();
        self.progress.finished(finished, finished + self.ledger.open.len(), self.failed());
    }

    /// Jobs that ended otherwise than completed.
    pub(super) fn failed(&self) -> usize {
        self.ends.iter().filter(|(state, _)| **state != JobState::Completed).map(|(_, count)| count).sum()
    }

    /// How many ended how, and how many have not yet.
    pub(super) fn summary(&self) -> String {
        let mut parts: Vec<String> =
            self.ends.iter().map(|(state, count)| format!("{count} {state}")).collect();
        if !self.ledger.open.is_empty() {
            parts.push(format!("{} not finished", self.ledger.open.len()));
        }
        if parts.is_empty() { "none finished".to_owned() } else { parts.join(", ") }
    }
}

async fn next(events: &mut Option<EventStream>) -> Option<Result<StreamItem, ClientError>> {
    events.as_mut()?.next().await
}

fn outcome(job: &JobSummary, printer: Printer) -> String {
    let error = job.last_error.as_deref().filter(|_| job.state != JobState::Completed).unwrap_or("");
    let text = format!("{}  {}  attempt {}", job.id, printer.state(job.state), job.attempt);
    if error.is_empty() { text } else { format!("{text}  {}", first_line(error, ERROR)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finished(id: Uuid) -> EventRecord {
        let event = json!({
            "contractVersion": "1.0.0", "eventType": "job.completed", "eventId": Uuid::nil(),
            "occurredAt": "2026-01-01T00:00:00Z",
            "producer": { "service": "s", "instanceId": "i", "version": "1" },
            "correlationId": Uuid::nil(), "idempotencyKey": id, "payload": {},
        });
        serde_json::from_value(json!({ "cursor": "1-1", "queue": "default", "event": event })).unwrap()
    }

    #[test]
    fn an_end_is_looked_up_whichever_comes_first() {
        let (early, late, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(early));
        ledger.told(Told::Sent(late));
        ledger.event(&finished(early));
        ledger.event(&finished(other));
        assert!(ledger.due.is_empty(), "it may be another's job until it is accepted");
        ledger.told(Told::Accepted(early, JobState::Available));
        ledger.told(Told::Accepted(late, JobState::Available));
        ledger.event(&finished(late));
        assert_eq!(ledger.next(), [early, late]);
        assert!(ledger.shown(early) && !ledger.shown(early));
        assert_eq!(ledger.next(), [late], "what is not finished is asked for again in its turn");
        assert!(ledger.shown(late));
        assert!(ledger.next().is_empty() && ledger.open.is_empty());
    }

    #[test]
    fn what_was_submitted_before_and_is_finished_is_looked_up() {
        let id = Uuid::from_u128(1);
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(id));
        ledger.told(Told::Accepted(id, JobState::Discarded));
        assert_eq!(ledger.due, [id]);
    }

    #[test]
    fn refused_jobs_are_not_waited_for() {
        let (refused, twice) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(refused));
        ledger.told(Told::Sent(twice));
        ledger.told(Told::Sent(twice));
        ledger.told(Told::Accepted(twice, JobState::Available));
        ledger.told(Told::Refused(twice));
        ledger.told(Told::Refused(refused));
        assert_eq!(ledger.open.keys().collect::<Vec<_>>(), [&twice]);
    }

    #[test]
    fn after_a_gap_all_are_looked_up() {
        let (sent, accepted) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut ledger = Ledger::default();
        ledger.told(Told::Sent(sent));
        ledger.told(Told::Sent(accepted));
        ledger.told(Told::Accepted(accepted, JobState::Available));
        ledger.missed();
        assert_eq!(ledger.next(), [accepted]);
        ledger.told(Told::Accepted(sent, JobState::Available));
        assert_eq!(ledger.next(), [sent]);
    }

    #[test]
    fn many_take_turns() {
        let mut ledger = Ledger::default();
        let ids: Vec<Uuid> = (0..1500).map(Uuid::from_u128).collect();
        for id in &ids {
            ledger.told(Told::Accepted(*id, JobState::Available));
        }
        assert_eq!(ledger.next(), ids[..1000]);
        let second = ledger.next();
        assert_eq!(second[..500], ids[1000..]);
        assert_eq!(second[500..], ids[..500]);
    }
}
