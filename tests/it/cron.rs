//! The cron table of real servers: its times over the death of those who lead, its commands, its configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use callboard_testsupport::Database;
use serde_json::{Value, json};

use crate::{
    cli::{code, err, out},
    fleet_nodes::options,
    server::{Options, Server, eventually},
};

fn node(database: &Database, name: &str) -> Server {
    Server::start(&options(database, name, &[]))
}

/// The server that leads, as the store says, of those that live.
fn leader(servers: &[(String, Server)]) -> Option<usize> {
    let nodes = servers.first()?.1.get("/api/v1/nodes").json();
    let leads = nodes.as_array()?.iter().find(|node| node["leads"] == true)?["name"].as_str()?.to_owned();
    servers.iter().position(|(name, _)| *name == leads)
}

fn entry(server: &Server, name: &str) -> Value {
    server.get(&format!("/api/v1/cron/{name}")).json()
}

/// All jobs of an entry: the time that was due of each, with the job's state and node.
fn jobs(server: &Server, name: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut path = format!("/api/v1/jobs?tag=cron:{name}&limit=1000");
    loop {
        let page = server.get(&path).json();
        for job in page["jobs"].as_array().expect("jobs") {
            let id = job["id"].as_str().expect("an id");
            let job = server.get(&format!("/api/v1/jobs/{id}")).json();
            let due = job["metadata"]["cron"]["due"].as_str().expect("a time").to_owned();
            found.push((due, job["created_at"].as_str().expect("a time").to_owned()));
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/jobs?tag=cron:{name}&limit=1000&cursor={cursor}"),
            None => return found,
        }
    }
}

