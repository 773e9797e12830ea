//! A program is replaced by its next version while jobs of the old one wait.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use callboard::{
    App, AppBuilder, AppError,
    config::UnfitJobs,
    contracts::{Timestamp, api::SubmitJob},
    jobs::{Job, JobContext, JobError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// To whom the letters went.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

impl Sent {
    fn add(cx: &JobContext, recipients: Vec<String>) -> Result<(), JobError> {
        cx.state::<Sent>()?.0.lock().expect("no panic under it").extend(recipients);
        Ok(())
    }
}

macro_rules! letter {
    ($name:ident { $field:ident: $type:ty }, $recipients:expr, $upcast:expr) => {
        /// A letter.
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $field: $type,
        }

        impl Job for $name {
            const TYPE: &'static str = "letter";
            type Output = ();

            fn upcast(payload: Map<String, Value>) -> Option<Map<String, Value>> {
                $upcast(payload)
            }

            async fn run(self, cx: &JobContext) -> Result<(), JobError> {
                Sent::add(cx, $recipients(self.$field))
            }
        }
    };
}

fn nothing(_: Map<String, Value>) -> Option<Map<String, Value>> {
    None
}

fn to_many(mut payload: Map<String, Value>) -> Option<Map<String, Value>> {
    let to = payload.remove("to")?;
    payload.insert("recipients".to_owned(), json!([to]));
    Some(payload)
}

letter!(First { to: String }, |to| vec![to], nothing);
letter!(Second { recipients: Vec<String> }, |recipients| recipients, nothing);
letter!(SecondWithUpcaster { recipients: Vec<String> }, |recipients| recipients, to_many);

fn app<J: Job>(folder: &Path, sent: &Sent) -> AppBuilder {
    App::builder().data_dir(folder).job::<J>().state(sent.clone())
}

fn letter(payload: Value, scheduled_at: Option<Timestamp>) -> SubmitJob {
    let Value::Object(payload) = payload else { panic!("an object") };
    SubmitJob { job_type: "letter".to_owned(), payload, scheduled_at, ..SubmitJob::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_and_would_not_run_are_named_at_the_start() {
    let (folder, sent) = (TempDir::new().unwrap(), Sent::default());
    let first = app::<First>(folder.path(), &sent).start().await.unwrap();
    let later = Some(Timestamp::now().saturating_add(Duration::from_secs(3600)));
    let mut waiting = Vec::new();
    for to in ["ada", "bob"] {
        waiting.push(first.submit_job(letter(json!({ "to": to }), later)).await.unwrap().id);
    }
    let done = first.submit_job(letter(json!({ "to": "eve" }), None)).await.unwrap().id;
    first.wait(done).await.unwrap();
    first.stop().await;

    let Err(refused) = app::<Second>(folder.path(), &sent).start().await else { panic!("it starts") };
    let AppError::Unfit(unfit) = &refused else { panic!("{refused}") };
    // What has ended does not matter.
    assert_eq!((unfit.len(), unfit[0].count, unfit[0].looked_at), (1, 2, 2));
    assert_eq!((&*unfit[0].job_type, unfit[0].example), ("letter", waiting[1]));
    let said = refused.to_string();
    for part in ["letter: 2 of 2", &waiting[1].to_string(), "unknown field `to`", "Job::upcast", "jobs.unfit"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Nothing has changed: the version before still starts, and so does one that is told to.
    app::<First>(folder.path(), &sent).start().await.unwrap().stop().await;
    let warned =
        app::<Second>(folder.path(), &sent).configure(|settings| settings.jobs.unfit = UnfitJobs::Warn);
    let warned = warned.start().await.unwrap();
    warned.retry(waiting[0]).await.unwrap();
    let failed = warned.wait(waiting[0]).await.unwrap();
    assert!(failed.summary.last_error.unwrap().contains("does not fit the job type"));
    warned.stop().await;
    assert_eq!(*sent.0.lock().unwrap(), ["eve"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upcaster_brings_what_waits_and_what_comes_into_todays_form() {
    let (folder, sent) = (TempDir::new().unwrap(), Sent::default());
    let first = app::<First>(folder.path(), &sent).start().await.unwrap();
    let later = Some(Timestamp::now().saturating_add(Duration::from_secs(3600)));
    let waiting = first.submit_job(letter(json!({ "to": "ada" }), later)).await.unwrap().id;
    first.stop().await;

    let second = app::<SecondWithUpcaster>(folder.path(), &sent).start().await.unwrap();
    second.retry(waiting).await.unwrap();
    second.wait(waiting).await.unwrap();
    // What is stored of it stays as it was; a program that is not renewed yet is understood.
    assert_eq!(Value::Object(second.job(waiting).await.unwrap().payload), json!({ "to": "ada" }));
    let old = second.submit_job(letter(json!({ "to": "bob" }), None)).await.unwrap().id;
    let old = second.wait(old).await.unwrap();
    assert_eq!(Value::Object(old.payload), json!({ "recipients": ["bob"] }));
    assert_eq!(*sent.0.lock().unwrap(), ["ada", "bob"]);
    // What no version knows is refused as ever, in the words of this one.
    for wrong in [json!({ "whom": "eve" }), json!({ "to": 17 })] {
        let refused = second.submit_job(letter(wrong.clone(), None)).await.unwrap_err().to_string();
        assert!(refused.contains("recipients") || refused.contains("17"), "{wrong}: {refused}");
    }
    second.stop().await;
}
