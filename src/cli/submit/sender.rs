//! Sending jobs in bounded batches. Every job gets its id here, so that sending it again never makes a second one.

use std::time::Duration;

use callboard::{
    client::{Client, ClientError},
    contracts::{
        JobState,
        api::{ItemOutcome, Problem, SubmitJob, SubmitMany, Submitted, SubmittedItem},
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    super::{
        output::{Failure, Printer, SOME_FAILED, USAGE, try_line},
        progress::Progress,
    },
    input::{Batch, Input, Source},
};

/// Jobs in one request at most, and about their bytes: well below what a server takes by default.
const MAX_JOBS: usize = 500;
const MAX_BYTES: usize = 512 * 1024;
/// How long a full queue is waited for that takes nothing at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first and the longest pause before a full queue is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What whoever waits for the jobs is told about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is about to be sent.
    Sent(Uuid),
    /// It is stored, and in this state.
    Accepted(Uuid, JobState),
    /// It was not accepted.
    Refused(Uuid),
}

/// What has been sent so far.
pub(super) struct Sender<'p> {
    pub(super) client: Client,
    printer: Printer,
    pub(super) progress: &'p Progress,
    tell: Option<UnboundedSender<Told>>,
    /// Whether somebody still reads what is printed.
    heard: bool,
    pub(super) accepted: usize,
    pub(super) refused: usize,
    /// What was no job to begin with.
    pub(super) unreadable: usize,
    /// Where the last one stands that was answered.
    last: Option<String>,
    /// How many are sent and not yet answered.
    pub(super) in_flight: usize,
    /// Under which the one job is submitted.
    pub(super) key: Option<String>,
}

impl<'p> Sender<'p> {
    /// Accepted jobs are printed, unless somebody is told who prints how they end.
    pub(super) fn new(
        client: Client,
        printer: Printer,
        progress: &'p Progress,
        tell: Option<UnboundedSender<Told>>,
    ) -> Self {
        Sender {
            client,
            printer,
            progress,
            tell,
            heard: true,
            accepted: 0,
            refused: 0,
            unreadable: 0,
            last: None,
            in_flight: 0,
            key: None,
        }
    }

    /// Sends all there is, and lets whoever is told know that this was all.
    pub(super) async fn send_all(&mut self, mut source: Source) -> Result<(), Failure> {
        if matches!(source, Source::Read(_)) && self.stream_all(&mut source).await? {
            self.tell = None;
            return Ok(());
        }
        while let Some(batch) = source.next(MAX_JOBS, MAX_BYTES).await {
            let Batch { jobs, unreadable, broken } = batch;
            unreadable.into_iter().for_each(|why| self.cannot_read(why));
            let position = jobs.last().map(|input| input.position);
            match self.key.clone() {
                Some(key) => self.send_once(&key, jobs).await?,
                None => self.send(jobs).await?,
            }
            if let Some(position) = position {
                self.show(position);
            }
            if let Some(broken) = broken {
                return Err(broken);
            }
        }
        self.tell = None;
        Ok(())
    }

    pub(super) fn cannot_read(&mut self, why: String) {
        self.unreadable += 1;
        self.complain(USAGE, why);
    }

    /// Shows how far it is.
    pub(super) fn show(&self, position: u64) {
        self.progress.submitted(position, self.accepted, self.refused + self.unreadable);
    }

    /// Gives the job an id, if it has none, and lets whoever waits know that it is about to be sent.
    pub(super) fn name(&self, input: &mut Input) {
        let id = input.job.entry("id").or_insert(Value::Null);
        if id.is_null() {
            *id = json!(Uuid::now_v7());
        }
        self.tell(id_of(input).map(Told::Sent));
    }

