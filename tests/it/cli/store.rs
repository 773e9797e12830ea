//! `callboard store`: versions, health, copies, and moving from one store to another.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    process::{Child, Output, Stdio},
    thread,
};

use callboard_testsupport::Database;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{code, err, out};
use crate::server::{Options, Server, callboard, eventually};

/// A store to which commands are addressed.
enum Place<'a> {
    Sqlite(&'a Path),
    Postgres(&'a Database),
}

impl Place<'_> {
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = callboard();
        command.arg("store").args(arguments);
        match self {
            Place::Sqlite(folder) => command.arg("--data").arg(folder),
            Place::Postgres(database) => {
                command.env("CALLBOARD__STORE__URL", database.url()).args(["--set", "store.backend=postgres"])
            }
        };
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs it, and expects that it succeeds.
    fn does(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", err(&output));
        out(&output)
    }

    /// Runs it, and expects that it says this and exits with that.
    fn refuses(&self, arguments: &[&str], exit: i32, says: &str) {
        let output = self.run(arguments);
        let said = err(&output);
        assert_eq!(code(&output), exit, "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }

    fn is_whole(&self) {
        let found: Value = serde_json::from_str(&self.does(&["check", "--json"])).expect("JSON");
        assert_eq!(found["whole"], true, "{found}");
        assert!(found["checks"].as_array().is_some_and(|checks| checks.len() >= 9), "{found}");
    }

    fn server(&self) -> Server {
        match self {
            Place::Sqlite(folder) => Server::start_on(folder, &Options::default()).expect("a server"),
            Place::Postgres(database) => {
                let mut options = Options::arguments(&["--set", "store.backend=postgres"]);
                options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
                Server::start(&options)
            }
        }
    }
}

fn submit(server: &Server, job: &Value) -> String {
    let answer = server.post("/api/v1/jobs", &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn state(server: &Server, id: &str) -> Value {
    server.get(&format!("/api/v1/jobs/{id}")).json()["state"].clone()
}

/// Submits a job under a key, which is the same one each time.
fn keyed(server: &Server) -> String {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "once")];
    let answer = server.request("POST", "/api/v1/jobs", &headers, "{\"type\":\"noop\"}");
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// A server that was killed over jobs in every state, and what it left behind.
fn abandoned() -> (TempDir, std::path::PathBuf, Vec<String>) {
    let server = Server::start(&Options::arguments(&[
        "--set",
        "queues.default.concurrency=2",
        "--set",
        r#"jobs.types=[{ name = "noop", needs = ["smtp", "api"] }]"#,
    ]));
    let job = |job_type: &str, more: Value| {
        let mut job = json!({ "type": job_type, "metadata": { "text": "ä\u{0}\n\"" } });
        job.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        submit(&server, &job)
    };
    let mut ids: Vec<String> = (0..40).map(|_| job("noop", json!({ "tags": ["a", "b:c"] }))).collect();
    eventually("the first are done", || ids.iter().all(|id| state(&server, id) == "completed"));
    let running: Vec<String> = (0..2).map(|_| job("sleep", json!({ "payload": { "ms": 300 } }))).collect();
    ids.push(job("sleep", json!({ "payload": { "ms": 60_000 } })));
    ids.push(job("sleep", json!({ "payload": { "ms": 60_000 } })));
    for id in &running {
        eventually("the short ones are done", || state(&server, id) == "completed");
    }
    eventually("the long ones run", || ids[40..].iter().all(|id| state(&server, id) == "executing"));
    ids.extend(running);
    ids.push(job("noop", json!({})));
    ids.push(keyed(&server));
    ids.push(job(
        "noop",
        json!({ "scheduled_at": "2999-01-01T00:00:00Z", "priority": 7, "partition_key": "ä" }),
    ));
    let limits =
        json!({ "max_running_per_key": 9, "rate": "1000/1m", "rate_per_key": "1000/1h", "max_running": 99 });
    assert_eq!(server.post("/api/v1/queues/default/limit", &limits.to_string()).status, 200);
    // Over at once, so that nobody waits for it.
    let trip = r#"{"state":"tripped","reason":"away","for_ms":1}"#;
    let tripped = server.request("PUT", "/api/v1/edges/smtp", &[("Content-Type", "application/json")], trip);
    assert_eq!(tripped.status, 200, "{tripped:?}");
    let (data, folder) = server.kill();
    (folder.expect("its folder"), data, ids)
}

/// The lines of an export without its first one: jobs and events by their keys, and the rest.
fn lines(path: &Path) -> (Value, BTreeMap<String, Value>, Vec<Value>) {
    let text = fs::read_to_string(path).expect("an export");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let header = lines.next().expect("a header")["export"].clone();
    let (mut jobs, mut rest) = (BTreeMap::new(), Vec::new());
    for line in lines {
        match line["job"]["id"].as_str() {
            Some(id) => drop(jobs.insert(id.to_owned(), line["job"].clone())),
            None => rest.push(line),
        }
    }
    (header, jobs, rest)
}

#[test]
fn a_store_moves_to_postgresql_and_back_without_losing_anything() {
    let (folder, data, ids) = abandoned();
    let file = |name: &str| folder.path().join(name);
    let path = |name: &str| file(name).to_str().expect("UTF-8").to_owned();
    let (from, database) = (Place::Sqlite(&data), Database::create());
    let (to, back) = (Place::Postgres(&database), file("back"));
    let back = Place::Sqlite(&back);
    from.is_whole();
    from.does(&["export", &path("first")]);
    to.refuses(&["check"], 1, "there is no store: the database has no schema callboard");
    to.does(&["import", &path("first")]);
    to.is_whole();
    to.does(&["export", &path("second")]);
    back.does(&["import", &path("second")]);
    back.is_whole();
    back.does(&["export", &path("third")]);

    let (first, second, third) = (lines(&file("first")), lines(&file("second")), lines(&file("third")));
    assert!(ids.iter().all(|id| first.1.contains_key(id)) && first.1.len() == ids.len());
    assert_eq!((&second.1, &second.2), (&third.1, &third.2), "nothing changes that did not run");
    let edge = first.2.iter().find(|line| line["edge"].is_object()).expect("an edge");
    assert_eq!((&edge["edge"]["name"], &edge["edge"]["reason"]), (&json!("smtp"), &json!("away")));
    assert_eq!(first.1[&ids[0]]["needs"], json!(["api", "smtp"]));
    let epochs = [&first, &second, &third].map(|(header, ..)| header["epoch"].as_u64().expect("a number"));
    assert!(epochs[0] < epochs[1] && epochs[1] < epochs[2], "{epochs:?}");
    for (id, before) in &first.1 {
        let after = &second.1[id];
        if before["state"] == "executing" {
            assert_eq!((&after["state"], &after["attempt"]), (&json!("available"), &json!(0)), "{after}");
            assert_eq!(after["attempts"][0]["outcome"], "released", "{after}");
            assert_eq!((&after["payload"], &after["metadata"]), (&before["payload"], &before["metadata"]));
        } else {
            assert_eq!(before, after);
        }
    }
    let running = first.1.values().filter(|job| job["state"] == "executing").count();
    assert!(running >= 2);
    let told = |rest: &[Value]| rest.iter().filter(|line| line["event"].is_object()).count();
    assert_eq!(told(&first.2) + running, told(&second.2), "each that was handed back has told so");

    // What was moved is lived with: the waiting jobs run, a tag finds its jobs, and totals go on.
    let server = to.server();
    eventually("a job that ran runs again", || state(&server, &ids[40]) == "executing");
    assert_eq!(state(&server, ids.last().expect("a job")), "scheduled");
    let tagged = server.get("/api/v1/jobs?tag=b%3Ac&limit=100").json();
    assert_eq!(tagged["jobs"].as_array().map(Vec::len), Some(40), "{tagged}");
    let queue = server.get("/api/v1/queues/default").json();
    let limits =
        ["max_running", "max_running_per_key", "rate", "rate_per_key"].map(|name| queue[name].clone());
    assert_eq!(limits, [json!(99), json!(9), json!("1000/1m"), json!("1000/1h")]);
    let last = server.get(&format!("/api/v1/jobs/{}", ids.last().expect("a job"))).json();
    assert_eq!(last["partition_key"], "ä");
    assert!(ids.contains(&keyed(&server)), "a key that was answered makes no second job");
    to.refuses(&["import", &path("first")], 1, "the store is not empty: it holds");
}

#[test]
fn an_export_can_leave_the_events_out() {
    let (folder, data, ids) = abandoned();
    let export = folder.path().join("export").to_str().expect("UTF-8").to_owned();
    let (from, to) = (Place::Sqlite(&data), folder.path().join("to"));
    let to = Place::Sqlite(&to);
    from.does(&["export", "--without-events", &export]);
    to.does(&["import", &export]);
    to.is_whole();
    let server = to.server();
    eventually("the jobs go on", || state(&server, &ids[40]) == "executing");
    let queues = server.get("/api/v1/queues").json().to_string();
    assert!(queues.contains("\"completed\":4"), "{queues}");
}

#[test]
fn a_copy_is_made_while_the_server_writes_and_begins_a_new_epoch() {
    let server = Server::start(&Options::default());
    let folder = TempDir::new().expect("a folder");
    let live = Place::Sqlite(&server.data);
    let restored = folder.path().join("restored");
    fs::create_dir(&restored).expect("a folder");
    let copy = restored.join("callboard.db");
    let first = submit(&server, &json!({ "type": "noop" }));
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for _ in 0..200 {
                submit(&server, &json!({ "type": "noop" }));
            }
        });
        live.does(&["backup", copy.to_str().expect("UTF-8")]);
        writing.join().expect("all are stored");
    });
    live.refuses(
        &["backup", copy.to_str().expect("UTF-8")],
        1,
        "it cannot be written: entity already exists",
    );
    live.is_whole();
    let copied = Place::Sqlite(&restored);
    copied.is_whole();
    assert_eq!(fs::read_dir(&restored).expect("a folder").count(), 1, "one file alone");
    let exported = folder.path().join("before");
    copied.does(&["export", exported.to_str().expect("UTF-8")]);
    assert_eq!(lines(&exported).0["epoch"], 1);
    let again = copied.server();
    eventually("the job is there", || state(&again, &first) == "completed");
    drop(again);
    let exported = folder.path().join("after");
    copied.does(&["export", exported.to_str().expect("UTF-8")]);
    assert!(lines(&exported).0["epoch"].as_u64() > Some(1));
    live.refuses(&["import", exported.to_str().expect("UTF-8")], 1, "the store is in use by process");
}

