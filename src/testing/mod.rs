//! For the tests of programs that have jobs: an app on a store of its own and a clock that stands still, whose jobs run when the test
//! says so.
//!
//! Behind the feature `testkit`, which belongs into `[dev-dependencies]`. Nothing in it is a stand-in: jobs are checked, stored, claimed, run
//! and retried by the same actors as ever, on an SQLite file in a temporary folder. What fails, fails by a panic that says what was
//! expected and what there was instead.
//!
//! ```
//! use std::time::Duration;
//!
//! use callboard::{App, contracts::api::SubmitJob, jobs::{Job, JobContext, JobError}, testing::{Fault, TestApp}};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// Sends a letter of welcome.
//! #[derive(Debug, Serialize, Deserialize, JsonSchema)]
//! struct Welcome { to: String }
//!
//! impl Job for Welcome {
//!     const TYPE: &'static str = "welcome";
//!     type Output = usize;
//!     async fn run(self, _: &JobContext) -> Result<usize, JobError> { Ok(self.to.len()) }
//! }
//!
//! /// The code under test.
//! async fn sign_up(app: &App, name: &str) {
//!     app.submit(&Welcome { to: name.to_owned() }).await.expect("it is accepted");
//! }
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! let app = TestApp::start(App::builder().job::<Welcome>()).await;
//! sign_up(&app, "ada").await;
//! // Nothing has run yet.
//! let letter = app.expect_enqueued::<Welcome>(|letter| letter.to == "ada").await;
//! // The first attempt fails by the script, so there is a second one, in some seconds of the app's clock.
//! app.faults().on::<Welcome>(1, Fault::Fail("the server of letters is away".to_owned()));
//! assert_eq!(app.drain().await.retryable, [letter.id]);
//! app.advance(Duration::from_secs(60));
//! assert_eq!(app.drain().await.completed, [letter.id]);
//! assert_eq!(app.job(letter.id).await.unwrap().result, Some(3.into()));
//! app.expect_none_enqueued::<Welcome>().await;
//! app.stop().await;
//! # });
//! ```

mod drained;
mod enqueued;
mod test_app;

pub use callboard_actors::jobs::faults::{Fault, JobFaults};

pub use self::{drained::Drained, enqueued::Enqueued, test_app::TestApp};
