//! Queues that crash too often, in real processes.

use callboard_testsupport::Database;
use serde_json::{Value, json};

use crate::{
    cli::{code, err, out},
    fleet_nodes::options,
    server::{Options, Server, eventually, run},
};

const MAIL: &str = "queues.mail.concurrency=4";

/// A server with a queue `mail` whose actors or jobs crash as the failpoint says.
fn crashing(failpoint: &str, settings: &[&str]) -> Options {
    let mut options = Options::arguments(&["--set", MAIL]);
    for setting in settings {
        options.arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    options.environment.push(("CALLBOARD_FAILPOINTS".to_owned(), failpoint.to_owned()));
    options
}

fn submit(server: &Server, job: &Value) -> String {
    let answer = server.post("/api/v1/jobs", &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn mail(server: &Server) -> Value {
    let answer = server.get("/api/v1/queues/mail");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn is_paused(server: &Server) -> Value {
    let mut found = Value::Null;
    eventually("the queue is paused", || {
        found = mail(server);
        found["paused_at"].is_string()
    });
    found
}

fn reaches(server: &Server, id: &str, state: &str) {
    eventually(&format!("job {id} is {state}"), || {
        server.get(&format!("/api/v1/jobs/{id}")).json()["state"] == state
    });
}

fn metric(server: &Server, line: &str) {
    eventually(line, || server.get("/metrics").body.lines().any(|found| found == line));
}

/// Waits until the node has looked at its queues: from then on it counts what crashes.
fn counts(server: &Server) {
    metric(server, "callboard_queue_paused{cause=\"requested\",queue=\"mail\"} 0");
}

fn ready(server: &Server) -> Value {
    let answer = server.get("/api/v1/ready");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The entries of the audit trail with this action.
fn trail(server: &Server, action: &str) -> Vec<Value> {
    let page = server.get("/api/v1/audit?limit=100").json();
    let entries = page["entries"].as_array().expect("an array").iter();
    entries.filter(|entry| entry["action"] == action).cloned().collect()
}

fn noop() -> Value {
    json!({ "type": "noop", "queue": "mail", "max_attempts": 500 })
}

#[test]
fn jobs_that_panic_pause_their_queue_until_somebody_lets_it_go_on() {
    let quick = ["retry.min=10ms", "retry.max=20ms", "queues.mail.pause_after_crashes=3"];
    let mut server = Server::start(&crashing("run.before=panic@3", &quick));
    counts(&server);
    let id = submit(&server, &noop());
    let queue = is_paused(&server);
    let pause = &queue["pause"];
    assert_eq!((&pause["cause"], &pause["crashes"]["count"]), (&json!("job_crashes"), &json!(3)), "{queue}");
    let last = &pause["crashes"]["last"];
    assert_eq!((&last["job"], &last["type"], &last["attempt"]), (&json!(id), &json!("noop"), &json!(3)));
    assert_eq!(
        (&last["kind"], &last["message"]),
        (&json!("panicked"), &json!("the failpoint run.before panics"))
    );
    let node = pause["crashes"]["node"].as_str().expect("a node").to_owned();
    assert_eq!(pause["by"], format!("node {node}"));
    // Everywhere where one looks.
    let listed = server.get("/api/v1/queues").json();
    let listed = listed.as_array().expect("an array").iter().find(|queue| queue["name"] == "mail");
    assert_eq!(listed.map(|queue| &queue["pause"]), Some(pause));
    metric(&server, "callboard_queue_paused{cause=\"job_crashes\",queue=\"mail\"} 1");
    metric(&server, "callboard_queue_paused{cause=\"job_crashes\",queue=\"default\"} 0");
    let entries = trail(&server, "queue.pause");
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((&entries[0]["by"], &entries[0]["target"]), (&pause["by"], &json!("mail")));
    assert_eq!((entries[0].get("role"), &entries[0]["detail"]), (None, pause));
    let mut said = Value::Null;
    eventually("the readiness tells of it", || {
        let readiness = ready(&server);
        let reasons = readiness["reasons"].as_array().expect("an array");
        let found = reasons.iter().find(|reason| reason["actor"] == "queues/queue-mail");
        said = found.cloned().unwrap_or_default();
        readiness["status"] == "ready" && found.is_some()
    });
    let said = said["reason"].as_str().expect("a reason");
    assert!(
        said.starts_with("paused since ") && said.contains(": 3 attempts crashed within 60s on"),
        "{said}"
    );
    // Everybody may ask that, so what jobs say is not in it.
    assert!(!said.contains("failpoint"), "{said}");
    assert!(out(&server.cli(&["tree"])).contains("paused since "), "{}", out(&server.cli(&["tree"])));
    let list = out(&server.cli(&["queues"]));
    assert!(list.contains("REASON") && list.contains("3 attempts crashed within 60s on node"), "{list}");
    let shown = out(&server.cli(&["queues", "show", "mail"]));
    for line in [
        "cause:        job_crashes",
        "crashes:      3 within 60s on ",
        "message:      the failpoint run.before panics",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
    assert_eq!(server.json(&["queues", "show", "mail", "--json"])["pause"], *pause);
    // The others work.
    let other = submit(&server, &json!({ "type": "noop" }));
    reaches(&server, &other, "completed");
    // It is so after a death, too, and nothing of the queue runs.
    let folder = server.keep_folder();
    let (data, _) = server.kill();
    let server = Server::start_on(&data, &crashing("", &quick)).expect("it starts again");
    let again = mail(&server);
    assert_eq!((&again["paused_at"], &again["pause"]), (&queue["paused_at"], pause));
    counts_of_paused(&server);
    assert_ne!(server.get(&format!("/api/v1/jobs/{id}")).json()["state"], "completed");
    let resumed = server.cli(&["queues", "resume", "mail"]);
    assert_eq!(code(&resumed), 0, "{}", err(&resumed));
    reaches(&server, &id, "completed");
    let queue = mail(&server);
    assert!(queue.get("paused_at").is_none() && queue.get("pause").is_none(), "{queue}");
    metric(&server, "callboard_queue_paused{cause=\"job_crashes\",queue=\"mail\"} 0");
    assert_eq!(trail(&server, "queue.resume").len(), 1);
    eventually("nothing is said of it", || ready(&server)["reasons"].as_array().is_some_and(Vec::is_empty));
    drop(folder);
}

fn counts_of_paused(server: &Server) {
    metric(server, "callboard_queue_paused{cause=\"job_crashes\",queue=\"mail\"} 1");
}

#[test]
fn a_producer_that_keeps_crashing_pauses_its_queue_and_comes_back() {
    // Both queues have a producer that comes there; that of `default` has budget enough.
    let settings = [
        "queues.default.max_restarts=900",
        "queues.default.restart_backoff_min=1ms",
        "queues.default.restart_backoff_max=20ms",
        "queues.mail.max_restarts=2",
        "queues.mail.restart_backoff_min=200ms",
        "queues.mail.restart_backoff_max=400ms",
    ];
    let server = Server::start(&crashing("claim.begin=panic@60", &settings));
    let queue = is_paused(&server);
    let pause = &queue["pause"];
    assert_eq!(
        (&pause["cause"], &pause["crashes"]["count"]),
        (&json!("actor_crashes"), &json!(3)),
        "{queue}"
    );
    let last = &pause["crashes"]["last"];
    assert_eq!(last["actor"], "queues/queue-mail/producer", "{queue}");
    assert!(last["message"].as_str().is_some_and(|text| text.contains("claim.begin panics")), "{queue}");
    assert_eq!(trail(&server, "queue.pause").len(), 1);
    metric(&server, "callboard_queue_paused{cause=\"actor_crashes\",queue=\"mail\"} 1");
    // The node lives, the other queue goes on when its own crashes are over, and then the node is ready.
    let other = submit(&server, &json!({ "type": "noop" }));
    reaches(&server, &other, "completed");
    eventually("the node is ready", || server.get("/api/v1/ready").status == 200);
    assert!(mail(&server)["paused_at"].is_string());
    let id = submit(&server, &noop());
    assert_eq!(server.post("/api/v1/queues/mail/resume", "{}").status, 200);
    reaches(&server, &id, "completed");
    assert!(mail(&server).get("paused_at").is_none());
}

#[test]
fn crashes_on_one_worker_pause_the_queue_for_the_fleet() {
    let database = Database::create();
    let server =
        Server::start(&options(&database, "front", &["--roles", "gateway,read-model,leader", "--set", MAIL]));
    let worker = |name: &str, failpoint: &str, settings: &[&str]| {
        let mut options = options(&database, name, &["--queues", "default,mail"]);
        for setting in ["retry.min=200ms", "retry.max=200ms"].iter().chain(settings) {
            options.arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        options.environment.push(("CALLBOARD_FAILPOINTS".to_owned(), failpoint.to_owned()));
        Server::worker(&options)
    };
    // More than the queue will see: whatever runs on it panics.
    let broken = worker("w1", "run.before=panic@100000", &["queues.mail.pause_after_crashes=400"]);
    counts(&broken);
    let first = submit(&server, &noop());
    let attempts =
        || server.get(&format!("/api/v1/jobs/{first}")).json()["attempts"].as_array().map_or(0, Vec::len);
    eventually("it has crashed", || attempts() > 5);
    assert!(mail(&server).get("paused_at").is_none());
    // From now on 10 are too many, of which it hears while it runs.
    let set = server.cli(&["config", "set", "queues.mail.pause_after_crashes=10", "--node", "w1"]);
    assert_eq!(code(&set), 0, "{}", err(&set));
    let queue = is_paused(&server);
    let crashes = &queue["pause"]["crashes"];
    assert_eq!((&crashes["node"], &crashes["count"]), (&json!("w1"), &json!(10)), "{queue}");
    broken.kill();
    // Another worker, without fault, does nothing for the queue: it is paused for all of them.
    let sound = worker("w2", "", &[]);
    counts_of_paused(&sound);
    let other = submit(&server, &json!({ "type": "noop" }));
    reaches(&server, &other, "completed");
    let second = submit(&server, &noop());
    assert_eq!(mail(&server)["pause"], queue["pause"]);
    assert_ne!(server.get(&format!("/api/v1/jobs/{second}")).json()["state"], "completed");
    let waits = server.get(&format!("/api/v1/jobs/{second}")).json()["waits_for"].clone();
    assert!(waits.as_str().is_some_and(|text| text.contains("which is paused since")), "{waits}");
    let shown = out(&server.cli(&["queues", "show", "mail"]));
    assert!(shown.contains("crashes:      10 within 60s on w1"), "{shown}");
    assert_eq!(trail(&server, "queue.pause").len(), 1);
    assert_eq!(server.post("/api/v1/queues/mail/resume", "").status, 200);
    for id in [first, second] {
        reaches(&server, &id, "completed");
    }
}

#[test]
fn a_person_gives_a_reason_too_and_what_cannot_be_is_said() {
    let server = Server::start(&Options::arguments(&["--set", MAIL]));
    let pause = server.cli(&["queues", "pause", "mail", "--reason", "the mail server moves"]);
    assert_eq!(code(&pause), 0, "{}", err(&pause));
    assert!(out(&pause).contains("the mail server moves"), "{}", out(&pause));
    let queue = mail(&server);
    assert_eq!(
        queue["pause"],
        json!({ "cause": "requested", "by": "cli", "reason": "the mail server moves" })
    );
    assert_eq!(trail(&server, "queue.pause")[0]["detail"], json!({ "reason": "the mail server moves" }));
    metric(&server, "callboard_queue_paused{cause=\"requested\",queue=\"mail\"} 1");
    eventually("the readiness tells of it", || {
        let reasons = ready(&server)["reasons"].to_string();
        assert!(!reasons.contains("moves"), "everybody may ask: {reasons}");
        reasons.contains("somebody has asked for it")
    });
    let post = |body: &str| server.post("/api/v1/queues/mail/pause", body);
    // Again, without and with another one: it stays as it is.
    for body in ["", "{}", r#"{"reason":"another"}"#] {
        let answer = post(body);
        assert_eq!((answer.status, &answer.json()["pause"]), (200, &queue["pause"]), "{body:?}");
    }
    for (body, status) in [("{", 400), ("7", 400), (r#"{"why":"x"}"#, 400), (r#"{"reason":7}"#, 400)] {
        assert_eq!(post(body).status, status, "{body}");
    }
    let long = post(&json!({ "reason": "x".repeat(501) }).to_string());
    assert_eq!((long.status, &long.json()["errors"][0]["pointer"]), (422, &json!("/reason")));
    assert_eq!(server.post("/api/v1/queues/unknown/pause", "{}").status, 404);
    let unknown = server.cli(&["queues", "show", "unknown"]);
    assert_ne!(code(&unknown), 0);
    assert!(err(&unknown).contains("there is no such queue"), "{}", err(&unknown));

    // What the settings may not say, before anything starts.
    for (setting, said) in [
        ("queues.mail.restart_strategy=all", "one_for_one"),
        ("queues.mail.max_restarts=1001", "expected 0 to 1000"),
        ("queues.mail.restart_period=0s", "1s to 1d"),
        ("queues.mail.crash_period=2d", "1s to 1d"),
        ("queues.mail.pause_after_crashes=-1", "pause_after_crashes"),
        ("queues.mail.pause_after_crashes=10001", "expected 0 to 10000"),
        ("queues.mail.crash_kinds=failed", "timed_out"),
        ("queues.mail.crash_kinds=", "some kind of end must count"),
        ("queues.mail.restart_backoff_min=11s", "must not be larger than"),
        ("queues.mail.restart_period=10s", "can never be used up"),
        ("queues.mail.max_restart=3", "max_restarts"),
    ] {
        let refused = run(&["serve", "--set", setting]);
        assert_eq!(code(&refused), 2, "{setting}: {}", err(&refused));
        assert!(err(&refused).contains(said), "{setting}: {}", err(&refused));
    }
    // While it runs what the actors are built of stays, and the rest is taken up.
    let strategy = server.cli(&["config", "set", "queues.mail.restart_strategy=one_for_all"]);
    assert_eq!(code(&strategy), 2, "{}", err(&strategy));
    assert!(err(&strategy).contains("needs a restart"), "{}", err(&strategy));
    let wrong = server.cli(&["config", "set", "queues.mail.restart_period=2s"]);
    assert!(code(&wrong) != 0 && err(&wrong).contains("can never be used up"), "{}", err(&wrong));
    let set = server.cli(&["config", "set", "queues.mail.max_restarts=3", "queues.mail.restart_period=30s"]);
    assert_eq!(code(&set), 0, "{}", err(&set));
    let allowed = || {
        let tree = server.get("/api/v1/tree").json();
        let child = |node: &Value, name: &str| {
            let children = node["children"].as_array().expect("children").clone();
            children.into_iter().find(|child| child["name"] == name).expect("it is there")
        };
        child(&child(&tree, "queues"), "queue-mail")["restarts_allowed"].clone()
    };
    assert_eq!(allowed(), 3);
}
