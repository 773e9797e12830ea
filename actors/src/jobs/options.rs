//! Where a job type differs from the server's defaults.

use std::time::Duration;

use callboard_contracts::api::Unique;

use super::retry::RetryPolicy;

/// Attempts a job may be given at most.
pub const MAX_ATTEMPTS: u32 = 1000;

/// Edges that a job type may name.
pub const MAX_NEEDS: usize = 8;

/// A job type's own queue, attempts, timeout, retry policy and limits; what is not set is the server's default.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct JobOptions {
    /// The queue its jobs go to.
    pub queue: Option<String>,
    /// Attempts a job may take, at least 1.
    pub max_attempts: Option<u32>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// When a failed attempt is followed by the next.
    pub retry: Option<RetryPolicy>,
    /// The largest payload of a job, with its metadata, in bytes. Limits of the queue and of the server hold as well.
    pub max_payload: Option<usize>,
    /// The edges, services outside, that its jobs need: while one of them is tripped they wait, and no attempt is spent.
    pub needs: Vec<String>,
    /// That a job is to be the only one of its kind, unless it says so itself. Jobs in the form of the event contract are not
    /// held to it.
    pub unique: Option<Unique>,
    /// Secret values of its payloads, beside those that its schema marks with `"x-secret": true`: JSON Pointers such as
    /// `/recipients/*/email`, or `*` for everything. They are hidden in all views, and encrypted where there is a key.
    pub secret_fields: Vec<String>,
    /// The same of its results.
    pub secret_results: Vec<String>,
    /// Whether its jobs are taken only where they are encrypted: a node without a key does not start with it.
    pub encryption_required: bool,
}

impl JobOptions {
    /// The server's defaults throughout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends its jobs to this queue.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = Some(name.into());
        self
    }

    /// Lets a job take this many attempts, 1 to 1000.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Ends an attempt after this time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Decides when a failed attempt is followed by the next.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Refuses jobs with a larger payload, in bytes and with their metadata. Limits of the queue and of the server hold as
    /// well: the smallest does.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// Names edges, services outside, that a job needs. While one of them is tripped (`callboard edges trip NAME`) its jobs
    /// wait, and no attempt is spent. At most 8, named as queues are.
    ///
    /// ```
    /// # use callboard_actors::jobs::JobOptions;
    /// let options = JobOptions::new().needs(["smtp"]);
    /// # assert_eq!(options.needs, ["smtp"]);
    /// ```
    #[must_use]
    pub fn needs(mut self, edges: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.needs.extend(edges.into_iter().map(Into::into));
        self
    }

    /// Lets a job be the only one of its kind: the store takes no second one, however many are submitted at once. A
    /// submission may say something else for itself.
    ///
    /// ```
    /// # use callboard_actors::jobs::JobOptions;
    /// use callboard_contracts::api::{Unique, UniquePolicy};
    ///
    /// // One welcome a person a day, whoever asks for it.
    /// let day = std::time::Duration::from_secs(86_400);
    /// let options =
    ///     JobOptions::new().unique(Unique::with(UniquePolicy::Throttle).fields(["/person"]).period(day));
    /// # assert_eq!(options.unique.unwrap().period_ms, Some(86_400_000));
    /// ```
    #[must_use]
    pub fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// Makes these values of its payloads secret, beside those that its schema marks: hidden in all views, and encrypted where
    /// there is a key. At most 64.
    ///
    /// ```
    /// # use callboard_actors::jobs::JobOptions;
    /// let options = JobOptions::new().secret_fields(["/body", "/recipients/*/email"]);
    /// # assert_eq!(options.secret_fields.len(), 2);
    /// ```
    #[must_use]
    pub fn secret_fields(mut self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.secret_fields.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Makes these values of its results secret; likewise.
    #[must_use]
    pub fn secret_results(mut self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.secret_results.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Makes its payloads and its results secret as a whole.
    #[must_use]
    pub fn secret(self) -> Self {
        self.secret_fields(["*"]).secret_results(["*"])
    }

    /// Takes its jobs only where they are encrypted: a node that knows the type and has no key does not start.
    #[must_use]
    pub fn encryption_required(mut self) -> Self {
        self.encryption_required = true;
        self
    }
}

/// What holds for a job type that does not say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct JobDefaults {
    /// The queue its jobs go to.
    pub queue: String,
    /// Attempts a job may take, at least 1.
    pub max_attempts: u32,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// When a failed attempt is followed by the next.
    pub retry: RetryPolicy,
}

impl Default for JobDefaults {
    /// Queue `default`, 5 attempts of at most a quarter of an hour each.
    fn default() -> Self {
        JobDefaults {
            queue: "default".to_owned(),
            max_attempts: 5,
            timeout: Duration::from_secs(900),
            retry: RetryPolicy::default(),
        }
    }
}

impl JobOptions {
    /// These options, with `defaults` where nothing is set.
    pub fn resolve(&self, defaults: &JobDefaults) -> JobDefaults {
        JobDefaults {
            queue: self.queue.clone().unwrap_or_else(|| defaults.queue.clone()),
            max_attempts: self.max_attempts.unwrap_or(defaults.max_attempts),
            timeout: self.timeout.unwrap_or(defaults.timeout),
            retry: self.retry.unwrap_or(defaults.retry),
        }
    }
}
