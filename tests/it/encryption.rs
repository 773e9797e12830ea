//! Secrets of jobs on the real program: where they must not be found, who sees them, and what becomes of jobs whose keys are
//! rotated, missing, or others.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use callboard_testsupport::Database;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::server::{Options, Server, callboard, eventually};

/// What nobody is to find.
const SECRET: &str = "hunter2-Xq7vLm9";
const TYPES: &str =
    r#"types = [{ name = "command", fields = ["/stdin", "/env/*"], results = ["*"], required = true }]"#;
const TOKENS: [(&str, &str); 3] =
    [("viewer", "viewer-secret-1"), ("operator", "operator-secret-2"), ("admin", "admin-secret-3")];

/// A folder with key files, and a configuration that names some of them.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        Keys(TempDir::new().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A key of this name that is made of a byte.
    fn write(&self, name: &str, byte: u8) {
        let file = self.path(name);
        fs::write(&file, format!("{}\n", format!("{byte:02x}").repeat(32))).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    /// A configuration with these keys, of which the first is the current one.
    fn configure(&self, file: &str, keys: &[&str], more: &str) -> PathBuf {
        let tables: Vec<String> = keys
            .iter()
            .map(|name| format!("{{ name = \"{name}\", file = \"{}\" }}", self.path(name).display()))
            .collect();
        let current = keys.first().copied().unwrap_or_default();
        let text = format!(
            "[command]\nprograms = [\"sha256sum\", \"false\"]\n[encryption]\nkeys = [{}]\ncurrent = \"{current}\"\n{more}\n",
            tables.join(", ")
        );
        let path = self.path(file);
        // Whole at once: a server may read it at any moment.
        let draft = self.path("draft");
        fs::write(&draft, text).expect("a file");
        fs::rename(draft, &path).expect("it is in its place");
        path
    }
}

