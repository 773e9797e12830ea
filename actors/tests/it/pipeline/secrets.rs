//! What was encrypted stays so on a node on which nothing marks it as secret.

use callboard_actors::{
    encryption::{Keyring, SecretsByType, SecretsOfType},
    jobs::{Job, JobContext, JobError, JobRegistry},
    roles::request::{CompareJob, PutCron, RetryEdited, RetryJob, RunCron},
};
use callboard_conformance::node::{Folder, Node};
use callboard_contracts::{
    JobState,
    api::{CronDefinition, CronJob, RetryEdit},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

const SECRET: &str = "hidden-4711";

#[derive(Serialize, Deserialize, JsonSchema)]
struct Letter {
    body: String,
    fails: bool,
}

impl Job for Letter {
    const TYPE: &'static str = "letter";

    type Output = ();

    async fn run(self, _: &JobContext) -> Result<(), JobError> {
        if self.fails { Err(JobError::fatal("it fails")) } else { Ok(()) }
    }
}

fn keys() -> Keyring {
    Keyring::new([("a".to_owned(), "11".repeat(32).into())], Some("a"), None).unwrap()
}

/// A node with a key; `marks`: whether it is told that bodies are secret.
async fn node(folder: &Folder, marks: bool) -> Node {
    let types = JobRegistry::builder().register::<Letter>();
    let start = Node::start(folder.store(), types, |config| {
        config.keys = keys();
        if marks {
            let own = SecretsOfType { payload: vec!["/body".to_owned()], ..SecretsOfType::default() };
            config.secrets = SecretsByType::from([("letter".to_owned(), own)]);
        }
    });
    start.await
}

async fn stored(node: &Node, id: Uuid) -> String {
    node.store.job(id).await.unwrap().unwrap().job.payload
}

fn is_sealed(payload: &str) -> bool {
    !payload.contains(SECRET) && payload.contains("$encrypted")
}

#[tokio::test]
async fn what_was_encrypted_stays_so_where_nothing_marks_it() {
    let folder = Folder::new();
    let knows = node(&folder, true).await;
    let letter = |fails| json!({"type": "letter", "payload": {"body": SECRET, "fails": fails}});
    let ids = knows.submit_all(vec![letter(false), letter(true)]).await;
    knows.reaches(ids[0], JobState::Completed).await;
    knows.reaches(ids[1], JobState::Discarded).await;
    let payload = letter(false)["payload"].as_object().unwrap().clone();
    let job = CronJob { job_type: "letter".into(), payload, ..CronJob::default() };
    let definition = CronDefinition::new("0 0 0 1 1 *", job);
    knows.handles.gateway.ask(PutCron { name: "yearly".into(), definition }).await.unwrap().unwrap();
    knows.stop().await;

    let other = node(&folder, false).await;
    let died = ids[1];
    assert!(is_sealed(&stored(&other, died).await));
    let compared = other.handles.read_model.ask(CompareJob { id: died }).await.unwrap().unwrap().unwrap();
    let shown = json!(compared.differences).to_string();
    assert!(shown.contains("fails") && !shown.contains(SECRET) && !shown.contains("body"), "{shown}");

    // As a patch of another value, and as a whole with the value as it is shown.
    let whole = json!({"body": {"$redacted": true}, "fails": false});
    for edit in [json!({"patch": {"fails": false}}), json!({"payload": whole})] {
        let edit: RetryEdit = serde_json::from_value(edit).unwrap();
        let retried = other.handles.gateway.ask(RetryEdited { id: died, edit }).await.unwrap().unwrap();
        let payload = stored(&other, retried.id).await;
        assert!(is_sealed(&payload), "{payload}");
        other.reaches(retried.id, JobState::Completed).await;
    }
    let edit: RetryEdit = serde_json::from_value(json!({"patch": {"body": format!("{SECRET}-2")}})).unwrap();
    let retried = other.handles.gateway.ask(RetryEdited { id: died, edit }).await.unwrap().unwrap();
    assert!(is_sealed(&stored(&other, retried.id).await));
    let shown = json!(other.job(retried.id).await).to_string();
    assert!(!shown.contains(SECRET), "{shown}");

    let run = other.handles.gateway.ask(RunCron { name: "yearly".into() }).await.unwrap().unwrap();
    let payload = stored(&other, run.job_id).await;
    assert!(is_sealed(&payload), "{payload}");
    other.reaches(run.job_id, JobState::Completed).await;
    other.stop().await;
}

/// The same type on a node of another version, whose bodies are numbers.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Numbered {
    body: u32,
    fails: bool,
}

impl Job for Numbered {
    const TYPE: &'static str = "letter";

    type Output = ();

    async fn run(self, _: &JobContext) -> Result<(), JobError> {
        Ok(())
    }
}

#[tokio::test]
async fn what_was_encrypted_is_not_told_by_a_run_that_cannot_read_it() {
    let folder = Folder::new();
    let knows = node(&folder, true).await;
    let letter = json!({"type": "letter", "payload": {"body": SECRET, "fails": true}});
    let died = knows.submit_all(vec![letter]).await[0];
    knows.reaches(died, JobState::Discarded).await;
    knows.stop().await;

    let types = JobRegistry::builder().register::<Numbered>();
    let other = Node::start(folder.store(), types, |config| config.keys = keys()).await;
    let replay = other.handles.gateway.ask(RetryJob { id: died }).await.unwrap().unwrap();
    let ended = other.reaches(replay.id, JobState::Discarded).await;
    let told = json!(ended.attempts).to_string();
    assert!(told.contains("does not fit") && !told.contains(SECRET), "{told}");
    other.stop().await;
}

/// A letter whose text had another name before.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Renamed {
    #[schemars(extend("x-secret" = true))]
    body: String,
}

impl Job for Renamed {
    const TYPE: &'static str = "renamed";

    type Output = ();

    fn upcast(mut payload: Map<String, Value>) -> Option<Map<String, Value>> {
        let text = payload.remove("text")?;
        payload.insert("body".to_owned(), text);
        Some(payload)
    }

    async fn run(self, _: &JobContext) -> Result<(), JobError> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_of_an_earlier_form_are_not_what_submissions_are_compared_by() {
    let folder = Folder::new();
    let types = JobRegistry::builder().register::<Renamed>();
    let node = Node::start(folder.store(), types, |config| config.keys = keys()).await;
    let id = Uuid::now_v7();
    for (field, duplicate) in [("one", false), ("other", true)] {
        let job = json!({"id": id, "type": "renamed", "payload": {"text": format!("{SECRET}-{field}")}});
        assert_eq!(node.submit(job).await.unwrap().duplicate, duplicate);
    }
    assert!(is_sealed(&stored(&node, id).await));
    node.stop().await;
}
