//! Jobs that wait and do not fit their type any more.

use std::fmt;

use callboard_contracts::{JobState, api::FieldError};
use uuid::Uuid;

use super::{gateway::secrets::payload_fields, node::Node};
use crate::{
    edges::store::{StoreError, record::JobFilter},
    encryption::{
        envelope::{MARK, Part},
        fields::SecretFields,
    },
    jobs::registry::{JobType, unquoted},
};

/// Jobs of one type that are looked at, the newest first.
const LOOKED_AT: usize = 2000;
/// Jobs that are listed at a time.
const PAGE: u32 = 200;

/// Jobs of a type whose payload was changed, that wait and would not run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfitJobs {
    /// The type.
    pub job_type: String,
    /// How many there are, of those that were looked at.
    pub count: usize,
    /// How many were looked at: all that are not finished, or the newest 2000 of them.
    pub looked_at: usize,
    /// The newest of them.
    pub example: Uuid,
    /// What is wrong with that one.
    pub problem: FieldError,
}

impl fmt::Display for UnfitJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnfitJobs { job_type, count, looked_at, example, problem } = self;
        let FieldError { pointer, message } = problem;
        let at = if pointer.is_empty() { "its payload" } else { pointer };
        write!(f, "{job_type}: {count} of {looked_at}, the newest is {example}: {at}: {message}")
    }
}

/// Finds the jobs that are not finished, and would not run with the types of this node. Only types whose schema is another one than
/// the store knows are looked at.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn unfit_jobs(node: &Node) -> Result<Vec<UnfitJobs>, StoreError> {
    let (store, registry) = (&node.store, &node.registry);
    let mut all = Vec::new();
    for known in store.job_types().await? {
        let Some(job_type) = registry.get(&known.job_type) else { continue };
        if job_type.has_schema(&known.payload_schema) {
            continue;
        }
        all.extend(of_type(node, job_type).await?);
    }
    Ok(all)
}

async fn of_type(node: &Node, job_type: &JobType) -> Result<Option<UnfitJobs>, StoreError> {
    let states: Vec<JobState> = JobState::ALL.into_iter().filter(|state| !state.is_final()).collect();
    let (store, vault) = (&node.store, node.vault());
    let secret = payload_fields(&vault, job_type.name());
    let (mut before, mut looked_at, mut sealed) = (None, 0, 0);
    let mut unfit: Option<UnfitJobs> = None;
    while looked_at < LOOKED_AT {
        let job_type_of = Some(job_type.name().to_owned());
        let filter =
            JobFilter { states: states.clone(), job_type: job_type_of, before, ..JobFilter::default() };
        let page = store.jobs(filter, PAGE).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        for listed in page {
            let Some(job) = store.job(listed.id).await? else { continue };
            looked_at += 1;
            // Without the key nobody can tell; the job waits for it in any case.
            let Ok(payload) = vault.open_text(job_type.name(), Part::Payload, &job.job.payload) else {
                sealed += 1;
                continue;
            };
            let Err(problem) = job_type.runs_with(&payload) else { continue };
            // What is encrypted was secret when it was stored, and an upcaster may have put it anywhere.
            let whole = job.job.payload.contains(MARK).then(SecretFields::whole);
            let problem = unquoted(problem, whole.as_ref().unwrap_or(&secret));
            match &mut unfit {
                Some(unfit) => unfit.count += 1,
                None => {
                    let job_type = job_type.name().to_owned();
                    unfit = Some(UnfitJobs { job_type, count: 1, looked_at: 0, example: listed.id, problem });
                }
            }
        }
    }
    if sealed > 0 {
        let job_type = job_type.name();
        tracing::warn!(
            "type" = job_type,
            sealed,
            "jobs wait whose payloads this node cannot decrypt; it is not known whether they fit"
        );
    }
    Ok(unfit.map(|unfit| UnfitJobs { looked_at, ..unfit }))
}
