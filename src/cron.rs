//! [`Cron`]: a job that an embedding program has stored at times that an expression says.

use std::{any::type_name, time::Duration};

use callboard_actors::{
    jobs::Job,
    roles::request::{ListCron, RunCron},
};
use callboard_contracts::api::{CronBackfill, CronDefinition, CronJob, CronOverlap, CronRun, CronView};
use serde_json::Value;

use crate::{App, AppBuilder, AppError, app::ASK_LIMIT};

/// A job, and when it is stored: an entry of the cron table, for [`AppBuilder::cron`]. `docs/cron.md` says what expressions mean, also
/// where clocks change.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until an app has it"]
pub struct Cron {
    definition: CronDefinition,
    /// The type of a job that is no JSON object.
    no_object: Option<&'static str>,
}

impl Cron {
    /// Stores this job at the times of a cron expression, such as `30 2 * * MON-FRI`, in UTC.
    pub fn new<J: Job>(expression: impl Into<String>, job: &J) -> Self {
        let (payload, no_object) = match serde_json::to_value(job) {
            Ok(Value::Object(payload)) => (payload, None),
            _ => (serde_json::Map::new(), Some(type_name::<J>())),
        };
        let job = CronJob { job_type: J::TYPE.to_owned(), payload, ..CronJob::default() };
        Cron { definition: CronDefinition::new(expression, job), no_object }
    }

    /// Reads the expression in this time zone, by its IANA name.
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.definition.time_zone = name.into();
        self
    }

    /// Stores each job by up to this time later, so that not all entries fire at once. Default: none.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.definition.jitter_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// What happens while the job of the time before has not ended. Default: another one is stored beside it.
    pub fn overlap(mut self, overlap: CronOverlap) -> Self {
        self.definition.overlap = overlap;
        self
    }

    /// What happens about times that were missed while no node ran. Default: the last of them is made up for.
    pub fn backfill(mut self, backfill: CronBackfill) -> Self {
        self.definition.backfill = backfill;
        self
    }

    /// Sends the jobs to this queue, and not to that of their type.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.definition.job.queue = Some(name.into());
        self
    }
}

impl AppBuilder {
    /// Stores jobs at the times of this entry of the cron table, one for each time, whichever node of the fleet leads. Each has the
    /// tag `cron:NAME`, and `metadata.cron.due` says for which time it is. The entry is there as long as a node with it leads.
    ///
    /// What is wrong with it is told by [`start`](Self::start).
    ///
    /// ```
    /// use callboard::{App, Cron, jobs::Noop};
    ///
    /// let app = App::builder().cron("nightly", Cron::new("30 2 * * *", &Noop {}).time_zone("Europe/Berlin"));
    /// # drop(app);
    /// ```
    pub fn cron(mut self, name: impl Into<String>, entry: Cron) -> Self {
        if let Some(job_type) = entry.no_object {
            self.no_object.get_or_insert(job_type);
        }
        self.cron.insert(name.into(), entry.definition);
        self
    }
}

impl App {
    /// The cron table, by name: those of the program, of configurations, and those that requests have made.
    ///
    /// # Errors
    /// [`AppError::Store`] if it cannot be read.
    pub async fn cron(&self) -> Result<Vec<CronView>, AppError> {
        let entries = self.handles.read_model.ask_within(ASK_LIMIT, ListCron).await?;
        entries.map_err(|error| self.store_error(error))
    }

    /// Stores a job of an entry of the cron table now, whatever its times are.
    ///
    /// # Errors
    /// [`AppError::Refused`], for example because there is no such entry.
    pub async fn run_cron(&self, name: impl Into<String>) -> Result<CronRun, AppError> {
        Ok(self.handles.gateway.ask_within(ASK_LIMIT, RunCron { name: name.into() }).await??)
    }
}
