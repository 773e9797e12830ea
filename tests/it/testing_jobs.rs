//! The test kit for jobs, on a program that is to be tested with it.
#![cfg(feature = "testkit")]

use std::{sync::Arc, time::Duration};

use callboard::{
    App, Cron,
    contracts::{
        JobState,
        api::{ErrorKind, PutEdge, SubmitJob, SubmitWorkflow, Unique, WorkflowState},
    },
    jobs::{Job, JobContext, JobError, JobOptions, RetryPolicy, step},
    testing::{Fault, TestApp},
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What letters were sent, in order.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

/// A letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Letter {
    to: String,
}

impl Job for Letter {
    const TYPE: &'static str = "letter";
    type Output = usize;

    fn options() -> JobOptions {
        JobOptions::new()
            .max_attempts(3)
            .retry(RetryPolicy::Fixed(Duration::from_secs(60)))
            .needs(["post"])
            .unique(Unique::default())
    }

    async fn run(self, cx: &JobContext) -> Result<usize, JobError> {
        let mut sent = cx.state::<Sent>()?.0.lock();
        sent.push(self.to);
        Ok(sent.len())
    }
}

/// Letters to many, each a job of its own.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Newsletter {
    to: Vec<String>,
}

/// The app, for jobs that submit others. It is there once the app has started.
#[derive(Clone, Default)]
struct Office(Arc<Mutex<Option<App>>>);

impl Job for Newsletter {
    const TYPE: &'static str = "newsletter";
    type Output = ();

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        let app = cx.state::<Office>()?.0.lock().clone().ok_or_else(|| JobError::fatal("no app"))?;
        for to in self.to {
            app.submit(&Letter { to }).await?;
        }
        Ok(())
    }
}

fn builder() -> (callboard::AppBuilder, Sent, Office) {
    let (sent, office) = (Sent::default(), Office::default());
    let app = App::builder().job::<Letter>().job::<Newsletter>().state(sent.clone()).state(office.clone());
    (app, sent, office)
}

