//! Faults of jobs by script, for tests.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::FutureExt;
use parking_lot::Mutex;

use super::{Job, JobError, registry::RunError};

/// What goes wrong with an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The job's code does not run; the attempt fails with this message.
    Fail(String),
    /// As [`Fail`](Self::Fail), and no other attempt follows.
    FailForGood(String),
    /// The job's code does not run; the attempt panics.
    Panic,
    /// The job's code runs to its end, and the attempt fails nonetheless with this message: what it has done outside is done, and will be
    /// done again.
    FailAfter(String),
    /// The job's code does not run, and the attempt does not end by itself: its time runs out, or somebody cancels it.
    Hang,
}

/// A script of faults for the jobs of a program under test. Clones share it; each fault happens once.
#[derive(Clone, Debug, Default)]
pub struct JobFaults(Arc<Mutex<BTreeMap<(&'static str, u32), Fault>>>);

impl JobFaults {
    /// This fault meets the first job of type `J` that comes to the attempt of this number, from 1. It takes the place of a fault
    /// that is already there and has not happened yet.
    pub fn on<J: Job>(&self, attempt: u32, fault: Fault) -> &Self {
        self.0.lock().insert((J::TYPE, attempt), fault);
        self
    }

    /// How many faults have not happened yet.
    pub fn left(&self) -> usize {
        self.0.lock().len()
    }

    fn take(&self, job_type: &'static str, attempt: u32) -> Option<Fault> {
        self.0.lock().remove(&(job_type, attempt))
    }

    /// Runs an attempt as the script says.
    pub(super) async fn meet(
        &self,
        (job_type, attempt): (&'static str, u32),
        run: impl Future<Output = Result<Option<String>, RunError>>,
    ) -> Result<Option<String>, RunError> {
        let failed = |error: JobError| Err(RunError::Job(error));
        match self.take(job_type, attempt) {
            None => run.await,
            Some(Fault::Fail(message)) => failed(JobError::retry(message)),
            Some(Fault::FailForGood(message)) => failed(JobError::fatal(message)),
            Some(Fault::Panic) => {
                panic!("a fault of the test's script, in attempt {attempt} of a {job_type}")
            }
            Some(Fault::FailAfter(message)) => run.map(|_| failed(JobError::retry(message))).await,
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}
