//! Signals to jobs on other nodes, and what these show: several processes on one database, some of them killed.
//!
//! The program itself has no job type that waits for signals. So the nodes that run jobs here are processes of this test, with a
//! type of their own; whoever sends and asks goes through a server, the real program.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, stdin},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Barrier,
    thread,
    time::Duration,
};

use callboard::{
    App,
    contracts::api::SubmitJob,
    jobs::{Job, JobContext, JobError},
    roles::{Role, RoleSet},
};
use callboard_testsupport::Database;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli::{code, err, out},
    events::Follower,
    fleet_nodes::options,
    server::{Answer, Options, Server, eventually},
};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8001";
/// That this process is a node, its name, its database, and the job that it submits.
const NODE: [&str; 4] = ["SIGNALS_NODE", "SIGNALS_DATABASE", "SIGNALS_FOLDER", "SIGNALS_SUBMIT"];

/// Waits for an approval, and then for a release.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Approval {}

impl Job for Approval {
    const TYPE: &'static str = "approval";
    type Output = Value;

    async fn run(self, cx: &JobContext) -> Result<Value, JobError> {
        cx.publish_state(&json!({ "waiting_for": "approval", "on": cx.node() }))?;
        let approval = cx.signal("approve").await?;
        cx.publish_state(&json!({ "approved_by": approval.by(), "on": cx.node() }))?;
        let release = cx.signal("release").await?;
        cx.acknowledge(&release).await?;
        Ok(json!({ "by": approval.by(), "taken_before": approval.taken_before(), "value": approval.value() }))
    }
}

/// A node in a process of its own. Dropped, it is killed.
struct Node {
    process: Child,
    _folder: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Node {
    /// Starts one that runs jobs, and waits until it does; it submits the job if that is wanted.
    fn start(database: &Database, name: &str, submits: bool) -> Self {
        let folder = TempDir::new().expect("a folder");
        let test = std::env::current_exe().expect("the test's program");
        let mut command = Command::new(test);
        command.args(["signals::a_node_of_another_process", "--exact", "--ignored", "--nocapture"]);
        command.env(NODE[0], name).env(NODE[1], database.url()).env(NODE[2], folder.path());
        if submits {
            command.env(NODE[3], ID);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut said = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let ready = said.any(|line| line.is_ok_and(|line| line.ends_with("it is ready")));
        assert!(ready, "{name} does not start");
        Node { process, _folder: folder }
    }

    /// As a power cut would.
    fn kill(mut self) {
        self.process.kill().expect("it is there");
        self.process.wait().expect("an end");
    }
}

/// No test: what [`Node::start`] starts. It ends with its input.
#[test]
#[ignore = "a process that other tests start"]
fn a_node_of_another_process() {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(name), Some(url), Some(folder)) = (variable(NODE[0]), variable(NODE[1]), variable(NODE[2]))
    else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let app = App::builder()
            .postgres(url)
            .data_dir(Path::new(&folder))
            .configure(|settings| {
                settings.system.node_name = Some(name);
                settings.rescuer.session_ttl = Duration::from_secs(2);
                settings.rescuer.heartbeat = Duration::from_millis(300);
            })
            .roles(RoleSet::new([Role::Processor, Role::Gateway]).expect("roles"))
            .job::<Approval>();
        let app = app.start().await.expect("it starts");
        if let Some(id) = variable(NODE[3]) {
            let id = id.parse().expect("an id");
            let job = SubmitJob {
                id: Some(id),
                job_type: Approval::TYPE.to_owned(),
                max_attempts: Some(5),
                ..SubmitJob::default()
            };
            app.submit_job(job).await.expect("it is stored");
        }
        println!("it is ready");
        // The thread ends with the process.
        let over = tokio::task::spawn_blocking(|| stdin().read_to_end(&mut Vec::new()));
        let _ = over.await;
        app.stop().await;
    });
}

fn server(database: &Database, name: &str) -> Server {
    Server::start(&options(database, name, &["--roles", "gateway,read-model,leader"]))
}

