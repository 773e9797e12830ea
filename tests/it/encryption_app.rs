//! Secrets of the job types of an embedding program: marked in their schemas, encrypted in its store, there when they run.
#![cfg(feature = "testkit")]

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use callboard::{
    App, AppBuilder, AppError,
    config::EncryptionKeySettings,
    contracts::api::{SubmitJob, SubmitWorkflow, Unique, UniquePolicy},
    jobs::{Job, JobContext, JobError, Refusal, step},
    testing::TestApp,
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// What the runs were given.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

/// Logs somebody in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Login {
    user: String,
    #[schemars(extend("x-secret" = true))]
    password: String,
}

/// What a login gives.
#[derive(Serialize, JsonSchema)]
struct Session {
    user: String,
    #[schemars(extend("x-secret" = true))]
    token: String,
}

impl Job for Login {
    const TYPE: &'static str = "login";
    type Output = Session;

    async fn run(self, cx: &JobContext) -> Result<Session, JobError> {
        cx.state::<Seen>()?.0.lock().push(self.password.clone());
        Ok(Session { user: self.user, token: format!("token-of-{}", self.password) })
    }
}

/// Uses what the login before it gave.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Fetch {}

impl Job for Fetch {
    const TYPE: &'static str = "fetch";
    type Output = ();

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        for result in cx.step_results().await? {
            let token =
                result.result.as_ref().and_then(|result| result["token"].as_str()).unwrap_or_default();
            cx.state::<Seen>()?.0.lock().push(token.to_owned());
        }
        Ok(())
    }
}

/// A program with a key, and perhaps one by which secrets are compared.
fn app(folder: &TempDir, fingerprints: bool) -> (AppBuilder, Seen) {
    let key = |name: &str, byte: &str| {
        let file = folder.path().join(name);
        fs::write(&file, byte.repeat(32)).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
        EncryptionKeySettings { name: name.to_owned(), file: Some(file), env: None }
    };
    let keys = vec![key("one", "ab"), key("compare", "cd")];
    let seen = Seen::default();
    let app = App::builder().job::<Login>().job::<Fetch>().state(seen.clone()).configure(move |settings| {
        settings.encryption.keys = keys;
        settings.encryption.current = Some("one".to_owned());
        settings.encryption.fingerprint_key = fingerprints.then(|| "compare".to_owned());
    });
    (app, seen)
}

fn login(password: &str) -> Login {
    Login { user: "ada".to_owned(), password: password.to_owned() }
}

fn submission(id: Option<Uuid>, password: &str, unique: Option<Unique>) -> SubmitJob {
    let Ok(Value::Object(payload)) = serde_json::to_value(login(password)) else { panic!("an object") };
    SubmitJob { id, job_type: "login".to_owned(), payload, unique, ..SubmitJob::default() }
}

#[tokio::test]
async fn what_a_schema_marks_is_encrypted_until_the_job_or_the_next_step_has_it() {
    let folder = TempDir::new().expect("a folder");
    let (app, seen) = app(&folder, false);
    let app = TestApp::start(app).await;
    let workflow = SubmitWorkflow {
        steps: vec![
            step("login", &login("hunter2")).expect("an object"),
            step("fetch", &Fetch {}).expect("an object").waits_for(["login"]),
        ],
        ..SubmitWorkflow::default()
    };
    app.workflows().submit(workflow).await.expect("it is accepted");
    let waiting = app.expect_enqueued::<Login>(|job| job.password == "hunter2").await;
    let stored = app.store().job(waiting.id).await.expect("it is read").expect("it is there").job.payload;
    assert!(!stored.contains("hunter2") && stored.contains(r#""user":"ada""#), "{stored}");
    app.drain().await;
    assert_eq!(*seen.0.lock(), ["hunter2", "token-of-hunter2"]);
    let stored = app.store().job(waiting.id).await.expect("it is read").expect("it is there").job;
    let result = stored.result.expect("a result");
    assert!(!result.contains("token-of") && result.contains(r#""user":"ada""#), "{result}");
    let shown = app.job(waiting.id).await.expect("it is there");
    let hidden = json!({ "$redacted": true });
    assert_eq!((&shown.payload["password"], &shown.result.expect("a result")["token"]), (&hidden, &hidden));
    app.stop().await;
}

#[tokio::test]
async fn secrets_are_compared_where_there_is_a_key_for_that() {
    let by_password = || Some(Unique::with(UniquePolicy::Reject).fields(["/password"]));
    for fingerprints in [false, true] {
        let folder = TempDir::new().expect("a folder");
        let (app, _) = app(&folder, fingerprints);
        let app = TestApp::start(app).await;
        let id = Some(Uuid::now_v7());
        app.submit_job(submission(id, "one", None)).await.expect("it is new");
        assert!(app.submit_job(submission(id, "one", None)).await.expect("it is the same").duplicate);
        let other = app.submit_job(submission(id, "two", None)).await;
        let unique = app.submit_job(submission(None, "three", by_password())).await;
        if fingerprints {
            assert!(matches!(other, Err(AppError::Refused(Refusal::Conflict(_)))), "{other:?}");
            unique.expect("it is the first of its kind");
            let again = app.submit_job(submission(None, "three", by_password())).await;
            assert!(matches!(again, Err(AppError::Refused(_))), "{again:?}");
            app.submit_job(submission(None, "four", by_password())).await.expect("it is of another kind");
        } else {
            assert!(other.expect("its secret is not compared").duplicate);
            let error = unique.expect_err("it cannot be compared").to_string();
            assert!(error.contains("encryption.fingerprint_key"), "{error}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_not_quoted() {
    let folder = TempDir::new().expect("a folder");
    let (app, _) = app(&folder, false);
    let app = TestApp::start(app).await;
    for password in [json!(4711_4711), json!({ "is": "hunter2" }), json!(["hunter2"])] {
        let mut job = submission(None, "", None);
        job.payload.insert("password".to_owned(), password);
        let error = app.submit_job(job).await.expect_err("it does not fit").to_string();
        assert!(error.contains("/payload/password"), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("4711"), "{error}");
    }
    app.stop().await;
}