/// An import that was given all but the end of an export.
fn begun(place: &Place<'_>, export: &Path) -> Child {
    let mut import = place.command(&["import", "-"]);
    let mut import = import.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let text = fs::read(export).expect("an export");
    let mut stdin = import.stdin.take().expect("a pipe");
    stdin.write_all(&text[..text.len() - 100]).expect("it reads");
    import.stdin = Some(stdin);
    import
}

#[test]
fn an_import_that_is_killed_leaves_nothing_half_done() {
    let (folder, data, ids) = abandoned();
    let export = folder.path().join("export");
    let name = export.to_str().expect("UTF-8").to_owned();
    Place::Sqlite(&data).does(&["export", &name]);
    let (fresh, database) = (folder.path().join("fresh"), Database::create());

    let mut import = begun(&Place::Sqlite(&fresh), &export);
    eventually("it has begun", || fresh.join("callboard.db.partial").exists());
    import.kill().expect("it runs");
    import.wait().expect("an end");
    assert!(!fresh.join("callboard.db").exists());

    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'callboard'";
    let mut import = begun(&Place::Postgres(&database), &export);
    // The server's locks are those of all its databases.
    let locks =
        "SELECT count(*) FROM pg_locks JOIN pg_database AS database ON database.oid = pg_locks.database
                 WHERE datname = current_database() AND mode = 'ExclusiveLock' AND relation IS NOT NULL";
    eventually("it has begun", || database.psql(locks) != "0");
    import.kill().expect("it runs");
    import.wait().expect("an end");
    assert_ne!(database.psql(tables), "0");
    eventually("the server has noticed", || database.psql(locks) == "0");
    assert_eq!(database.psql("SELECT count(*) FROM callboard.jobs"), "0");

    for place in [Place::Sqlite(&fresh), Place::Postgres(&database)] {
        place.does(&["import", &name]);
        place.is_whole();
        let server = place.server();
        eventually("the jobs go on", || state(&server, &ids[40]) == "executing");
    }
    assert!(!fresh.join("callboard.db.partial").exists());
}

