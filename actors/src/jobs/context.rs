//! What a running job knows of itself.

use std::sync::Arc;

use callboard_contracts::{
    Timestamp, TraceContext,
    api::{JobInputs, LogLevel, StepResult, WorkflowStep},
};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    journal::{Fraction, Journal},
    signals::{Signal, SignalError, Signals, StateError, state_text},
    states::{MissingState, States},
    steps::{StepAccess, StepError},
};

/// What a running job knows of itself and of the node it runs on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobContext(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) id: Uuid,
    pub(crate) queue: String,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) correlation_id: Uuid,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Timestamp,
    pub(crate) node: Arc<str>,
    pub(crate) cancelled: CancellationToken,
    pub(crate) states: States,
    pub(crate) trace: TraceContext,
    pub(crate) partition_key: Option<String>,
    /// JSON text.
    pub(crate) metadata: Option<String>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) steps: Arc<dyn StepAccess>,
    pub(crate) signals: Signals,
}

tokio::task_local! {
    /// The job whose run is polled.
    static CURRENT: JobContext;
}

impl JobContext {
    pub(crate) fn new(inner: Inner) -> Self {
        JobContext(Arc::new(inner))
    }

    /// Polls the run as that of this job.
    pub(crate) async fn within<T>(self, run: impl Future<Output = T>) -> T {
        CURRENT.scope(self, run).await
    }

    /// Correlation and span of the job that runs here, if one does.
    pub(crate) fn current() -> Option<(Uuid, TraceContext)> {
        CURRENT.try_with(|job| (job.0.correlation_id, job.0.trace)).ok()
    }

    /// The job's id.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// The queue it came from.
    pub fn queue(&self) -> &str {
        &self.0.queue
    }

    /// By what it takes turns with the other jobs of its queue, and is limited.
    pub fn partition_key(&self) -> Option<&str> {
        self.0.partition_key.as_deref()
    }

    /// What its maker wanted to remember about it. It is read anew each time this is called.
    pub fn metadata(&self) -> Option<Map<String, Value>> {
        // It was an object when it was taken in.
        serde_json::from_str(self.0.metadata.as_deref()?).ok()
    }

    /// The time of the cron table for which it was stored, if it was; of a job that somebody had stored by hand, when that was.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.metadata()?.get("cron")?.get("due")?.as_str()?.parse().ok()
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Attempts the job may take.
    pub fn max_attempts(&self) -> u32 {
        self.0.max_attempts
    }

    /// Ties together what one request has caused.
    pub fn correlation_id(&self) -> Uuid {
        self.0.correlation_id
    }

    /// This attempt's span, whose parent is the span in which the job was submitted. What the job asks of others carries
    /// it on as `traceparent`; jobs that its run submits through the app (and not a task that it spawns) have it as their parent by themselves. A job that
    /// was submitted without a trace begins one, under the number of its correlation id.
    pub fn trace(&self) -> TraceContext {
        self.0.trace
    }

    /// When the job was stored.
    pub fn created_at(&self) -> Timestamp {
        self.0.created_at
    }

