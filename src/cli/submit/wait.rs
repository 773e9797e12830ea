//! Waiting for jobs: events say which have finished, lookups say how. Where there are no events, lookups alone do.

use std::{collections::BTreeMap, time::Duration};

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
        output::{Failure, Printer, SOME_FAILED, first_line, percent, try_line},
        progress::Progress,
    },
    ledger::Ledger,
    sender::Told,
};

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
/// Characters of what a job says that the progress shows.
const MESSAGE: usize = 40;
/// Characters of an error that an outcome shows.
const ERROR: usize = 200;

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
            if all_told && self.ledger.open() == 0 {
                return Ok(());
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let open = self.ledger.open();
                let have = if open == 1 { "job has" } else { "jobs have" };
                let still = if open == 1 { "it goes on" } else { "they go on" };
                let message = format!("{open} {have} not finished within {:?}; {still}", self.limit);
                return Err(Failure { code: SOME_FAILED, message });
            }
            if self.ledger.is_due() && self.away_since.is_none() {
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
                () = sleep_until(wake), if self.ledger.open() > 0 => {
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
            Some(Ok(StreamItem::Event(record))) => {
                self.running(&record);
                self.ledger.event(&record);
            }
            Some(Ok(StreamItem::Reset)) => self.ledger.missed(),
            // Lookups will tell what is wrong, if they are concerned too.
            Some(Err(_)) | None => {
                self.following = false;
                self.events = None;
            }
        }
    }

    /// Shows how far one of the jobs is.
    fn running(&self, record: &EventRecord) {
        let payload = &record.event.payload;
        let progress = payload.get("progress").filter(|_| record.event.event_type == EventType::Progressed);
        let (Some(progress), Ok(id)) = (progress, Uuid::try_parse(&record.event.idempotency_key)) else {
            return;
        };
        if !self.ledger.is_open(id) {
            return;
        }
        let mut text = percent(progress["fraction"].as_f64().unwrap_or_default());
        if let Some(message) = progress["message"].as_str() {
            text.push_str(&format!(" {}", first_line(message, MESSAGE)));
        }
        // Of many jobs it is said which one is so far.
        self.progress.running(if self.ledger.open() == 1 { text } else { format!("{id} {text}") });
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
        self.progress.finished(finished, finished + self.ledger.open(), self.failed());
    }

    /// Jobs that ended otherwise than completed.
    pub(super) fn failed(&self) -> usize {
        self.ends.iter().filter(|(state, _)| **state != JobState::Completed).map(|(_, count)| count).sum()
    }

    /// How many ended how, and how many have not yet.
    pub(super) fn summary(&self) -> String {
        let mut parts: Vec<String> =
            self.ends.iter().map(|(state, count)| format!("{count} {state}")).collect();
        if self.ledger.open() > 0 {
            parts.push(format!("{} not finished", self.ledger.open()));
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
