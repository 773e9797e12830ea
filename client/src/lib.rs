//! A typed HTTP client for Callboard.
//!
//! A [`Client`] asks one server. Its calls take and give the types of [`callboard_contracts::api`], are bounded in time
//! and in the size of the answer, and are tried again by a [`RetryPolicy`] where that is safe. [`Client::events`]
//! follows the event log over lost connections. Dropping a call's future cancels the call; whether the server has
//! carried it out is then unknown, as with any network.
//!
//! ```no_run
//! use callboard_client::{Client, JobQuery};
//! use callboard_contracts::{JobState, api::SubmitJob};
//!
//! # async fn example() -> Result<(), callboard_client::ClientError> {
//! let client = Client::new("http://127.0.0.1:8080", None)?;
//! let job = SubmitJob { job_type: "noop".to_owned(), ..SubmitJob::default() };
//! println!("{} is accepted", client.submit(job).await?.id);
//!
//! let dead = JobQuery { states: vec![JobState::Discarded], ..JobQuery::default() };
//! let mut pages = client.job_pages(dead);
//! while let Some(jobs) = pages.next().await? {
//!     jobs.iter().for_each(|job| println!("{} failed for good", job.id));
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod builder;
mod client;
mod cron;
mod dead_jobs;
mod encryption;
mod error;
mod events;
mod feed;
mod job_query;
mod jobs;
mod log_stream;
mod request;
mod retry;
mod server;
mod signals;
mod submit;
mod submit_stream;
mod workflows;

pub use builder::ClientBuilder;
pub use client::Client;
pub use dead_jobs::DeadCauseQuery;
pub use error::ClientError;
pub use events::{EventQuery, EventStream, StreamItem};
pub use feed::{FeedItem, FeedStream, SeriesQuery};
pub use job_query::{JobPages, JobQuery};
pub use log_stream::{LogItem, LogStream};
pub use retry::{RetryNotice, RetryPolicy};
pub use submit_stream::SubmitStream;
pub use workflows::{WorkflowQuery, WorkflowStepQuery};