fn options(config: &Path, database: Option<&Database>) -> Options {
    let mut options = Options::arguments(&["--config", config.to_str().expect("UTF-8")]);
    for setting in ["rescuer.session_ttl=2s", "rescuer.heartbeat=300ms", "rescuer.interval=300ms"] {
        options.arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    if let Some(database) = database {
        options.arguments.extend(["--set".to_owned(), "store.backend=postgres".to_owned()]);
        options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
    }
    options
}

fn ask(server: &Server, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = server.request(method, path, &headers, &body);
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

fn job(server: &Server, id: &str) -> Value {
    ask(server, TOKENS[2].1, "GET", &format!("/api/v1/jobs/{id}"), &Value::Null).1
}

fn submit(server: &Server, program: &str, secret: &str) -> String {
    let submission = json!({
        // An attempt that dies with its server counts.
        "type": "command", "max_attempts": if program == "false" { 1 } else { 5 },
        "payload": { "program": program, "stdin": secret, "env": { "TOKEN": secret } },
    });
    let (status, answer) = ask(server, TOKENS[2].1, "POST", "/api/v1/jobs", &submission);
    assert_eq!(status, 202, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

fn reaches(server: &Server, id: &str, state: &str) -> Value {
    let mut last = Value::Null;
    eventually(&format!("job {id} is {state}"), || {
        last = job(server, id);
        assert!(state == "discarded" || last["state"] != "discarded", "{last}");
        last["state"] == state
    });
    last
}

/// No job is claimed from now on. The queue is known once the server has its session.
fn pause(server: &Server) {
    eventually("the queue is paused", || {
        ask(server, TOKENS[2].1, "POST", "/api/v1/queues/default/pause", &json!({})).0 == 200
    });
}

fn reveal(server: &Server, id: &str) -> Value {
    let (status, shown) =
        ask(server, TOKENS[2].1, "GET", &format!("/api/v1/jobs/{id}?reveal=true"), &Value::Null);
    assert_eq!(status, 200, "{shown}");
    shown
}

fn digest(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// That the run was given the secret itself.
fn ran_with(server: &Server, id: &str, secret: &str) {
    let shown = reveal(server, id);
    assert_eq!(shown["payload"]["stdin"], secret, "{shown}");
    assert!(shown["result"].to_string().contains(&digest(secret)), "{shown}");
}

fn store(arguments: &[&str], config: &Path, data: &Path, database: Option<&Database>) -> Output {
    let mut command: Command = callboard();
    command.arg("store").args(arguments).arg("--config").arg(config).arg("--data").arg(data);
    if let Some(database) = database {
        command.env("CALLBOARD__STORE__URL", database.url()).args(["--set", "store.backend=postgres"]);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    output
}

fn tokens() -> String {
    let token = |(role, token): &(&str, &str)| {
        format!("[[web.tokens]]\nname = \"{role}'s\"\nrole = \"{role}\"\ntoken = \"{token}\"\n")
    };
    TOKENS.iter().map(token).collect()
}

/// Everything in the files of a folder.
fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        // Each attempt's folder is gone with the attempt.
        match path.is_dir() {
            true => all.extend(bytes_below(&path)),
            false => all.extend(fs::read(path).unwrap_or_default()),
        }
    }
    all
}

/// Everything in the tables of a database.
fn rows_of(database: &Database) -> Vec<u8> {
    let tables =
        database.psql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'callboard'");
    let tables = tables.lines().map(str::trim).filter(|name| !name.is_empty());
    let rows = tables.map(|table| database.psql(&format!("SELECT t::text FROM callboard.{table} t")));
    rows.collect::<String>().into_bytes()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

fn nobody_finds_it(database: Option<&Database>) {
    let keys = Keys::new();
    keys.write("one", 1);
    let more = format!("{TYPES}\n[log]\nlevel = \"trace\"\n{}", tokens());
    let config = keys.configure("callboard.toml", &["one"], &more);
    let server = Server::start(&options(&config, database));
    let id = submit(&server, "sha256sum", SECRET);
    let dead = submit(&server, "false", SECRET);
    reaches(&server, &id, "completed");
    reaches(&server, &dead, "discarded");
    ran_with(&server, &id, SECRET);
    // What does not fit is told without it, too; and a second submission under the id is another one only if it can be compared.
    let admin = TOKENS[2].1;
    for wrong in [
        json!({ "type": "command", "payload": { "program": "sha256sum", "stdin": { "pin": SECRET } } }),
        json!({ "type": "command", "payload": SECRET }),
        json!({ "type": "command", "payload": { "program": "sha256sum", "stdin": SECRET, "args": 7 } }),
        json!({ "type": "command", "payload": { "program": "sha256sum", "env": { "A": [SECRET] } } }),
    ] {
        let (status, answer) = ask(&server, admin, "POST", "/api/v1/jobs", &wrong);
        assert_eq!(status, 422, "{answer}");
        assert!(!answer.to_string().contains(SECRET), "{answer}");
    }
    let unique = json!({
        "type": "command", "unique": { "payload": ["/stdin"] },
        "payload": { "program": "sha256sum", "stdin": SECRET },
    });
    let (status, answer) = ask(&server, admin, "POST", "/api/v1/jobs", &unique);
    assert_eq!(status, 422, "{answer}");
    assert!(answer.to_string().contains("encryption.fingerprint_key"), "{answer}");
    for reserved in [json!({ "$encrypted": "v1.one.a.b.c" }), json!({ "$redacted": true })] {
        let submission =
            json!({ "type": "command", "payload": { "program": "sha256sum", "env": { "A": reserved } } });
        let (status, answer) = ask(&server, admin, "POST", "/api/v1/jobs", &submission);
        assert_eq!(status, 422, "{answer}");
    }
    // Who sees what.
    let hidden = json!({ "$redacted": true });
    for (role, token) in TOKENS {
        let path = format!("/api/v1/jobs/{id}");
        let (_, shown) = ask(&server, token, "GET", &path, &Value::Null);
        assert_eq!(
            shown["payload"],
            json!({ "program": "sha256sum", "stdin": hidden, "env": { "TOKEN": hidden } })
        );
        assert_eq!(shown["result"], hidden, "{role}");
        let (status, _) = ask(&server, token, "GET", &format!("{path}?reveal=true"), &Value::Null);
        assert_eq!(status, if role == "admin" { 200 } else { 403 }, "{role}");
        let (status, _) = ask(&server, token, "POST", "/api/v1/encryption/rotate", &json!({}));
        assert_eq!(status, if role == "admin" { 200 } else { 403 }, "{role}");
    }
    let (_, trail) = ask(&server, admin, "GET", "/api/v1/audit", &Value::Null);
    let revealed: Vec<&Value> = trail["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["action"] == "job.reveal")
        .collect();
    assert_eq!(revealed.len(), 2, "{trail}");
    assert_eq!((&revealed[0]["by"], &revealed[0]["target"]), (&json!("admin's"), &json!(id)));
    // Run again with a change by somebody to whom the secret was not shown.
    let edited =
        json!({ "payload": { "program": "sha256sum", "stdin": hidden, "env": { "TOKEN": hidden } } });
    // What is around a secret decides where it goes, so that is for those who may see it.
    let retry = format!("/api/v1/jobs/{dead}/retry");
    for kept in [edited.clone(), json!({ "patch": { "program": "sha256sum" } })] {
        let (status, refused) = ask(&server, TOKENS[1].1, "POST", &retry, &kept);
        assert_eq!(status, 403, "{refused}");
        assert!(refused["detail"].as_str().is_some_and(|why| why.contains("role admin")), "{refused}");
    }
    let (status, replay) = ask(&server, admin, "POST", &retry, &edited);
    assert_eq!(status, 200, "{replay}");
    let replay = replay["id"].as_str().expect("an id").to_owned();
    reaches(&server, &replay, "completed");
    ran_with(&server, &replay, SECRET);
    let patched = json!({ "patch": { "program": "sha256sum", "stdin": "another-Zk3wPq8", "env": { "TOKEN": "another-Zk3wPq8" } } });
    let (status, again) = ask(&server, TOKENS[1].1, "POST", &retry, &patched);
    assert_eq!(status, 200, "{again}");
    let again = again["id"].as_str().expect("an id").to_owned();
    reaches(&server, &again, "completed");
    ran_with(&server, &again, "another-Zk3wPq8");
    let edits = job(&server, &again)["edits"].clone();
    assert_eq!(
        edits[0]["patch"],
        json!({ "program": "sha256sum", "stdin": hidden, "env": { "TOKEN": hidden } }),
        "{edits}"
    );
    let (_, compared) = ask(&server, admin, "GET", &format!("/api/v1/jobs/{dead}/compare"), &Value::Null);
    let differs = compared["differences"].as_array().expect("differences");
    assert!(differs.iter().any(|place| place["pointer"] == "/stdin"), "{compared}");
    // A patch of many, by whom secrets are not shown to, leaves them alone.
    let spared = json!({
        "action": "retry", "filter": { "state": ["discarded"] }, "patch": { "program": "sha256sum" },
    });
    let (status, begun) = ask(&server, TOKENS[1].1, "POST", "/api/v1/bulk", &spared);
    assert_eq!(status, 202, "{begun}");
    let path = format!("/api/v1/bulk/{}", begun["id"].as_str().expect("an id"));
    let mut ended = Value::Null;
    eventually("the bulk operation has spared the job", || {
        ended = ask(&server, admin, "GET", &path, &Value::Null).1;
        ended["state"] == "done"
    });
    assert_eq!(ended["outcomes"], json!({ "invalid": 1 }), "{ended}");
    assert!(
        ended["problems"][0]["message"].as_str().is_some_and(|why| why.contains("role admin")),
        "{ended}"
    );
    // A patch of many.
    let bulk = json!({
        "action": "retry", "filter": { "state": ["discarded"] }, "patch": { "stdin": "third-Bv5nRt2" },
    });
    let (status, refused) = ask(&server, admin, "POST", "/api/v1/bulk", &bulk);
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/filter/type")), "{refused}");
    let mut bulk = bulk;
    bulk["filter"]["type"] = json!("command");
    bulk["patch"]["program"] = json!("sha256sum");
    let (status, begun) = ask(&server, admin, "POST", "/api/v1/bulk", &bulk);
    assert_eq!(status, 202, "{begun}");
    assert_eq!(begun["patch"], json!({ "program": "sha256sum", "stdin": hidden }));
    let path = format!("/api/v1/bulk/{}", begun["id"].as_str().expect("an id"));
    let mut outcomes = Value::Null;
    eventually("the bulk operation is done", || {
        let (_, bulk) = ask(&server, admin, "GET", &path, &Value::Null);
        outcomes = bulk["outcomes"].clone();
        bulk["state"] == "done"
    });
    assert_eq!(outcomes, json!({ "replayed": 1 }));
    // Sent again it is the same one, though its secret would be encrypted to another text.
    bulk["id"] = begun["id"].clone();
    let (status, known) = ask(&server, admin, "POST", "/api/v1/bulk", &bulk);
    assert_eq!((status, &known["id"], &known["state"]), (202, &begun["id"], &json!("done")), "{known}");
    bulk["patch"]["program"] = json!("false");
    assert_eq!(ask(&server, admin, "POST", "/api/v1/bulk", &bulk).0, 409);
    // The cron table.
    let entry = json!({
        "expression": "0 0 1 1 *",
        "job": { "type": "command", "payload": { "program": "sha256sum", "stdin": SECRET } },
    });
    let (status, put) = ask(&server, admin, "PUT", "/api/v1/cron/yearly", &entry);
    assert_eq!(status, 200, "{put}");
    assert_eq!(put["definition"]["job"]["payload"]["stdin"], hidden, "{put}");
    let mut changed = entry;
    changed["expression"] = json!("0 0 2 1 *");
    changed["job"]["payload"]["stdin"] = hidden.clone();
    let mut elsewhere = changed.clone();
    elsewhere["job"]["payload"]["program"] = json!("false");
    let (status, refused) = ask(&server, TOKENS[1].1, "PUT", "/api/v1/cron/yearly", &elsewhere);
    assert_eq!(status, 403, "{refused}");
    assert_eq!(ask(&server, admin, "PUT", "/api/v1/cron/yearly", &changed).0, 200);
    let (status, ran) = ask(&server, admin, "POST", "/api/v1/cron/yearly/run", &json!({}));
    assert_eq!(status, 202, "{ran}");
    let ran = ran["job_id"].as_str().expect("an id").to_owned();
    reaches(&server, &ran, "completed");
    ran_with(&server, &ran, SECRET);
    // A workflow, and a request with a key.
    let payload = json!({ "program": "sha256sum", "stdin": SECRET });
    let workflow = json!({
        "steps": [
            { "name": "first", "type": "command", "payload": payload },
            { "name": "second", "after": ["first"], "type": "noop" },
        ],
        "on_end": { "type": "command", "payload": payload },
    });
    let (status, submitted) = ask(&server, admin, "POST", "/api/v1/workflows", &workflow);
    assert_eq!(status, 202, "{submitted}");
    let bearer = format!("Bearer {admin}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", bearer.as_str()),
        ("Idempotency-Key", "a-key"),
    ];
    let keyed = json!({ "type": "command", "payload": payload }).to_string();
    let first = server.request("POST", "/api/v1/jobs", &headers, &keyed);
    let second = server.request("POST", "/api/v1/jobs", &headers, &keyed);
    assert_eq!((first.status, &first.body), (202, &second.body), "{second:?}");
    reaches(&server, first.json()["id"].as_str().expect("an id"), "completed");
    let workflow = format!("/api/v1/workflows/{}", submitted["id"].as_str().expect("an id"));
    eventually("the workflow ends", || {
        ask(&server, admin, "GET", &workflow, &Value::Null).1["state"] == "completed"
    });
    let (_, steps) = ask(&server, admin, "GET", &format!("{workflow}/steps"), &Value::Null);
    let second = steps["steps"][1]["job"].as_str().expect("a job").to_owned();
    let (status, inputs) = ask(&server, admin, "GET", &format!("/api/v1/jobs/{second}/inputs"), &Value::Null);
    assert_eq!((status, &inputs["results"][0]["result"]), (200, &hidden), "{inputs}");
    // Events, as they are told.
    let events = server.request("GET", "/events?limit=1000", &[("Authorization", bearer.as_str())], "");
    assert!(events.status == 200 && events.body.contains("$redacted"), "{events:?}");
    let (_, status) = ask(&server, admin, "GET", "/api/v1/encryption", &Value::Null);
    assert_eq!((&status["current"], &status["uses"]["one"]["cron"]), (&json!("one"), &json!(1)), "{status}");
    // Not in what is logged, told, exported, or stored.
    let (log, data) = (server.log(), server.data.clone());
    let (_, _folder) = server.kill();
    let exported = store(&["export", "-"], &config, &data, database).stdout;
    assert!(holds(&exported, "$encrypted"));
    let stored = match database {
        Some(database) => rows_of(database),
        None => bytes_below(&data),
    };
    assert!(holds(&stored, "$encrypted"));
    let everywhere = [
        ("log", log.into_bytes()),
        ("events", events.body.into_bytes()),
        ("export", exported),
        ("store", stored),
    ];
    for (place, bytes) in everywhere {
        for secret in [SECRET, "another-Zk3wPq8", "third-Bv5nRt2"] {
            assert!(!holds(&bytes, secret), "{secret} is in the {place}");
        }
        // The program has written it, and so it is in the log of the job, but nowhere else.
        let told = matches!(place, "log" | "events");
        assert!(!told || !holds(&bytes, &digest(SECRET)), "the result is in the {place}");
    }
}

#[test]
fn nobody_finds_a_secret_in_what_is_stored_or_told() {
    nobody_finds_it(None);
}

#[test]
fn nobody_finds_a_secret_in_what_is_stored_or_told_on_postgresql() {
    nobody_finds_it(Some(&Database::create()));
}

fn uses(server: &Server) -> Value {
    let output = server
        .command(&["encryption", "status", "--json"])
        .env("CALLBOARD_TOKEN", TOKENS[2].1)
        .output()
        .expect("the program starts");
    serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))["uses"]
        .clone()
}

#[test]
fn keys_are_rotated_while_jobs_run_on_three_servers_one_of_which_is_killed() {
    let database = Database::create();
    let keys = Keys::new();
    keys.write("old", 1);
    keys.write("new", 2);
    let more = format!("{TYPES}\n{}", tokens());
    let files = ["a.toml", "b.toml", "c.toml"];
    let servers: Vec<Server> = files
        .iter()
        .map(|file| Server::start(&options(&keys.configure(file, &["old"], &more), Some(&database))))
        .collect();
    let mut ids: Vec<(String, String)> = Vec::new();
    let more_jobs = |server: &Server, ids: &mut Vec<(String, String)>| {
        for _ in 0..20 {
            let secret = format!("{SECRET}-{}", ids.len());
            ids.push((submit(server, "sha256sum", &secret), secret));
        }
    };
    servers.iter().for_each(|server| more_jobs(server, &mut ids));
    // First everybody can decrypt with the new key; then it encrypts.
    let reread = |server: &Server, file: &str, keys_of: &[&str]| {
        let known = |server: &Server| {
            let (_, status) = ask(server, TOKENS[2].1, "GET", "/api/v1/encryption", &Value::Null);
            (status["current"] == keys_of[0])
                && status["keys"].as_array().is_some_and(|all| all.len() == keys_of.len())
        };
        keys.configure(file, keys_of, &more);
        server.signal(Signal::HUP);
        eventually("the keys are taken up", || known(server));
    };
    for (server, file) in servers.iter().zip(files) {
        reread(server, file, &["old", "new"]);
        more_jobs(server, &mut ids);
    }
    for (server, file) in servers.iter().zip(files) {
        reread(server, file, &["new", "old"]);
        more_jobs(server, &mut ids);
    }
    // The one that encrypts anew is killed in the middle of it, with jobs that run.
    let [a, b, c] = <[Server; 3]>::try_from(servers).unwrap_or_else(|_| panic!("three"));
    let rotation = a
        .command(&["encryption", "rotate"])
        .env("CALLBOARD_TOKEN", TOKENS[2].1)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut rotation = rotation.expect("the program starts");
    more_jobs(&b, &mut ids);
    eventually("some of it is encrypted anew", || {
        uses(&b)["new"]["payloads"].as_u64().is_some_and(|count| count > 60)
    });
    drop(a.kill());
    let _ = rotation.wait();
    more_jobs(&c, &mut ids);
    for (id, _) in &ids {
        reaches(&b, id, "completed");
    }
    let rotated = b.command(&["encryption", "rotate", "--json"]).env("CALLBOARD_TOKEN", TOKENS[2].1).output();
    let rotated = rotated.expect("the program starts");
    assert!(rotated.status.success(), "{rotated:?}");
    let left = uses(&c);
    assert!(left["old"].is_null(), "{left}");
    assert_eq!(left["new"]["payloads"], ids.len(), "{left}");
    // Without the old key everything is there.
    reread(&c, files[2], &["new"]);
    for (id, secret) in &ids {
        ran_with(&c, id, secret);
    }
    assert!(!holds(&rows_of(&database), SECRET));
}

#[test]
fn a_job_waits_for_a_node_that_has_its_key() {
    let database = Database::create();
    let keys = Keys::new();
    keys.write("one", 1);
    keys.write("other", 2);
    let more = format!("{TYPES}\n{}", tokens());
    let with = keys.configure("with.toml", &["one"], &more);
    let without = keys.configure("without.toml", &["other"], &more);
    let first = Server::start(&options(&with, Some(&database)));
    pause(&first);
    let id = submit(&first, "sha256sum", SECRET);
    drop(first.kill());
    // It says so at the start, and the job is claimed and put back without an attempt.
    let second = Server::start(&options(&without, Some(&database)));
    assert!(second.log().contains("a key that this node does not have"), "{}", second.log());
    assert_eq!(ask(&second, TOKENS[2].1, "POST", "/api/v1/queues/default/resume", &json!({})).0, 200);
    let mut waits = Value::Null;
    eventually("the job waits", || {
        waits = job(&second, &id);
        waits["state"] == "scheduled"
    });
    assert_eq!(waits["attempt"], 0, "{waits}");
    assert!(waits["waits_for"].as_str().is_some_and(|why| why.starts_with("key-missing: ")), "{waits}");
    let revealed = ask(&second, TOKENS[2].1, "GET", &format!("/api/v1/jobs/{id}?reveal=true"), &Value::Null);
    assert_eq!(revealed.0, 403, "{revealed:?}");
    // Another key under the name is not taken for damage.
    keys.write("one", 9);
    keys.configure("without.toml", &["other", "one"], &more);
    second.signal(Signal::HUP);
    eventually("it has the other key", || {
        job(&second, &id)["waits_for"].as_str().is_some_and(|why| why.contains("another key"))
    });
    assert_eq!(job(&second, &id)["attempt"], 0);
    let counted = uses(&second);
    assert_eq!(
        (&counted["one (another key)"]["payloads"], &counted["one"]),
        (&json!(1), &Value::Null),
        "{counted}"
    );
    // The right one lets it run, with its only attempt. Its file is read anew, though the configuration is the same.
    keys.write("one", 1);
    second.signal(Signal::HUP);
    eventually("it has the key", || {
        let waits = job(&second, &id)["waits_for"].clone();
        !waits.to_string().contains("key-missing")
    });
    assert_eq!(ask(&second, TOKENS[2].1, "POST", &format!("/api/v1/jobs/{id}/retry"), &Value::Null).0, 200);
    let done = reaches(&second, &id, "completed");
    assert_eq!(done["attempt"], 1, "{done}");
    ran_with(&second, &id, SECRET);
}

#[test]
fn what_was_changed_in_the_store_is_a_dead_job_and_no_more() {
    let keys = Keys::new();
    keys.write("one", 1);
    let more = format!("{TYPES}\n{}", tokens());
    let config = keys.configure("callboard.toml", &["one"], &more);
    let server = Server::start(&options(&config, None));
    pause(&server);
    let id = submit(&server, "sha256sum", SECRET);
    let data = server.data.clone();
    let (_, _folder) = server.kill();
    let exported = String::from_utf8(store(&["export", "-"], &config, &data, None).stdout).expect("UTF-8");
    // A letter in the middle of the first value, which is the environment's.
    let at = exported.find("v1.one.").expect("a sealed value") + 40;
    let letter = if exported.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut changed = exported;
    changed.replace_range(at..=at, letter);
    let file = keys.path("changed.ndjson");
    fs::write(&file, changed).expect("a file");
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    store(&["import", file.to_str().expect("UTF-8")], &config, &data, None);
    let server = Server::start_on(&data, &options(&config, None)).expect("a server");
    assert_eq!(ask(&server, TOKENS[2].1, "POST", "/api/v1/queues/default/resume", &json!({})).0, 200);
    let dead = reaches(&server, &id, "discarded");
    let said = dead["last_error"].to_string();
    assert!(said.contains("cannot be decrypted") && said.contains("/env/TOKEN"), "{dead}");
    assert_eq!(dead["payload"]["stdin"], json!({ "$redacted": true }));
    assert_eq!(ask(&server, TOKENS[2].1, "GET", "/api/v1/ready", &Value::Null).0, 200);
    let rotated = ask(&server, TOKENS[2].1, "POST", "/api/v1/encryption/rotate", &json!({}));
    assert_eq!((rotated.0, &rotated.1["rotated"]), (200, &json!(0)), "{rotated:?}");
}

#[test]
fn a_server_does_not_start_without_keys_that_it_needs() {
    let keys = Keys::new();
    keys.write("one", 1);
    let refused = |config: &Path| {
        let folder = TempDir::new().expect("a folder");
        let started = Server::start_on(&folder.path().join("data"), &options(config, None));
        started.err().expect("it does not start")
    };
    let said = refused(&keys.configure("none.toml", &[], TYPES));
    assert!(said.contains("must be encrypted") && said.contains("encryption.current"), "{said}");
    let said = refused(&keys.configure("lost.toml", &["lost"], TYPES));
    assert!(said.contains("the key \\\"lost\\\"") || said.contains("the key \"lost\""), "{said}");
    fs::set_permissions(keys.path("one"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let said = refused(&keys.configure("open.toml", &["one"], TYPES));
    assert!(said.contains("every user may read"), "{said}");
    fs::set_permissions(keys.path("one"), fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::write(keys.path("one"), "hunter2").expect("a file");
    let said = refused(&keys.configure("short.toml", &["one"], TYPES));
    assert!(said.contains("32 bytes") && !said.contains("hunter2"), "{said}");
}

#[test]
fn secrets_are_hidden_without_keys_too_and_keys_are_not_set_by_requests() {
    let keys = Keys::new();
    let types = TYPES.replace(", required = true", "");
    let config = keys.configure("callboard.toml", &[], &format!("{types}\n{}", tokens()));
    let server = Server::start(&options(&config, None));
    let id = submit(&server, "sha256sum", SECRET);
    let shown = reaches(&server, &id, "completed");
    assert!(!shown.to_string().contains(SECRET) && !shown.to_string().contains(&digest(SECRET)), "{shown}");
    ran_with(&server, &id, SECRET);
    let events = ask(&server, TOKENS[0].1, "GET", "/events?limit=100", &Value::Null).1.to_string();
    assert!(events.contains("$redacted") && !events.contains(SECRET), "{events}");
    for key in ["encryption.current", "en\"cryp\"tion.current", "'e'ncryption.\"keys\""] {
        let set = json!({ key: "" });
        let (status, refused) = ask(&server, TOKENS[2].1, "PATCH", "/api/v1/settings", &set);
        assert_eq!(status, 403, "{key}: {refused}");
    }
    let (status, refused) = ask(&server, TOKENS[2].1, "POST", "/api/v1/encryption/rotate", &json!({}));
    assert_eq!(status, 403, "{refused}");
}