    /// When this run began.
    pub fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    /// The name of the node it runs on.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// The value of type `T` that was given to the registry's builder.
    ///
    /// # Errors
    /// None was given.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<&T, MissingState> {
        self.0.states.get()
    }

    /// Says how far this run is: a number from 0 to 1, or what is done and how much there is. It costs next to nothing, never
    /// waits and never fails: about once a second the newest word is stored, and the last one with the attempt's end.
    ///
    /// ```
    /// # fn example(cx: &callboard_actors::jobs::JobContext) {
    /// cx.progress(0.25);
    /// cx.progress((3, 4));
    /// # }
    /// ```
    pub fn progress(&self, done: impl Into<Fraction>) {
        self.0.journal.progress(done.into(), None);
    }

    /// As [`progress`](Self::progress), with what the run is at. Of a message that is too long the beginning is kept.
    pub fn progress_with(&self, done: impl Into<Fraction>, message: impl Into<String>) {
        self.0.journal.progress(done.into(), Some(message.into()));
    }

    /// Adds to the log of this attempt, a line for each line of the text. It costs next to nothing, never waits and never
    /// fails: lines are stored about once a second, and the last ones with the attempt's end. How many and how long they may
    /// be is bounded (`jobs.log_max_lines` and its neighbours); of what is more, the beginning and the end are kept, and
    /// readers see how many lines are missing between.
    pub fn log(&self, level: LogLevel, text: impl AsRef<str>) {
        self.0.journal.log(level, text.as_ref());
    }

    /// Adds one line to the log, of which this is the beginning if it has more `bytes`.
    pub(crate) fn log_line(&self, level: LogLevel, line: &str, bytes: u64) {
        self.0.journal.log_line(level, line, bytes);
    }

    /// Shows this of the run to whoever asks (`GET /api/v1/jobs/{id}/state`), as JSON of at most 16 KiB. It never waits: about
    /// once a second the newest is stored, if it is another one than before, and the last one with the attempt's end.
    ///
    /// ```
    /// # fn example(cx: &callboard_actors::jobs::JobContext) -> Result<(), callboard_actors::jobs::JobError> {
    /// cx.publish_state(&serde_json::json!({ "waits_for": "approval", "asked": ["anna", "bert"] }))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StateError::TooLarge`] and [`StateError::NoJson`]; what was published before stays then.
    pub fn publish_state<T: Serialize + ?Sized>(&self, state: &T) -> Result<(), StateError> {
        self.0.journal.publish(state_text(state)?);
        Ok(())
    }

    /// The next signal that was sent to this job, whatever its name; waits until there is one. Each attempt gets all signals of the
    /// job that are unacknowledged, in the order in which they were stored, from the first one on, also those that an earlier
    /// attempt has taken already ([`Signal::taken_before`]) and those that were sent before it began.
    ///
    /// It can be dropped at any time, in a `select!` say: a signal is taken when this returns it, and not before. It waits
    /// for as long as the attempt may take, so a job that waits for people needs a
    /// [`timeout`](crate::jobs::JobOptions::timeout) to match.
    ///
    /// # Errors
    /// [`SignalError::Cancelled`] when the run is to end, which `?` makes the end of it that was asked for;
    /// [`SignalError::Ended`] in what goes on after its end.
    pub async fn next_signal(&self) -> Result<Signal, SignalError> {
        self.0.signals.next(None, &self.0.cancelled, &self.0.journal).await
    }

    /// As [`next_signal`](Self::next_signal), the next one of this name; others stay, in their order.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)] struct Approval { note: String }
    /// # async fn example(cx: &callboard_actors::jobs::JobContext) -> Result<(), callboard_actors::jobs::JobError> {
    /// let signal = cx.signal("approve").await?;
    /// let approval: Approval = signal.decode()?;
    /// println!("{} says: {}", signal.by(), approval.note);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`next_signal`](Self::next_signal).
    pub async fn signal(&self, name: &str) -> Result<Signal, SignalError> {
        self.0.signals.next(Some(name), &self.0.cancelled, &self.0.journal).await
    }

    /// The next signal, if one is there. The first time it waits until the store has been looked into, so that nothing is missed
    /// that was sent before; later signals are seen when word of them has come, mostly some milliseconds after they were stored.
    ///
    /// # Errors
    /// As [`next_signal`](Self::next_signal).
    pub async fn try_next_signal(&self) -> Result<Option<Signal>, SignalError> {
        self.0.signals.try_next(None, &self.0.cancelled, &self.0.journal).await
    }

    /// As [`try_next_signal`](Self::try_next_signal), the next one of this name; others stay, in their order.
    ///
    /// # Errors
    /// As [`next_signal`](Self::next_signal).
    pub async fn try_signal(&self, name: &str) -> Result<Option<Signal>, SignalError> {
        self.0.signals.try_next(Some(name), &self.0.cancelled, &self.0.journal).await
    }

    /// Says that a signal is dealt with for good: no later attempt gets it, and its place among those that a job may have is free.
    /// That is durable when this returns. A job that lives long and gets many signals acknowledges them; one that waits for
    /// a single approval need not.
    ///
    /// # Errors
    /// [`SignalError::Stale`] if the attempt was taken for dead; [`SignalError::Unavailable`] if the store does not answer: it
    /// can be said again, and does nothing the second time.
    pub async fn acknowledge(&self, signal: &Signal) -> Result<(), SignalError> {
        self.0.signals.access.acknowledge(signal.number()).await
    }

    /// What the steps have come to that this one waits for, in their order; of the job that runs at the end of a workflow, none.
    /// Together they may have [`MAX_RESULTS`](Self::MAX_RESULTS) bytes; of more, [`step_inputs`](Self::step_inputs) gives a part.
    ///
    /// ```no_run
    /// # async fn example(cx: &callboard_actors::jobs::JobContext) -> Result<(), callboard_actors::jobs::JobError> {
    /// let mut words = 0;
    /// for step in cx.step_results().await? {
    ///     words += step.result.and_then(|count| count.as_u64()).unwrap_or(0);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StepError::NoStep`] if the job is of no workflow, [`StepError::TooLarge`], and [`StepError::Unavailable`].
    pub async fn step_results(&self) -> Result<Vec<StepResult>, StepError> {
        let (mut all, mut bytes, mut after) = (Vec::new(), 0, None);
        loop {
            let page = self.0.steps.inputs(after).await?;
            for one in page.results {
                bytes += one.result.as_ref().map_or(0, |result| result.to_string().len());
                if bytes > Self::MAX_RESULTS {
                    return Err(StepError::TooLarge(Self::MAX_RESULTS));
                }
                after = Some(one.number);
                all.push(one);
            }
            if page.next_cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Bytes of results that [`step_results`](Self::step_results) gives at most.
    pub const MAX_RESULTS: usize = 64 * 1024 * 1024;

    /// The workflow that this job is of, and a part of what the steps have come to that it waits for: those behind this number,
    /// 1000 at most, and about 4 MiB of results. The last one's number is what the next part is asked with, if there is a
    /// `next_cursor`.
    ///
    /// # Errors
    /// [`StepError::NoStep`] if the job is of no workflow, and [`StepError::Unavailable`].
    pub async fn step_inputs(&self, after: Option<u32>) -> Result<JobInputs, StepError> {
        self.0.steps.inputs(after).await
    }

    /// Adds steps to the workflow of this one, while it runs; how many are new. A step can wait (`after`) for other new ones and for
    /// those that have begun, and steps that wait still can be made to wait for it (`before`), such as the one that gathers what was
    /// fanned out. It is stored durably when this returns. Steps whose names are there already are passed over, so that an
    /// attempt can do again what one before it has done.
    ///
    /// # Errors
    /// [`StepError::Refused`] says what is wrong, and nothing is added then; [`StepError::Stale`] if the attempt was taken for dead;
    /// [`StepError::NoStep`], [`StepError::Unavailable`].
    pub async fn add_steps(&self, steps: Vec<WorkflowStep>) -> Result<u32, StepError> {
        if steps.is_empty() {
            return Ok(0);
        }
        self.0.steps.add(steps).await
    }

    /// Resolves when this run is to end: somebody cancelled the job, its time is over, or the node stops. What is
    /// still running a grace later is dropped.
    pub async fn cancelled(&self) {
        self.0.cancelled.cancelled().await;
    }

    /// Whether this run is to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_cancelled()
    }

    /// The token behind [`cancelled`](Self::cancelled), to hand on.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.0.cancelled
    }
}
