//! Which jobs are changed: by their ids, or all that a filter names.

use std::io::{self, BufRead, IsTerminal, Write};

use callboard::{
    client::{Client, JobQuery},
    contracts::{
        JobState,
        api::{BulkAction, BulkFilter, StartBulk},
    },
};
use clap::Args;
use uuid::Uuid;

use super::super::{output::Failure, values};

/// Jobs of one request at most.
const PAGE: u32 = 1000;

/// Which jobs are changed.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// The jobs' ids, in full.
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<Uuid>,
    /// All jobs in the states of --state.
    #[arg(long, conflicts_with = "ids", requires = "state")]
    all: bool,
    /// With --all: jobs in this state, such as discarded. May be given more than once, or with commas.
    #[arg(long, value_parser = values::state(), value_delimiter = ',', requires = "all")]
    state: Vec<JobState>,
    /// With --all: only jobs of this queue.
    #[arg(long, requires = "all")]
    queue: Option<String>,
    /// With --all: only jobs of this type.
    #[arg(long = "type", value_name = "TYPE", requires = "all")]
    job_type: Option<String>,
    /// With --all: only jobs with this tag.
    #[arg(long, requires = "all")]
    tag: Option<String>,
    /// With --all: only dead jobs that died of this cause.
    #[arg(long, requires = "all")]
    cause: Option<String>,
    /// With --all: only count the jobs, and show some of them.
    #[arg(long, requires = "all", conflicts_with = "yes")]
    dry_run: bool,
    /// With --all: do not ask whether that is meant.
    #[arg(long, short, requires = "all")]
    yes: bool,
}

impl Selection {
    /// What a dry run is about, if it is one.
    pub(super) fn dry_run(&self, action: BulkAction) -> Option<StartBulk> {
        let filter = BulkFilter {
            state: self.state.clone(),
            cause: self.cause.clone(),
            queue: self.queue.clone(),
            job_type: self.job_type.clone(),
            tag: self.tag.clone(),
        };
        let start = StartBulk { id: None, action, filter, patch: None, reason: None, dry_run: true };
        self.dry_run.then_some(start)
    }

    /// The jobs. `question` says what is about to be done with so many of them; without a yes, there are none.
    ///
    /// # Errors
    /// Nobody is there to be asked, or the server does not list the jobs.
    pub(super) async fn ids(
        self,
        client: &Client,
        question: impl FnOnce(usize, &str) -> String,
    ) -> Result<Vec<Uuid>, Failure> {
        if !self.all {
            return Ok(self.ids);
        }
        let states: Vec<&str> = self.state.iter().map(|state| state.as_str()).collect();
        let states = states.join(" or ");
        let query = JobQuery {
            states: self.state,
            queue: self.queue,
            job_type: self.job_type,
            tag: self.tag,
            cause: self.cause,
            limit: Some(PAGE),
            cursor: None,
        };
        if !self.yes {
            needs_somebody("--all")?;
        }
        // All are known before the first is changed, so that no change moves a page.
        let mut ids = Vec::new();
        let mut pages = client.job_pages(query);
        while let Some(jobs) = pages.next().await? {
            ids.extend(jobs.into_iter().map(|job| job.id));
        }
        if !ids.is_empty() && !self.yes && !confirmed(&question(ids.len(), &states))? {
            return Err(Failure::failed("nothing was changed"));
        }
        Ok(ids)
    }
}

/// Refuses what somebody would have to agree to where nobody is.
fn needs_somebody(what: &str) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{what} needs --yes where nobody can be asked: standard input is no terminal"
    )))
}

/// Asks whether something is meant, which is to be found out first.
///
/// # Errors
/// It is not, nobody is there to be asked, or it cannot be found out.
pub(in super::super) async fn confirm(
    question: impl AsyncFnOnce(&Client) -> Result<String, Failure>,
    client: &Client,
) -> Result<(), Failure> {
    needs_somebody("a bulk operation")?;
    let question = question(client).await?;
    if confirmed(&question)? { Ok(()) } else { Err(Failure::failed("nothing was changed")) }
}

fn confirmed(question: &str) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("nobody can be asked: {error}"));
    write!(io::stderr(), "{question} [y/N] ").map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
