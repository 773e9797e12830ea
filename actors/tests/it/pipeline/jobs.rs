//! Job types that behave as tests want them to.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::jobs::{
    Job, JobContext, JobError, JobOptions, JobRegistry, Noop, RetryPolicy, Sleep,
    registry::JobRegistryBuilder,
};
use callboard_contracts::api::LogLevel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

const SOON: RetryPolicy = RetryPolicy::Fixed(Duration::from_millis(1));

/// What the tests' jobs share with the tests.
pub(super) struct Stage {
    /// A [`Hold`] ends when it gets a permit.
    pub(super) gate: Semaphore,
    /// [`Hold`]s that have begun.
    pub(super) begun: watch::Sender<u64>,
    /// Runs of each kind, by what happened in them.
    pub(super) runs: AtomicU64,
    /// Ids of the jobs that ran, in their order.
    pub(super) order: Mutex<Vec<Uuid>>,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            gate: Semaphore::new(0),
            begun: watch::Sender::new(0),
            runs: AtomicU64::new(0),
            order: Mutex::default(),
        }
    }
}

pub(super) type SharedStage = std::sync::Arc<Stage>;

/// All of them, and a stage.
pub(super) fn builder(stage: &SharedStage) -> JobRegistryBuilder {
    JobRegistry::builder()
        .register::<Noop>()
        .register::<Sleep>()
        .register::<Flaky>()
        .register::<Fail>()
        .register::<Patient>()
        .register::<Hold>()
        .register::<Big>()
        .register::<Forge>()
        .register::<Echo>()
        .register::<Talk>()
        .register::<super::signals::Approval>()
        .register::<super::signals::Adder>()
        .state(stage.clone())
}

/// Panics in its first attempts if its number says so.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Flaky {
    pub(super) number: u64,
    /// In how many attempts it panics.
    pub(super) panics: u32,
}

impl Job for Flaky {
    const TYPE: &'static str = "flaky";
    type Output = u64;

    fn options() -> JobOptions {
        JobOptions::new().max_attempts(2).retry(SOON)
    }

    async fn run(self, cx: &JobContext) -> Result<u64, JobError> {
        assert!(cx.attempt() > self.panics, "number {} in attempt {}", self.number, cx.attempt());
        Ok(self.number)
    }
}

/// Returns an error.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Fail {
    pub(super) fatal: bool,
}

impl Job for Fail {
    const TYPE: &'static str = "fail";
    type Output = ();

    fn options() -> JobOptions {
        let retry = RetryPolicy::exponential(Duration::from_millis(20), Duration::from_secs(1));
        JobOptions::new().max_attempts(3).retry(retry)
    }

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        cx.state::<SharedStage>()?.runs.fetch_add(1, SeqCst);
        if self.fatal { Err(JobError::fatal("no use")) } else { Err("x".parse::<u8>().unwrap_err())? }
    }
}

/// Is done in the run of this number, all within one attempt.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Patient {
    pub(super) runs: u64,
}

impl Job for Patient {
    const TYPE: &'static str = "patient";
    type Output = u32;

    fn options() -> JobOptions {
        JobOptions::new().max_attempts(1)
    }

    async fn run(self, cx: &JobContext) -> Result<u32, JobError> {
        if cx.state::<SharedStage>()?.runs.fetch_add(1, SeqCst) + 1 < self.runs {
            return Err(JobError::snooze(Duration::ZERO));
        }
        Ok(cx.attempt())
    }
}

/// Waits for a permit of the gate, or until it is told to end; a stubborn one does not listen.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Hold {
    #[serde(default)]
    pub(super) stubborn: bool,
}

impl Job for Hold {
    const TYPE: &'static str = "hold";
    type Output = u32;

    fn options() -> JobOptions {
        JobOptions::new().max_attempts(3).retry(SOON)
    }

    async fn run(self, cx: &JobContext) -> Result<u32, JobError> {
        let stage = cx.state::<SharedStage>()?;
        stage.begun.send_modify(|begun| *begun += 1);
        tokio::select! {
            permit = stage.gate.acquire() => permit?.forget(),
            () = cx.cancelled(), if !self.stubborn => return Err(JobError::retry("told to end")),
        }
        Ok(cx.attempt())
    }
}

/// Has a large result.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Big {
    pub(super) bytes: usize,
}

impl Job for Big {
    const TYPE: &'static str = "big";
    type Output = String;

    async fn run(self, _: &JobContext) -> Result<String, JobError> {
        Ok("x".repeat(self.bytes))
    }
}

/// Has this result, of whatever kind.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Forge {
    /// As text, so that nothing of it is looked at before.
    pub(super) json: String,
}

impl Job for Forge {
    const TYPE: &'static str = "forge";
    type Output = serde_json::Value;

    async fn run(self, _: &JobContext) -> Result<serde_json::Value, JobError> {
        serde_json::from_str(&self.json).map_err(|error| JobError::fatal(error.to_string()))
    }
}

/// Gives back what it knows of itself.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Echo {
    pub(super) text: String,
}

/// What an [`Echo`] gives back.
#[derive(Serialize, JsonSchema)]
pub(super) struct Echoed {
    text: String,
    id: Uuid,
    attempt: u32,
    max_attempts: u32,
    queue: String,
    correlation_id: Uuid,
    node: String,
}

impl Job for Echo {
    const TYPE: &'static str = "echo";
    type Output = Echoed;

    async fn run(self, cx: &JobContext) -> Result<Echoed, JobError> {
        cx.state::<SharedStage>()?.order.lock().unwrap().push(cx.id());
        Ok(Echoed {
            text: self.text,
            id: cx.id(),
            attempt: cx.attempt(),
            max_attempts: cx.max_attempts(),
            queue: cx.queue().to_owned(),
            correlation_id: cx.correlation_id(),
            node: cx.node().to_owned(),
        })
    }
}

/// Says much of itself, waits for a permit of the gate, says a last word, and fails in its first attempts.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Talk {
    pub(super) words: u64,
    /// In how many attempts it fails.
    #[serde(default)]
    pub(super) fails: u32,
}

impl Job for Talk {
    const TYPE: &'static str = "talk";
    type Output = ();

    fn options() -> JobOptions {
        JobOptions::new().max_attempts(2).retry(SOON)
    }

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        for word in 0..self.words {
            cx.progress((word, self.words));
            cx.log(LogLevel::Info, format!("word {word} of attempt {}", cx.attempt()));
        }
        let stage = cx.state::<SharedStage>()?;
        stage.begun.send_modify(|begun| *begun += 1);
        stage.gate.acquire().await?.forget();
        cx.progress_with(1.0, "all is said");
        cx.log(LogLevel::Warn, "last");
        if cx.attempt() <= self.fails { Err(JobError::retry("on purpose")) } else { Ok(()) }
    }
}