fn letter(to: &str) -> Letter {
    Letter { to: to.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_for_the_test_and_then_run_with_all_that_they_submit() {
    let (app, sent, office) = builder();
    let app = TestApp::start(app).await;
    *office.0.lock() = Some(app.clone());
    let news = app.submit(&Newsletter { to: vec!["ada".into(), "bob".into()] }).await.unwrap();
    assert_eq!(news.state, JobState::Available);
    assert_eq!(app.expect_enqueued::<Newsletter>(|news| news.to.len() == 2).await.id, news.id);
    app.expect_none_enqueued::<Letter>().await;

    let drained = app.drain().await;
    assert_eq!((drained.completed.len(), drained.ended()), (3, 3));
    assert!(drained.completed.contains(&news.id));
    assert_eq!(sent.0.lock().len(), 2);
    assert_eq!(app.drain().await, callboard::testing::Drained::default());
    // What is submitted after it waits again.
    app.submit(&letter("eve")).await.unwrap();
    assert_eq!(app.enqueued::<Letter>().await.len(), 1);
    *office.0.lock() = None;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_the_tests() {
    let (app, sent, _) = builder();
    let app = TestApp::start(app).await;
    let hour = Duration::from_secs(3600);
    let mut later = SubmitJob { job_type: Letter::TYPE.to_owned(), ..SubmitJob::default() };
    later.payload.insert("to".to_owned(), "ada".into());
    later.scheduled_at = Some(app.now().saturating_add(hour));
    let id = app.submit_job(later).await.unwrap().id;
    assert_eq!(app.drain().await.ended(), 0);
    app.advance(hour - Duration::from_secs(1));
    assert_eq!(app.drain().await.ended(), 0);
    assert_eq!(app.expect_enqueued::<Letter>(|_| true).await.state, JobState::Scheduled);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.drain().await.completed, [id]);
    assert_eq!(app.job(id).await.unwrap().summary.finished_at, Some(app.now()));
    assert_eq!(*sent.0.lock(), ["ada"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_come_by_script_and_once_each() {
    let (app, sent, _) = builder();
    let app = TestApp::start(app).await;
    app.faults()
        .on::<Letter>(1, Fault::FailAfter("the answer was lost".to_owned()))
        .on::<Letter>(2, Fault::Panic)
        .on::<Letter>(3, Fault::Fail("no stamps".to_owned()));
    let id = app.submit(&letter("ada")).await.unwrap().id;
    for left in [2, 1] {
        let drained = app.drain().await;
        assert_eq!((drained.retryable, app.faults().left()), (vec![id], left));
        app.advance(Duration::from_secs(60));
    }
    assert_eq!(app.drain().await.discarded, [id]);
    let attempts = app.job(id).await.unwrap().attempts;
    let errors: Vec<_> = attempts.iter().map(|attempt| attempt.error.clone().unwrap()).collect();
    assert_eq!(errors[0].message, "the answer was lost");
    assert_eq!((errors[1].kind, errors[2].message.as_str()), (ErrorKind::Panicked, "no stamps"));
    // The first attempt has sent it all the same.
    assert_eq!(*sent.0.lock(), ["ada"]);
    app.faults().on::<Letter>(1, Fault::FailForGood("moved away".to_owned()));
    let id = app.submit(&letter("bob")).await.unwrap().id;
    assert_eq!(app.drain().await.discarded, [id]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_is_told_and_runs_when_it_may() {
    let (app, _, _) = builder();
    let app = TestApp::start(app).await;
    let trip: PutEdge = serde_json::from_str(r#"{"state":"tripped"}"#).unwrap();
    app.set_edge("post", trip).await.unwrap();
    let id = app.submit(&letter("ada")).await.unwrap().id;
    let drained = app.drain().await;
    assert_eq!((drained.waiting.clone(), drained.ended()), (vec![id], 0));
    let ready: PutEdge = serde_json::from_str(r#"{"state":"ready"}"#).unwrap();
    app.set_edge("post", ready).await.unwrap();
    assert_eq!(app.drain().await.completed, [id]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_a_job_has_run_when_it_is_submitted() {
    let (app, sent, office) = builder();
    let app = TestApp::start_inline(app).await;
    *office.0.lock() = Some(app.clone());
    let submitted = app.submit(&Newsletter { to: vec!["ada".into(), "bob".into()] }).await.unwrap();
    assert_eq!(submitted.state, JobState::Completed);
    assert_eq!(*sent.0.lock(), ["ada", "bob"]);
    app.faults().on::<Letter>(1, Fault::Fail("no stamps".to_owned()));
    let failed = app.submit(&letter("eve")).await.unwrap();
    assert_eq!(failed.state, JobState::Retryable);
    app.advance(Duration::from_secs(60));
    assert_eq!(app.drain().await.completed, [failed.id]);
    *office.0.lock() = None;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_that_fails_says_what_there_is() {
    let (app, _, _) = builder();
    let app = TestApp::start(app).await;
    app.submit(&letter("ada")).await.unwrap();
    app.submit(&letter("bob")).await.unwrap();
    let text = |panic: Box<dyn std::any::Any + Send>| *panic.downcast::<String>().unwrap();
    let none = std::panic::AssertUnwindSafe(app.expect_enqueued::<Letter>(|letter| letter.to == "eve"));
    let said = text(none.catch_unwind().await.unwrap_err());
    assert!(said.contains("testing_jobs.rs") && said.contains("no letter is like this"), "{said}");
    assert!(said.contains(r#"Letter { to: "ada" }"#) && said.contains(r#""bob""#), "{said}");
    let many = std::panic::AssertUnwindSafe(app.expect_enqueued::<Letter>(|_| true));
    assert!(text(many.catch_unwind().await.unwrap_err()).contains("more than one"));
    let some = std::panic::AssertUnwindSafe(app.expect_none_enqueued::<Letter>());
    assert!(text(some.catch_unwind().await.unwrap_err()).contains("there are jobs of type letter"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_and_the_cron_table_go_on_by_the_clock_of_the_test() {
    let (app, sent, _) = builder();
    let hourly = Cron::new("0 * * * *", &letter("eve"));
    let app = TestApp::start(app.cron("hourly", hourly)).await;
    let steps = vec![
        step("first", &letter("ada")).unwrap(),
        step("second", &letter("bob")).unwrap().waits_for(["first"]),
    ];
    let workflow = SubmitWorkflow { steps, ..SubmitWorkflow::default() };
    let id = app.workflows().submit(workflow).await.unwrap().id;
    app.faults().on::<Letter>(1, Fault::Fail("no stamps".to_owned()));
    assert_eq!(app.drain().await.retryable.len(), 1);
    app.advance(Duration::from_secs(60));
    assert_eq!(app.drain().await.completed.len(), 2);
    assert_eq!(app.workflows().get(id).await.unwrap().state, WorkflowState::Completed);
    assert_eq!(*sent.0.lock(), ["ada", "bob"]);
    for hour in 1..3 {
        app.advance(Duration::from_secs(3600));
        assert_eq!(app.drain().await.completed.len(), 1, "{hour}");
    }
    assert_eq!(*sent.0.lock(), ["ada", "bob", "eve", "eve"]);
    app.stop().await;
}

/// Waits for somebody to say what becomes of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Decision {}

impl Job for Decision {
    const TYPE: &'static str = "decision";
    type Output = String;

    async fn run(self, cx: &JobContext) -> Result<String, JobError> {
        cx.publish_state("waits")?;
        let decided = cx.next_signal().await?;
        cx.publish_state(decided.name())?;
        Ok(decided.decode()?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_signals_a_job_and_asks_what_it_shows() {
    let app = TestApp::start(App::builder().job::<Decision>()).await;
    let id = app.submit(&Decision {}).await.unwrap().id;
    assert_eq!(app.job_state(id).await.unwrap().published, None);
    let sent = app.signal(id, "approve", "by the test").await.unwrap();
    assert!(sent.number == 1 && !sent.state.is_final(), "{sent:?}");
    app.faults().on::<Decision>(1, Fault::FailAfter("the answer is lost".to_owned()));
    let retried = app.drain().await.retryable;
    assert_eq!(retried, [id]);
    // What it did, it does again: the signal is there still.
    app.advance(Duration::from_secs(3600));
    assert_eq!(app.drain().await.completed, [id]);
    assert_eq!(app.job(id).await.unwrap().result, Some("by the test".into()));
    let shown = app.job_state(id).await.unwrap().published.unwrap();
    assert_eq!((shown.value, shown.attempt), ("approve".into(), 2));
    let signals = app.signals(id).await.unwrap().signals;
    assert_eq!(signals[0].taken.map(|taken| taken.attempt), Some(2));
    assert!(
        app.signal(id, "approve", "late").await.unwrap_err().to_string().contains("the job is completed")
    );
    app.stop().await;
}
