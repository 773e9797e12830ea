//! Which jobs are changed: by their ids, or all that a filter names.

use std::io::{self, BufRead, IsTerminal, Write};

use callboard::{
    client::{Client, JobQuery},
    contracts::JobState,
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
    /// With --all: do not ask whether that is meant.
    #[arg(long, short, requires = "all")]
    yes: bool,
}

impl Selection {
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
            limit: Some(PAGE),
            cursor: None,
        };
        if !self.yes && !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "--all needs --yes where nobody can be asked: standard input is no terminal",
            ));
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

fn confirmed(question: &str) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("nobody can be asked: {error}"));
    write!(io::stderr(), "{question} [y/N] ").map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
