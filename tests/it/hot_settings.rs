//! Settings of a running server that change: by its file, by request, by the command line, through another node.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use callboard::{
    App,
    config::{Configuration, Loader},
};
use callboard_testsupport::{Database, PrivatePostgres};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli::{code, err, out},
    server::{Answer, Options, Server, eventually},
};

/// A server with a configuration file.
struct Configured {
    server: Server,
    file: PathBuf,
    folder: TempDir,
}

impl Configured {
    fn start(text: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("callboard.toml");
        fs::write(&file, text).expect("a file");
        let path = file.to_str().expect("UTF-8");
        let server = Server::start(&Options::arguments(&["--config", path]));
        Configured { server, file, folder }
    }

    fn write(&self, text: &str) {
        fs::write(&self.file, text).expect("a file");
    }
}

fn settings(server: &Server) -> Value {
    let answer = server.get("/api/v1/settings");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The setting of this key, as the server runs with it.
fn setting(server: &Server, key: &str) -> Value {
    let all = settings(server);
    let found = all["settings"].as_array().expect("an array").iter().find(|one| one["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {all}")).clone()
}

fn becomes(server: &Server, key: &str, value: &str) {
    eventually(&format!("{key} is {value}"), || setting(server, key)["value"] == value);
}

fn patch(server: &Server, body: &Value) -> Answer {
    server.request("PATCH", "/api/v1/settings", &[("Content-Type", "application/json")], &body.to_string())
}

/// The entries of the audit trail on settings, newest first, once there are so many.
fn trail(server: &Server, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    eventually(&format!("{count} entries in the trail"), || {
        let page = server.get("/api/v1/audit?limit=100").json();
        let entries = page["entries"].as_array().expect("an array").iter();
        found = entries.filter(|entry| entry["action"] == "setting.change").cloned().collect();
        found.len() >= count
    });
    assert_eq!(found.len(), count, "{found:?}");
    found
}

fn sleeps(server: &Server) -> String {
    let answer = server.post("/api/v1/jobs", r#"{"type":"sleep","payload":{"ms":600000}}"#);
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn executing(server: &Server) -> Value {
    server.get("/api/v1/queues").json()[0]["executing"].clone()
}

#[test]
fn an_edit_of_the_file_is_taken_up_and_stands_in_the_trail() {
    let on = Configured::start("[queues.default]\nconcurrency = 1\n");
    let server = &on.server;
    for _ in 0..3 {
        sleeps(server);
    }
    eventually("one runs", || executing(server) == 1);
    on.write("[queues.default]\nconcurrency = 3\n[log]\nlevel = \"info,callboard=debug\"\n");
    becomes(server, "queues.default.concurrency", "3");
    eventually("all run", || executing(server) == 3);
    assert_eq!(setting(server, "log.level")["value"], "\"info,callboard=debug\"");
    let place = setting(server, "queues.default.concurrency")["source"].clone();
    assert_eq!(place, format!("{}:2", on.file.display()));
    let entries = trail(server, 2);
    let entry = entries.iter().find(|entry| entry["target"] == "queues.default.concurrency");
    let entry = entry.expect("the change");
    assert_eq!(entry["detail"], json!({ "old": "1", "new": "3", "source": place }));
    assert!(entry["by"].as_str().expect("text").starts_with("node "), "{entry}");
    assert!(server.log().contains("a setting is another one from now on"), "{}", server.log());
    // It lasts over a restart, as it is in the file.
    let shown = server.json(&["config", "show", "--config", on.file.to_str().expect("UTF-8"), "--json"]);
    let one =
        shown.as_array().expect("an array").iter().find(|one| one["key"] == "queues.default.concurrency");
    assert_eq!(one.expect("the key")["live"], true);
}

#[test]
fn a_wrong_edit_changes_nothing_and_says_why_until_it_is_put_right() {
    let on = Configured::start("[retention]\ncompleted = \"2d\"\n");
    let server = &on.server;
    eventually("it is ready", || server.get("/api/v1/ready").status == 200);
    on.write("[retention]\ncompleted = \"3d\"\nbatch = 0\n[queues.default]\nconcurency = 4\n");
    eventually("it says what is wrong", || settings(server)["problem"].is_string());
    let problem = settings(server)["problem"].as_str().expect("text").to_owned();
    for part in [
        "invalid value for `retention.batch`: expected 1 to 100000, found 0",
        "callboard.toml:3:9",
        "did you mean `queues.default.concurrency`?",
    ] {
        assert!(problem.contains(part), "{part} is not in {problem}");
    }
    assert_eq!(setting(server, "retention.completed")["value"], "\"2d\"");
    // It works all the same, and its tree says what is wrong.
    assert_eq!(server.get("/api/v1/ready").status, 200);
    let tree = server.get("/api/v1/tree").body;
    assert!(tree.contains("the settings stay as they were"), "{tree}");
    let said = server.log().matches("the configuration cannot be taken up").count();
    assert_eq!(said, 1, "{}", server.log());
    let shown = server.cli(&["config", "running"]);
    assert_eq!(code(&shown), 1);
    assert!(err(&shown).contains("did you mean"), "{}", err(&shown));
    // What is set meanwhile would be checked with the file.
    let refused = patch(server, &json!({ "retention.batch": 5 }));
    assert_eq!(refused.status, 422, "{refused:?}");
    on.write("[retention]\ncompleted = \"3d\"\nbatch = 9\n");
    becomes(server, "retention.completed", "\"3d\"");
    eventually("nothing is wrong any more", || settings(server)["problem"].is_null());
    assert_eq!(setting(server, "retention.batch")["value"], "9");
    trail(server, 2);
}

#[test]
fn what_needs_a_restart_says_so_and_is_there_after_it() {
    let mut on = Configured::start("[web]\nmax_batch = 10\n");
    on.write("[web]\nmax_batch = 20\n[retention]\nbatch = 9\n[queues.mail]\n");
    becomes(&on.server, "retention.batch", "9");
    assert_eq!(setting(&on.server, "web.max_batch")["value"], "10");
    assert_eq!(setting(&on.server, "web.max_batch")["live"], false);
    let waiting = settings(&on.server)["waiting"].clone();
    let keys: Vec<_> = waiting.as_array().expect("an array").iter().map(|one| one["key"].clone()).collect();
    assert_eq!(keys, ["web.max_batch", "queues.mail"], "{waiting}");
    assert_eq!((&waiting[0]["old"], &waiting[0]["new"]), (&json!("10"), &json!("20")));
    let log = on.server.log();
    assert!(log.contains("this change of the settings needs a restart"), "{log}");
    let running = on.server.cli(&["config", "running"]);
    assert!(err(&running).contains("web.max_batch needs a restart: 10 -> 20"), "{}", err(&running));
    // By request it is refused, with the reason.
    let refused = on.server.cli(&["config", "set", "web.max_batch=30"]);
    assert_eq!(code(&refused), 2, "{}", err(&refused));
    assert!(err(&refused).contains("`web.max_batch` needs a restart"), "{}", err(&refused));
    let (data, folder) = (on.server.data.clone(), on.server.keep_folder());
    on.server.signal(Signal::TERM);
    assert!(on.server.wait().success());
    let path = on.file.to_str().expect("UTF-8").to_owned();
    let again = Server::start_on(&data, &Options::arguments(&["--config", &path])).expect("a server");
    assert_eq!(setting(&again, "web.max_batch")["value"], "20");
    assert_eq!(settings(&again)["waiting"], json!([]));
    drop((folder, again));
}

#[test]
fn a_file_may_be_replaced_and_one_that_is_gone_changes_nothing() {
    let on = Configured::start("[retention]\nbatch = 10\n");
    let server = &on.server;
    // As editors do it.
    let other = on.folder.path().join(".callboard.toml.swp");
    fs::write(&other, "[retention]\nbatch = 11\n").expect("a file");
    fs::rename(&other, &on.file).expect("a rename");
    becomes(server, "retention.batch", "11");
    fs::remove_file(&on.file).expect("a file");
    eventually("it says what is wrong", || settings(server)["problem"].is_string());
    let problem = settings(server)["problem"].to_string();
    assert!(problem.contains("cannot read the configuration file"), "{problem}");
    assert_eq!(setting(server, "retention.batch")["value"], "11");
    on.write("[retention]\nbatch = 12\n");
    becomes(server, "retention.batch", "12");
    assert!(settings(server)["problem"].is_null());
}

#[test]
fn a_hangup_lets_it_read_its_configuration_again() {
    let on = Configured::start("");
    eventually("it listens to the signal", || {
        on.server.signal(Signal::HUP);
        on.server.log().contains("the configuration was read again")
    });
    assert_eq!(on.server.get("/api/v1/live").status, 200);
}

#[test]
fn what_is_set_by_request_holds_until_the_server_ends() {
    let on = Configured::start("[queues.default]\nconcurrency = 4\n");
    let server = &on.server;
    let set = server.cli(&["config", "set", "queues.default.concurrency=2", "retention.completed=3d"]);
    assert_eq!(code(&set), 0, "{}", err(&set));
    assert_eq!(
        out(&set),
        "KEY                         BEFORE  NOW\n\
         queues.default.concurrency  4       2\n\
         retention.completed         \"7d\"    \"3d\"\n"
    );
    assert!(err(&set).contains("until the server ends"), "{}", err(&set));
    assert_eq!(
        setting(server, "retention.completed"),
        json!({ "key": "retention.completed", "value": "\"3d\"", "source": "set while it runs, by cli", "live": true })
    );
    let entry = &trail(server, 2)[1];
    assert_eq!((&entry["by"], &entry["target"]), (&json!("cli"), &json!("queues.default.concurrency")));
    // It stands above the file.
    on.write("[queues.default]\nconcurrency = 5\n[retention]\nbatch = 9\n");
    becomes(server, "retention.batch", "9");
    assert_eq!(setting(server, "queues.default.concurrency")["value"], "2");
    // All of it or nothing, and what is wrong is told.
    let refused =
        patch(server, &json!({ "retention.batch": 8, "queues.default.concurrency": 0, "jobs.max": 1 }));
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("unknown key `jobs.max`"), "{refused:?}");
    let refused = patch(server, &json!({ "retention.batch": 8, "queues.default.concurrency": 0 }));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/queues.default.concurrency", "{refused:?}");
    assert_eq!(patch(server, &json!([1])).status, 400);
    assert_eq!(patch(server, &json!({ "retention.batch": [1] })).status, 400);
    assert_eq!(setting(server, "retention.batch")["value"], "9");
    let taken_back = patch(server, &json!({ "retention.completed": null }));
    assert_eq!(taken_back.status, 200, "{taken_back:?}");
    assert_eq!(taken_back.json()["applied"][0]["new"], "\"7d\"", "{taken_back:?}");
    let (data, folder) = on.server.kill();
    let path = on.file.to_str().expect("UTF-8");
    let again = Server::start_on(&data, &Options::arguments(&["--config", path])).expect("a server");
    assert_eq!(setting(&again, "queues.default.concurrency")["value"], "5");
    drop((folder, again));
}

#[test]
fn changes_at_the_same_time_are_made_one_after_the_other() {
    let on = Configured::start("");
    let server = &on.server;
    let keys = ["completed", "discarded", "cancelled", "events"];
    thread::scope(|scope| {
        for (index, key) in keys.iter().enumerate() {
            scope.spawn(move || {
                for round in 1..=5 {
                    let both = json!({ format!("retention.{key}"): format!("{round}h"), "retention.batch": 10 * round + index });
                    assert_eq!(patch(server, &both).status, 200);
                }
            });
        }
        scope.spawn(|| on.write("[jobs]\nmax_backlog = 77\n"));
    });
    for key in keys {
        assert_eq!(setting(server, &format!("retention.{key}"))["value"], "\"5h\"");
    }
    becomes(server, "jobs.max_backlog", "77");
    // Each change of the shared key begins where the one before it has ended.
    let page = server.get("/api/v1/audit?limit=1000").json();
    let entries = page["entries"].as_array().expect("an array").iter();
    let mut last = json!("1000");
    for entry in entries.rev().filter(|entry| entry["target"] == "retention.batch") {
        assert_eq!(entry["detail"]["old"], last, "{page}");
        last = entry["detail"]["new"].clone();
    }
    eventually("the trail has all", || {
        let page = server.get("/api/v1/audit?limit=1000").json();
        let newest = page["entries"]
            .as_array()
            .expect("an array")
            .iter()
            .find(|entry| entry["target"] == "retention.batch");
        newest.is_some_and(|entry| entry["detail"]["new"] == setting(server, "retention.batch")["value"])
    });
}

#[test]
fn a_node_is_set_through_another_one() {
    let database = Database::create();
    let options = |name: &str, arguments: &[&str]| {
        let mut options = Options::arguments(arguments);
        options.arguments.extend(["--set".to_owned(), "store.backend=postgres".to_owned()]);
        options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
        options.environment.push(("CALLBOARD__SYSTEM__NODE_NAME".to_owned(), name.to_owned()));
        options
    };
    let front = Server::start(&options("front", &["--roles", "gateway,read-model,leader"]));
    let worker = Server::worker(&options("w1", &["--queues", "mail.bulk=2"]));
    let shown = || {
        let nodes = front.get("/api/v1/nodes").json();
        nodes.as_array().expect("an array").iter().find(|node| node["name"] == "w1").cloned()
    };
    eventually("both are there", || shown().is_some_and(|node| node["capacity"] == 2));
    assert_eq!(setting(&worker, "queues.\"mail.bulk\".concurrency")["source"], "flag --queues");
    let set = ["config", "set", "queues.\"mail.bulk\".concurrency=5", "--node", "w1"];
    let done = front.cli(&set);
    assert_eq!(code(&done), 0, "{}", err(&done));
    assert!(out(&done).contains("queues.\"mail.bulk\".concurrency: 2 -> 5"), "{}", out(&done));
    assert_eq!(setting(&worker, "queues.\"mail.bulk\".concurrency")["value"], "5");
    eventually("the fleet knows it", || shown().is_some_and(|node| node["capacity"] == 5));
    let entry = &trail(&front, 1)[0];
    assert_eq!((&entry["by"], &entry["node"]), (&json!("cli"), &json!("w1")));
    // The word on the log goes the same way.
    assert_eq!(code(&front.cli(&["nodes", "log-level", "w1", "info,callboard=debug"])), 0);
    assert_eq!(setting(&worker, "log.level")["value"], "\"info,callboard=debug\"");
    let failed = front.cli(&["config", "set", "queues.\"mail.bulk\".concurrency=0", "--node", "w1"]);
    assert_eq!(code(&failed), 1, "{}", out(&failed));
    assert!(out(&failed).contains("expected 1 to 100000, found 0"), "{}", out(&failed));
    // What may be secret gets into no command.
    let refused = front.cli(&["config", "set", "store.url=postgres://me:hush@there/db", "--node", "w1"]);
    assert_eq!(code(&refused), 2, "{}", out(&refused));
    assert!(err(&refused).contains("needs a restart"), "{}", err(&refused));
    let told = front.get("/api/v1/commands").body + &front.get("/api/v1/audit").body;
    assert!(!told.contains("hush"), "{told}");
    assert_eq!(setting(&worker, "store.url")["value"].as_str().map(|url| url.contains("hush")), Some(false));
    // A worker takes changes by command alone.
    assert_eq!(patch(&worker, &json!({ "retention.batch": 5 })).status, 421);
    let unset = front.cli(&["config", "unset", "queues.\"mail.bulk\".concurrency", "--node", "w1"]);
    assert_eq!(code(&unset), 0, "{}", err(&unset));
    assert_eq!(setting(&worker, "queues.\"mail.bulk\".concurrency")["value"], "2");
}

#[tokio::test]
async fn an_app_changes_its_settings_and_reads_its_files_again() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("app.toml");
    fs::write(&file, "[queues.default]\nconcurrency = 4\n").expect("a file");
    let loader =
        Loader::new().file(&file).set("data.dir", folder.path().join("data").to_string_lossy(), "a test");
    let levels = Arc::new(Mutex::new(Vec::new()));
    let written = levels.clone();
    let app = App::builder()
        .configuration(Configuration::load(loader).expect("settings"))
        .log_level(move |level| {
            if level == "trace" {
                return Err("that is too much".to_owned());
            }
            written.lock().expect("no panic").push(level.to_owned());
            Ok(())
        })
        .start()
        .await
        .expect("an app");
    let changed = app.change_settings([("log.level", Some("debug"))]).await.expect("a change");
    assert_eq!((changed.applied.len(), changed.late.len()), (1, 0), "{changed:?}");
    assert_eq!(*levels.lock().expect("no panic"), ["debug"]);
    // What cannot be carried out takes nothing else with it.
    let refused = app.change_settings([("log.level", Some("trace")), ("retention.batch", Some("5"))]).await;
    assert!(refused.unwrap_err().to_string().contains("that is too much"));
    let running = app.running_settings();
    assert_eq!((running.log.level.as_str(), running.retention.batch), ("debug", 1000));
    fs::write(&file, "[queues.default]\nconcurrency = 9\n[web]\nworkers = 7\n").expect("a file");
    let changed = app.reread_settings().await.expect("a change");
    // The watcher may have been faster.
    assert!(changed.applied.len() <= 1, "{changed:?}");
    assert_eq!(changed.waiting[0].key, "web.workers");
    assert_eq!(app.running_settings().queue("default").concurrency, 9);
    assert_eq!(app.settings().queue("default").concurrency, 4, "as it was started");
    fs::write(&file, "[queues.default]\nconcurrency = \"many\"\n").expect("a file");
    let error = app.reread_settings().await.unwrap_err().to_string();
    assert!(error.contains("expected a whole number"), "{error}");
    assert!(app.settings_view().problem.is_some());
    app.stop().await;
}

#[tokio::test]
async fn an_app_whose_log_is_its_own_says_so() {
    let folder = TempDir::new().expect("a folder");
    let app = App::builder().data_dir(folder.path()).start().await.expect("an app");
    let refused = app.change_settings([("log.level", Some("debug"))]).await.unwrap_err().to_string();
    assert!(refused.contains("`log.level` needs a restart"), "{refused}");
    let view = app.settings_view();
    let level = view.settings.iter().find(|setting| setting.key == "log.level").expect("the level");
    assert!(!level.live);
    app.change_settings([("retention.batch", Some("5"))]).await.expect("a change");
    assert_eq!(app.running_settings().retention.batch, 5);
    app.stop().await;
}

#[test]
fn a_change_while_the_store_is_away_is_made_and_stands_in_the_trail_when_it_is_back() {
    let mut postgres = PrivatePostgres::start();
    let database = postgres.database();
    let mut options = Options::arguments(&["--set", "store.backend=postgres"]);
    options.environment.push(("CALLBOARD__STORE__URL".to_owned(), database.url().to_owned()));
    let server = Server::start(&options);
    eventually("it is ready", || server.get("/api/v1/ready").status == 200);
    postgres.kill();
    eventually("the store is away", || server.get("/api/v1/ready").status == 503);
    let changed =
        patch(&server, &json!({ "queues.default.concurrency": 7, "log.level": "info,callboard=debug" }));
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.json()["late"], Value::Null, "{changed:?}");
    assert_eq!(setting(&server, "queues.default.concurrency")["value"], "7");
    postgres.start_again();
    eventually("the store is back", || server.get("/api/v1/audit").status == 200);
    let targets: Vec<_> = trail(&server, 2).iter().map(|entry| entry["target"].clone()).collect();
    assert_eq!(targets, ["queues.default.concurrency", "log.level"]);
    eventually("the fleet knows it", || server.get("/api/v1/nodes").json()[0]["capacity"] == 7);
}