/// Of three servers, the one that leads is killed, twice: each second is fired once all the same.
#[test]
fn each_time_is_fired_once_though_leaders_are_killed() {
    let database = Database::create();
    let mut servers: Vec<(String, Server)> =
        ["a", "b", "c"].map(|name| (name.to_owned(), node(&database, name))).into();
    let put = json!({
        "expression": "* * * * * *", "job": { "type": "noop" }, "backfill": "all",
    });
    let answer = servers[0].1.request(
        "PUT",
        "/api/v1/cron/tick",
        &[("Content-Type", "application/json")],
        &put.to_string(),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let first = answer.json()["next_times"][0]["at"].as_str().expect("a time").to_owned();
    let fired =
        |servers: &[(String, Server)]| entry(&servers[0].1, "tick")["fired"].as_u64().expect("a number");
    let mut deaths = BTreeMap::new();
    for _ in 0..2 {
        let before = fired(&servers);
        let mut place = None;
        // It is killed right after a time, before anybody has looked whether that was fired.
        eventually("it fires, and somebody leads", || {
            place = leader(&servers).filter(|_| fired(&servers) >= before + 2);
            place.is_some()
        });
        let (name, killed) = servers.remove(place.expect("a leader"));
        let count = fired(&servers[..1]);
        drop(killed.kill());
        deaths.insert(count, name);
    }
    let before = fired(&servers);
    eventually("another one goes on", || fired(&servers) >= before + 3);
    let last = &servers[0].1;
    let paused = last.post("/api/v1/cron/tick/pause", "{}");
    assert_eq!(paused.status, 200, "{paused:?}");
    let entry = paused.json();
    let jobs = jobs(last, "tick");
    let due: BTreeSet<&String> = jobs.iter().map(|(due, _)| due).collect();
    assert_eq!(due.len(), jobs.len(), "a time is fired twice: {jobs:?}");
    assert_eq!(due.len() as u64, entry["fired"].as_u64().expect("a number"));
    assert_eq!((&entry["missed"], &entry["skipped"]), (&json!(0), &json!(0)), "{entry}");
    // Each second from the first to the last is there.
    let second = |due: &str| {
        let at: callboard::contracts::Timestamp = due.parse().expect("a time");
        at.as_micros() / 1_000_000
    };
    let seconds: Vec<i64> = due.iter().map(|due| second(due)).collect();
    let begin = second(&first);
    assert_eq!(seconds, (begin..begin + seconds.len() as i64).collect::<Vec<_>>());
    println!("{:27}  {:27}  ", "DUE", "STORED");
    let stored: BTreeMap<_, _> = jobs.iter().map(|(due, at)| (due, at)).collect();
    for (number, (due, at)) in stored.iter().enumerate() {
        let died = deaths.get(&(number as u64)).map(|name| format!("{name}, who led, was killed"));
        println!("{due}  {at}  {}", died.unwrap_or_default());
    }
}

#[test]
fn the_table_is_seen_to_from_the_command_line() {
    let server = Server::start(&Options::default());
    let set = ["cron", "set", "nightly", "30 2 * * MON-FRI", "sleep", "--payload", "{\"ms\": 1}"];
    let set = server.cli(&[&set[..], &["--time-zone", "Europe/Berlin", "--overlap", "skip"]].concat());
    assert_eq!(code(&set), 0, "{}", err(&set));
    assert!(out(&set).contains("Europe/Berlin"), "{}", out(&set));
    let list = out(&server.cli(&["cron"]));
    assert!(list.starts_with("ENTRY") && list.contains("nightly") && list.contains("api"), "{list}");
    let run = server.cli(&["cron", "run", "nightly"]);
    let id = out(&run).trim().to_owned();
    assert_eq!(server.get(&format!("/api/v1/jobs/{id}")).json()["tags"], json!(["cron:nightly"]));
    let shown = out(&server.cli(&["cron", "show", "nightly"]));
    assert!(shown.contains("LOCAL") && shown.contains("T02:30:00+0") && shown.contains("by_hand"), "{shown}");
    let next = out(&server.cli(&["cron", "next", "30 2 31 10 *", "--time-zone", "Europe/Berlin", "-n", "2"]));
    assert_eq!(next.lines().count(), 4, "{next}");
    assert!(next.contains("-10-31T02:30:00+0"), "{next}");
    let wrong = server.cli(&["cron", "next", "soon"]);
    assert_eq!(code(&wrong), 2);
    assert!(err(&wrong).contains("is no cron expression"), "{}", err(&wrong));
    // What is shown can be given back.
    let definition = server.json(&["cron", "show", "nightly", "--json"])["definition"].to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("definition.json");
    fs::write(&file, definition).expect("a file");
    let copy = server.cli(&["cron", "set", "copy", "--file", file.to_str().expect("a path")]);
    assert_eq!(code(&copy), 0, "{}", err(&copy));
    assert!(out(&server.cli(&["cron", "pause", "copy"])).contains("copy"));
    assert!(entry(&server, "copy")["paused_at"].is_string());
    assert_eq!(code(&server.cli(&["cron", "resume", "copy"])), 0);
    assert_eq!(out(&server.cli(&["cron", "delete", "copy"])).trim(), "copy is gone");
    let gone = server.cli(&["cron", "show", "copy"]);
    assert_eq!(code(&gone), 1);
    assert_eq!(server.get("/api/v1/cron/copy").json()["type"], "urn:callboard:problem:not-found");
    let trail = out(&server.cli(&["audit"]));
    assert!(trail.contains("cron.put") && trail.contains("cron.delete"), "{trail}");
}

#[test]
fn entries_of_the_configuration_come_and_go_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("callboard.toml");
    let nightly = "[cron.entries.nightly]\nexpression = \"30 2 * * *\"\ntime_zone = \"Europe/Berlin\"\n\
                   type = \"sleep\"\npayload = { ms = 250 }\n";
    fs::write(&file, nightly).expect("a file");
    let options = Options::arguments(&["--config", file.to_str().expect("a path")]);
    let server = Server::start(&options);
    eventually("it is there", || server.get("/api/v1/cron/nightly").status == 200);
    let shown = entry(&server, "nightly");
    assert_eq!(
        (&shown["source"], &shown["description"]),
        (&json!("configuration"), &json!("At 02:30 (Europe/Berlin)"))
    );
    assert_eq!(shown["definition"]["job"], json!({"type": "sleep", "payload": {"ms": 250}}));
    let refused =
        server.request("DELETE", "/api/v1/cron/nightly", &[("Content-Type", "application/json")], "{}");
    assert_eq!((refused.status, &refused.json()["type"]), (409, &json!("urn:callboard:problem:held")));
    // A file that cannot be taken up changes nothing, and is told of.
    fs::write(&file, nightly.replace("30 2 * * *", "30 25 * * *")).expect("a file");
    eventually("it is told of", || {
        server.get("/api/v1/settings").json()["problem"]
            .as_str()
            .is_some_and(|told| told.contains("cron.entries.nightly.expression"))
    });
    assert_eq!(entry(&server, "nightly")["definition"]["expression"], "30 2 * * *");
    fs::write(
        &file,
        format!("{nightly}\n[cron.entries.hourly]\nexpression = \"@hourly\"\ntype = \"noop\"\n"),
    )
    .expect("a file");
    eventually("another one is there", || server.get("/api/v1/cron/hourly").status == 200);
    fs::write(&file, "").expect("a file");
    eventually("they are gone", || server.get("/api/v1/cron").json() == json!([]));
}

/// What stands in `docs/cron.md` to be written and typed, is.
#[test]
fn the_page_is_true() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cron.md")).expect("the page");
    let (_, rest) = page.split_once("```toml\n").expect("a configuration");
    let (configuration, _) = rest.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("callboard.toml");
    fs::write(&file, configuration).expect("a file");
    let server = Server::start(&Options::arguments(&["--config", file.to_str().expect("a path")]));
    eventually("its entries are there", || {
        let entries = server.get("/api/v1/cron").json();
        let names = entries.as_array().expect("an array").iter().map(|entry| entry["name"].as_str());
        names.flatten().eq(["nightly", "poll"])
    });
    let program =
        std::path::Path::new(env!("CARGO_BIN_EXE_callboard")).parent().expect("a folder").to_owned();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    $ ")).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        let output = std::process::Command::new("sh")
            .args(["-c", command])
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
            .env("CALLBOARD_URL", server.url())
            .output()
            .expect("a shell");
        assert_eq!(code(&output), 0, "{command}: {}", err(&output));
    }
}