fn get(server: &Server, path: &str) -> Value {
    let answer = server.get(&format!("/api/v1/jobs/{ID}{path}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn send(server: &Server, body: &Value) -> Answer {
    server.post(&format!("/api/v1/jobs/{ID}/signals"), &body.to_string())
}

fn sent(server: &Server, body: &Value) -> Value {
    let answer = send(server, body);
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

/// Waits until the job shows this, and on which node.
fn shows(server: &Server, key: &str, node: &str) -> Value {
    let mut state = Value::Null;
    eventually(&format!("{key} on {node}"), || {
        state = get(server, "/state");
        let shown = &state["published"]["value"];
        shown.get(key).is_some() && shown["on"] == node
    });
    state
}

#[test]
fn an_approval_reaches_the_node_that_runs_the_job_and_outlives_it() {
    let database = Database::create();
    let alpha = server(&database, "alpha");
    let beta = Node::start(&database, "beta", true);
    let state = shows(&alpha, "waiting_for", "beta");
    assert_eq!((&state["state"], &state["published"]["attempt"]), (&json!("executing"), &json!(1)));
    let first = sent(&alpha, &json!({ "name": "approve", "value": { "limit": 7 } }));
    assert_eq!((&first["number"], &first["state"]), (&json!(1), &json!("executing")));
    shows(&alpha, "approved_by", "beta");
    let gamma = Node::start(&database, "gamma", false);
    beta.kill();
    // The next attempt has the approval, and nobody is asked again.
    let state = shows(&alpha, "approved_by", "gamma");
    assert_eq!(state["published"]["attempt"], 2);
    sent(&alpha, &json!({ "name": "release" }));
    eventually("the end", || get(&alpha, "")["state"] == "completed");
    let by = state["published"]["value"]["approved_by"].clone();
    let expected = json!({ "by": by, "taken_before": 1, "value": { "limit": 7 } });
    assert_eq!(get(&alpha, "")["result"], expected);
    let signals = get(&alpha, "/signals")["signals"].clone();
    assert_eq!(signals[0]["taken"]["attempt"], 2, "{signals}");
    assert!(signals[1]["acknowledged_at"].is_string() && signals[0].get("acknowledged_at").is_none());
    let late = send(&alpha, &json!({ "name": "approve" }));
    assert_eq!((late.status, &late.json()["type"]), (409, &json!("urn:callboard:problem:wrong-state")));
    let audit = alpha.get("/api/v1/audit").json();
    let deeds: Vec<&Value> = audit["entries"].as_array().expect("entries").iter().collect();
    let of_signals = deeds.iter().filter(|deed| deed["action"] == "job.signal" && deed["target"] == ID);
    assert_eq!(of_signals.count(), 3, "{audit}");
    let (mut follower, _) = Follower::open(&alpha, "", Some("1-0"));
    let told = std::iter::from_fn(|| follower.frame()).find(|frame| frame.event == "job.signalled");
    let told = told.expect("the event");
    assert_eq!(told.data["event"]["payload"]["signal"]["name"], "approve", "{}", told.data);
    drop(gamma);
}

#[test]
fn of_many_senders_through_two_servers_each_is_heard_once() {
    let database = Database::create();
    let (alpha, delta) = (server(&database, "alpha"), server(&database, "delta"));
    let _beta = Node::start(&database, "beta", true);
    shows(&alpha, "waiting_for", "beta");
    let barrier = Barrier::new(8);
    let same = json!({ "id": "01890a5d-ac96-774b-bcce-b302099a8002", "name": "approve", "value": 1 });
    let answers: Vec<Value> = thread::scope(|scope| {
        let senders: Vec<_> = [&alpha, &delta]
            .into_iter()
            .cycle()
            .take(8)
            .map(|server| {
                scope.spawn(|| {
                    barrier.wait();
                    sent(server, &same)
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().expect("an answer")).collect()
    });
    assert!(answers.iter().all(|answer| answer["number"] == 1), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.get("duplicate").is_none()).count(), 1, "{answers:?}");
    let other = json!({ "id": "01890a5d-ac96-774b-bcce-b302099a8002", "name": "approve", "value": 2 });
    let refused = send(&delta, &other);
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (409, &json!("urn:callboard:problem:signal-conflict"))
    );
    // No more than may wait, however many send them.
    let statuses: Vec<u16> = thread::scope(|scope| {
        let senders = [&alpha, &delta].map(|server| {
            scope.spawn(|| {
                let send = |number| send(server, &json!({ "name": "other", "value": number })).status;
                (0..50).map(send).collect::<Vec<_>>()
            })
        });
        senders.into_iter().flat_map(|sender| sender.join().expect("answers")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 63, "{statuses:?}");
    assert!(statuses.iter().all(|status| [202, 429].contains(status)), "{statuses:?}");
    let signals = get(&delta, "/signals")["signals"].clone();
    let numbers: BTreeSet<u64> =
        signals.as_array().expect("signals").iter().map(|one| one["number"].as_u64().unwrap_or(0)).collect();
    assert!(numbers.into_iter().eq(1..=64), "{signals}");
}

#[test]
fn people_signal_jobs_on_the_command_line() {
    let database = Database::create();
    let alpha = server(&database, "alpha");
    let none = alpha.cli(&["jobs", "signals", ID]);
    assert!(code(&none) != 0 && err(&none).contains("there is no job"), "{}", err(&none));
    let _beta = Node::start(&database, "beta", true);
    shows(&alpha, "waiting_for", "beta");
    let state = out(&alpha.cli(&["jobs", "state", ID]));
    assert!(state.starts_with("{\"on\":\"beta\",\"waiting_for\":\"approval\"}  at "), "{state}");
    let shown = out(&alpha.cli(&["jobs", "show", ID]));
    assert!(shown.lines().any(|line| line.starts_with("state      {\"on\":\"beta\"")), "{shown}");
    let file = alpha.data.join("approval.json");
    std::fs::write(&file, "{ \"note\":\n \"it looks good\" }").expect("written");
    let file = file.to_str().expect("UTF-8");
    let signal = ["jobs", "signal", ID, "approve", "--file", file, "--signal-id", ID];
    assert_eq!(out(&alpha.cli(&signal)), format!("{ID}  executing  signal 1\n"));
    assert_eq!(out(&alpha.cli(&signal)), format!("{ID}  executing  signal 1  it was there already\n"));
    for (arguments, says) in [
        (&["approve", "{"][..], "what the signal says is no JSON"),
        (&["Approve"], "is no valid name of a signal"),
        (&["approve", "--file", "/nowhere"], "/nowhere cannot be read"),
    ] {
        let refused = alpha.cli(&[&["jobs", "signal", ID], arguments].concat());
        assert!(code(&refused) != 0 && err(&refused).contains(says), "{}", err(&refused));
    }
    let released = alpha.json(&["jobs", "signal", ID, "release", "\"now\"", "--json"]);
    assert_eq!(released["number"], 2);
    eventually("the end", || get(&alpha, "")["state"] == "completed");
    let listed = out(&alpha.cli(&["jobs", "signals", ID]));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("1  approve  {\"note\":\"it looks good\"}  by "), "{listed}");
    assert!(
        lines[0].contains("  taken by attempt 1 at ") && lines[1].contains("  acknowledged at "),
        "{listed}"
    );
    let late = alpha.cli(&["jobs", "signal", ID, "approve"]);
    assert!(code(&late) != 0 && err(&late).contains("the job is completed"), "{}", err(&late));
}

/// What the log says is followed through a server that does not run the job.
#[test]
fn a_log_is_followed_on_another_node() {
    let database = Database::create();
    let allowed = ["--set", "command.programs=[\"sh\"]"];
    let roles = ["--roles", "gateway,read-model,leader"];
    let alpha = Server::start(&options(&database, "alpha", &[roles, allowed].concat()));
    let beta = Server::worker(&options(&database, "beta", &allowed));
    let gate = beta.data.join("gate");
    let script = "echo first; while ! test -e \"$1\"; do sleep 0.02; done; echo last";
    let args = ["-c", script, "sh", gate.to_str().expect("UTF-8")];
    let job = json!({ "type": "command", "id": ID, "payload": { "program": "sh", "args": args } });
    let answer = alpha.post("/api/v1/jobs", &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    let mut follower = alpha.command(&["jobs", "logs", ID, "--follow"]);
    let mut follower = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("a line");
    assert!(first.ends_with("  stdout  first"), "{first}");
    let detail = get(&alpha, "");
    assert_eq!(detail["state"], "executing", "it is seen before the end: {detail}");
    std::fs::write(&gate, "").expect("written");
    let rest: Vec<String> = lines.map(|line| line.expect("a line")).collect();
    assert!(rest.len() == 1 && rest[0].ends_with("  stdout  last"), "{rest:?}");
    assert_eq!(follower.wait().expect("an end").code(), Some(0));
    assert_eq!(get(&alpha, "")["attempts"][0]["node"], "beta");
}

#[test]
fn viewers_look_and_operators_signal() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("callboard.toml");
    let token = |role: &str| {
        format!("[[web.tokens]]\nname = \"{role}'s\"\nrole = \"{role}\"\ntoken = \"{role}-secret-1\"\n")
    };
    let tokens: String = ["viewer", "operator"].map(token).concat();
    std::fs::write(&file, tokens).expect("a file");
    let server = Server::start(&Options::arguments(&["--config", file.to_str().expect("UTF-8")]));
    let ask = |role: Option<&str>, method: &str, path: &str, body: &str| {
        let token = role.map(|role| format!("Bearer {role}-secret-1"));
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(token.as_deref().map(|token| ("Authorization", token)));
        server.request(method, path, &headers, body)
    };
    let job = json!({ "type": "sleep", "id": ID, "payload": { "ms": 600_000 } }).to_string();
    assert_eq!(ask(Some("operator"), "POST", "/api/v1/jobs", &job).status, 202);
    let (signals, state) = (format!("/api/v1/jobs/{ID}/signals"), format!("/api/v1/jobs/{ID}/state"));
    let approve = r#"{"name":"approve","value":{"note":"x"}}"#;
    assert_eq!(ask(None, "POST", &signals, approve).status, 401);
    let refused = ask(Some("viewer"), "POST", &signals, approve);
    assert_eq!((refused.status, &refused.json()["type"]), (403, &json!("urn:callboard:problem:forbidden")));
    assert_eq!(ask(Some("operator"), "POST", &signals, approve).status, 202);
    for path in [&signals, &state] {
        assert_eq!(ask(None, "GET", path, "").status, 401);
        assert_eq!(ask(Some("viewer"), "GET", path, "").status, 200);
    }
    let seen = ask(Some("viewer"), "GET", &signals, "").json();
    assert_eq!(
        (&seen["signals"][0]["by"], seen["signals"].as_array().map(Vec::len)),
        (&json!("operator's"), Some(1))
    );
    assert_eq!(ask(Some("viewer"), "GET", &state, "").json().get("published"), None);
    let audit = ask(Some("viewer"), "GET", "/api/v1/audit", "").json();
    let entry = &audit["entries"][0];
    let expected = (&json!("job.signal"), &json!("operator's"), &json!(ID));
    assert_eq!((&entry["action"], &entry["by"], &entry["target"]), expected, "{audit}");
    assert_eq!((&entry["detail"]["name"], entry["detail"].get("value")), (&json!("approve"), None));
    // What cannot be says what could.
    let large = json!({ "name": "a", "value": "x".repeat(16 * 1024) }).to_string();
    let missing = signals.replace("8001", "8009");
    for (path, body, status, kind, says) in [
        (&signals, r#"{"value":1}"#, 400, "malformed", "missing field `name`"),
        (&signals, r#"{"name":"a","payload":1}"#, 400, "malformed", "unknown field `payload`"),
        (&signals, "[", 400, "malformed", ""),
        (&signals, r#"{"name":"a b"}"#, 422, "invalid", "\"a b\" is no valid name of a signal"),
        (&signals, &large, 413, "too-large", "16386 bytes of JSON; 16384 are allowed"),
        (&missing, approve, 404, "not-found", "there is no job"),
        (&"/api/v1/jobs/x/signals".to_owned(), approve, 400, "malformed", ""),
    ] {
        let answer = ask(Some("operator"), "POST", path, body);
        let problem = answer.json();
        let expected = json!(format!("urn:callboard:problem:{kind}"));
        assert_eq!((answer.status, &problem["type"]), (status, &expected), "{body}: {answer:?}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{problem}");
    }
    for path in [missing, state.replace("8001", "8009")] {
        assert_eq!(ask(Some("viewer"), "GET", &path, "").status, 404);
    }
}