#[test]
fn what_is_no_whole_export_changes_nothing() {
    let (folder, data, _) = abandoned();
    let export = folder.path().join("export");
    Place::Sqlite(&data).does(&["export", export.to_str().expect("UTF-8")]);
    let text = fs::read_to_string(&export).expect("an export");
    let twice = text.replacen("\"sequence\":2,", "\"sequence\":1,", 1);
    let (fresh, database) = (folder.path().join("fresh"), Database::create());
    let cut = text.lines().take(20).map(|line| format!("{line}\n")).collect::<String>();
    let of_a_future = text.replacen("\"format\":1", "\"format\":2", 1);
    let doubled = {
        let job = text.lines().filter(|line| line.starts_with("{\"job\"")).nth(1).expect("a job");
        let id: Value = serde_json::from_str(job).expect("JSON");
        let first = text.lines().find(|line| line.starts_with("{\"job\"")).expect("a job");
        let first: Value = serde_json::from_str(first).expect("JSON");
        let id = id["job"]["id"].as_str().expect("an id").to_owned();
        text.replace(&id, first["job"]["id"].as_str().expect("an id"))
    };
    for (text, says) in [
        (&cut, "it is cut off: after line 20 the closing line is missing"),
        (&of_a_future, "line 1: the export has format 2, and this program reads 1"),
        (&twice, "is not in its place"),
        (&doubled, "not fit to the"),
        (&"{}".to_owned(), "line 1: this is no export of a store"),
    ] {
        fs::write(&export, text).expect("written");
        for place in [Place::Sqlite(&fresh), Place::Postgres(&database)] {
            place.refuses(&["import", export.to_str().expect("UTF-8")], 2, says);
        }
        assert!(!fresh.join("callboard.db").exists() && !fresh.join("callboard.db.partial").exists());
    }
    assert_eq!(
        database
            .psql("SELECT (SELECT count(*) FROM callboard.jobs) + (SELECT count(*) FROM callboard.queues)"),
        "0"
    );
}

