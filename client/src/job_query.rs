//! Which jobs are listed: [`JobQuery`], page by page: [`JobPages`].

use callboard_contracts::{JobState, api::JobSummary};

use crate::{Client, ClientError};

/// Which jobs are listed. The default is all of them.
///
/// ```
/// use callboard_client::JobQuery;
/// use callboard_contracts::JobState;
/// let waiting = JobQuery {
///     states: vec![JobState::Available, JobState::Retryable],
///     queue: Some("reports".to_owned()),
///     ..JobQuery::default()
/// };
/// assert_eq!(waiting.limit, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Only jobs in one of these states. Default: in any.
    pub states: Vec<JobState>,
    /// Only jobs of this queue. Default: of any.
    pub queue: Option<String>,
    /// Only jobs of this type. Default: of any.
    pub job_type: Option<String>,
    /// Only jobs with this tag. Default: with any or none.
    pub tag: Option<String>,
    /// Only dead jobs that died of this cause. Default: any jobs.
    pub cause: Option<String>,
    /// Jobs of one page, 1 to 1000. Default: the server's, 50.
    pub limit: Option<u32>,
    /// Where a page before this one ended (`next_cursor`). Default: from the newest job.
    pub cursor: Option<String>,
}

impl JobQuery {
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all: Vec<_> = self.states.iter().map(|state| ("state", state.to_string())).collect();
        all.extend(self.queue.iter().map(|queue| ("queue", queue.clone())));
        all.extend(self.job_type.iter().map(|job_type| ("type", job_type.clone())));
        all.extend(self.tag.iter().map(|tag| ("tag", tag.clone())));
        all.extend(self.cause.iter().map(|cause| ("cause", cause.clone())));
        all.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        all.extend(self.cursor.iter().map(|cursor| ("cursor", cursor.clone())));
        all
    }
}

/// Pages of jobs, newest first. A job that appears while they are read is not in them.
#[derive(Debug)]
pub struct JobPages {
    client: Client,
    query: Option<JobQuery>,
}

impl JobPages {
    pub(crate) fn new(client: Client, query: JobQuery) -> Self {
        JobPages { client, query: Some(query) }
    }

    /// The next page; none after the last one. After an error the same page is asked for again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<Vec<JobSummary>>, ClientError> {
        let Some(query) = &mut self.query else { return Ok(None) };
        let list = self.client.jobs(query).await?;
        if list.next_cursor.is_some() && list.next_cursor != query.cursor {
            query.cursor = list.next_cursor;
        } else {
            self.query = None;
        }
        Ok(Some(list.jobs))
    }

    /// Where the next page begins; none after the last one, and before the first one unless the query has it.
    pub fn cursor(&self) -> Option<&str> {
        self.query.as_ref()?.cursor.as_deref()
    }
}