    /// Sends the one job, as it is, under a key.
    async fn send_once(&mut self, key: &str, jobs: Vec<Input>) -> Result<(), Failure> {
        for input in jobs {
            let job: SubmitJob = serde_json::from_value(Value::Object(input.job.clone()))
                .map_err(|error| Failure::usage(format!("the job cannot be sent: {error}")))?;
            match self.client.submit_once(key, &job).await {
                Ok(submitted) => {
                    self.tell(Some(Told::Sent(submitted.id)));
                    self.accept(&input, &submitted);
                }
                Err(ClientError::Refused { problem, .. })
                    if matches!(problem.status, 400 | 409 | 413 | 422) =>
                {
                    self.refuse(&input, &problem);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends until every one is answered.
    pub(super) async fn send(&mut self, mut jobs: Vec<Input>) -> Result<(), Failure> {
        jobs.iter_mut().for_each(|input| self.name(input));
        // Parts that a request may hold; one is split when it is too large for the server.
        let mut parts = vec![jobs];
        let mut deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let request = part.iter().map(|input| Value::Object(input.job.clone())).collect();
            self.in_flight = part.len();
            let items = match self.client.submit_many(SubmitMany { jobs: request }).await {
                Ok(answer) => answer.items,
                Err(ClientError::Refused { problem, .. }) if problem.status == 413 && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                    continue;
                }
                Err(ClientError::Refused { problem, .. })
                    if part.len() == 1 && matches!(problem.status, 400 | 413 | 422) =>
                {
                    let status = problem.status;
                    vec![SubmittedItem { index: 0, status, outcome: ItemOutcome::Refused(*problem) }]
                }
                Err(error) => {
                    // Any other refusal says that nothing was done.
                    let unknown = matches!(error, ClientError::Lost { .. } | ClientError::Answer(_))
                        || matches!(error.status(), Some(502..=504));
                    self.in_flight = if unknown { self.in_flight } else { 0 };
                    return Err(error.into());
                }
            };
            self.in_flight = 0;
            let sent = part.len();
            let again = self.take(part, items, Instant::now() < deadline)?;
            if again.len() < sent {
                deadline = Instant::now() + PATIENCE;
                pause = FIRST_PAUSE;
            } else {
                self.progress.note("the queue is full, and waited for".to_owned());
            }
            if !again.is_empty() {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                parts.push(again);
            }
        }
        Ok(())
    }

    /// Takes note of the answers. Gives the jobs for which there was no room, if they may be sent again.
    fn take(
        &mut self,
        part: Vec<Input>,
        items: Vec<SubmittedItem>,
        may_wait: bool,
    ) -> Result<Vec<Input>, Failure> {
        let mut waiting: Vec<Option<Input>> = part.into_iter().map(Some).collect();
        let mut again = Vec::new();
        for item in items {
            let Some(input) = waiting.get_mut(item.index).and_then(Option::take) else { continue };
            match item.outcome {
                ItemOutcome::Accepted(submitted) => self.accept(&input, &submitted),
                ItemOutcome::Refused(problem) if may_wait && matches!(problem.status, 429 | 503) => {
                    again.push(input);
                }
                ItemOutcome::Refused(problem) => self.refuse(&input, &problem),
            }
        }
        let unanswered = waiting.iter().flatten().count();
        if unanswered > 0 {
            self.in_flight = unanswered;
            let message = "the server has answered for fewer jobs than it was sent".to_owned();
            return Err(ClientError::Answer(message).into());
        }
        Ok(again)
    }

    pub(super) fn accept(&mut self, input: &Input, submitted: &Submitted) {
        self.accepted += 1;
        self.last.clone_from(&input.place);
        let Submitted { id, state, .. } = submitted;
        if self.tell.is_some() {
            self.tell(Some(Told::Accepted(*id, *state)));
        } else if self.heard {
            let text = if self.printer.json {
                serde_json::to_string(submitted).unwrap_or_default()
            } else {
                id.to_string()
            };
            // Jobs are submitted also when nobody reads their ids any more.
            self.heard = self.progress.aside(|| try_line(&text));
        }
    }

    pub(super) fn refuse(&mut self, input: &Input, problem: &Problem) {
        self.refused += 1;
        self.last.clone_from(&input.place);
        self.tell(id_of(input).map(Told::Refused));
        let mut message = format!("{}: {}", problem.title, problem.detail);
        if problem.errors.len() > 1 {
            let errors = problem.errors.iter().map(|error| format!("{}: {}", error.pointer, error.message));
            message = format!("{}: {}", problem.title, errors.collect::<Vec<_>>().join("; "));
        }
        let place = input.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
        self.complain(SOME_FAILED, format!("{place}{message}"));
    }

    fn complain(&self, code: u8, message: String) {
        self.progress.aside(|| self.printer.failure(&Failure { code, message }));
    }

    fn tell(&self, told: Option<Told>) {
        if let (Some(tell), Some(told)) = (&self.tell, told) {
            // Whoever waits may have given up; then the command ends.
            let _ = tell.send(told);
        }
    }

    /// The message, and what of the jobs is known to be stored.
    pub(super) fn with_account(&self, message: &str) -> String {
        let accepted = match self.accepted {
            0 => "no job was".to_owned(),
            1 => "1 job was".to_owned(),
            several => format!("{several} jobs were"),
        };
        let mut text = format!("{message}; {accepted} accepted");
        if let Some(last) = &self.last {
            text.push_str(&format!(", the last answer was for {last}"));
        }
        if self.in_flight > 0 {
            text.push_str(&format!("; of {} more it is not known", self.in_flight));
        }
        text
    }

    /// Says how it went, if it was about more than one job.
    pub(super) fn summary(&self, outcomes: Option<String>) {
        if self.accepted + self.refused + self.unreadable < 2 {
            return;
        }
        let mut parts = vec![format!("{} accepted", self.accepted)];
        for (count, what) in [(self.refused, "refused"), (self.unreadable, "unreadable")] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.extend(outcomes);
        self.printer.note(&parts.join(", "));
    }
}

/// The job's id, if it is one; otherwise the server will refuse it.
fn id_of(input: &Input) -> Option<Uuid> {
    Uuid::try_parse(input.job.get("id")?.as_str()?).ok()
}