#[test]
fn a_damaged_file_is_told_and_not_copied() {
    let (folder, data, _) = abandoned();
    let place = Place::Sqlite(&data);
    // Brings what is in the write-ahead log into the file.
    drop(place.server());
    place.does(&["backup", folder.path().join("copy.db").to_str().expect("UTF-8")]);
    let (damaged, export) = (folder.path().join("damaged"), folder.path().join("export"));
    fs::create_dir(&damaged).expect("a folder");
    let mut bytes = fs::read(folder.path().join("copy.db")).expect("a file");
    let length = bytes.len();
    bytes[length / 4..length * 3 / 4].fill(0x5a);
    fs::write(damaged.join("callboard.db"), &bytes).expect("written");
    let place = Place::Sqlite(&damaged);
    let output = place.run(&["check"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(err(&output).contains("damaged"), "{}", err(&output));
    assert!(out(&output).contains("pages and indexes: "), "{}", out(&output));
    place.refuses(&["export", export.to_str().expect("UTF-8")], 1, "the store is damaged");
    assert!(!export.exists() && !folder.path().join("export.partial").exists());
    fs::write(damaged.join("callboard.db"), "this is a letter to my mother, and no database at all")
        .expect("written");
    place.refuses(&["check"], 1, "damaged");
    place.refuses(&["migrate"], 1, "the store is damaged");
}

#[test]
fn what_cannot_be_written_is_told() {
    let (folder, data, _) = abandoned();
    let place = Place::Sqlite(&data);
    let full = fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let output = place.command(&["export", "-"]).stdout(full).output().expect("the program starts");
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(err(&output).contains("it cannot be written: No space left on device"), "{}", err(&output));
    let nowhere = folder.path().join("nowhere/file");
    let nowhere = nowhere.to_str().expect("UTF-8");
    place.refuses(&["export", nowhere], 1, "it cannot be written: No such file or directory");
    place.refuses(&["import", nowhere], 2, "No such file or directory");
}

#[test]
fn versions_are_said_and_brought_up_to_date() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let database = Database::create();
    for place in [Place::Sqlite(&data), Place::Postgres(&database)] {
        let version: Value =
            serde_json::from_str(&place.does(&["migrate", "--dry-run", "--json"])).expect("JSON");
        let version = version["known"].as_u64().expect("a version");
        let says = |arguments: &[&str], text: &str| {
            let said = place.does(arguments);
            assert!(said.contains(text), "{arguments:?}: {said}");
        };
        says(
            &["migrate", "--dry-run"],
            &format!("there is no store yet; it would be made with version {version}"),
        );
        says(&["migrate"], &format!("made with version {version}"));
        says(&["migrate"], &format!("version {version}, the one of this program"));
        says(&["migrate", "--dry-run", "--json"], "\"migrated\": false");
        place.is_whole();
    }
    assert!(data.join("callboard.db").exists());
    database.psql("UPDATE callboard.schema_version SET version = 99");
    let place = Place::Postgres(&database);
    place.refuses(&["migrate"], 1, "the store's schema is version 99, and this program knows");
}

#[test]
fn a_database_that_is_away_or_in_use_is_told() {
    let database = Database::create();
    let place = Place::Postgres(&database);
    let server = place.server();
    let folder = TempDir::new().expect("a folder");
    let export = folder.path().join("export");
    let export = export.to_str().expect("UTF-8");
    place.does(&["export", export]);
    place.refuses(&["import", export], 1, "uses the store; stop every server that does");
    place.refuses(
        &["backup", "jobs.dump"],
        2,
        "pg_dump --format=custom --schema=callboard --file=jobs.dump \"$CALLBOARD__STORE__URL\"",
    );
    drop(server);
    let mut away = callboard();
    away.args(["store", "check", "--set", "store.backend=postgres"]);
    let output = away
        .env("CALLBOARD__STORE__URL", "postgres://me:secret@127.0.0.1:1/jobs")
        .output()
        .expect("it starts");
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(
        err(&output).starts_with("callboard: postgres://***@127.0.0.1:1/jobs: the store is not ready"),
        "{}",
        err(&output)
    );
    assert!(!err(&output).contains("secret"));
}
