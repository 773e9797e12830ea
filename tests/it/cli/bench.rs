//! `bench`: with few jobs, every part of it, and what is left behind.

use std::{
    fs,
    io::Read,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{code, err, out};
use crate::server::{callboard, eventually, run};

fn bench(place: &TempDir, more: &[&str]) -> Child {
    let mut command = callboard();
    command
        .args([
            "bench",
            "jobs",
            "--concurrency",
            "5",
            "--connections",
            "1,4",
            "--continuous-seconds",
            "4",
            "--place",
        ])
        .arg(place.path());
    command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn folders(place: &TempDir) -> usize {
    fs::read_dir(place.path()).expect("a folder").count()
}

#[test]
fn every_part_is_measured_and_nothing_is_left() {
    let place = TempDir::new().expect("a folder");
    let jobs = ["--jobs", "1500", "--latency-jobs", "5", "--post-jobs", "100", "--durability", "relaxed"];
    let output = bench(&place, &jobs).wait_with_output().expect("an end");
    assert_eq!(code(&output), 0, "{}", err(&output));
    let report: Value = serde_json::from_str(&out(&output)).expect("JSON");
    let at = |pointer: &str| report.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {report}"));
    assert_eq!(at("/durability"), "relaxed");
    assert_eq!(at("/optimised"), !cfg!(debug_assertions));
    assert_eq!(at("/bulk_enqueue/jobs"), 1500);
    // Each job is validated, executed and completed; so is the one that told where the log was, and the other one of
    // the kind is created. Each of the five that were in the way fails, as it is cancelled, and says before that it is
    // asked to.
    let events = at("/drain/events").as_u64().expect("a number");
    assert!((1500 * 3 + 4..=1500 * 3 + 4 + 5 * 2).contains(&events), "{events}");
    for positive in [
        "/machine/cores",
        "/machine/memory_bytes",
        "/machine/disk_sync_us",
        "/bulk_enqueue/jobs_per_second",
        "/drain/jobs_per_second",
        "/start_latency/p50_ms",
        "/post_jobs/0/jobs_per_second",
        "/post_jobs/1/jobs_per_second",
        "/post_jobs_while_draining/jobs_per_second",
        "/continuous/jobs_per_second",
        "/continuous/most_bytes",
        "/memory/idle_bytes",
    ] {
        assert!(at(positive).as_f64().is_some_and(|number| number > 0.0), "{positive}: {report}");
    }
    for part in ["/start_latency", "/post_jobs/1", "/post_jobs_while_draining"] {
        let times =
            ["p50_ms", "p95_ms", "p99_ms", "max_ms"].map(|name| at(&format!("{part}/{name}")).as_f64());
        assert!(times.is_sorted(), "{part}: {report}");
    }
    assert_eq!(folders(&place), 0);
}

/// The filled store answers every list as it must, on both backends; the bench itself compares.
#[test]
fn a_filled_store_is_asked_in_every_way_and_gives_the_right_answers() {
    let place = TempDir::new().expect("a folder");
    let database = callboard_testsupport::Database::create();
    for postgres in [None, Some(&database)] {
        let mut command = callboard();
        command.args(["bench", "queries", "--rows", "3000", "--repeat", "3", "--place"]).arg(place.path());
        if let Some(database) = postgres {
            command.env("CALLBOARD_BENCH_POSTGRES", database.url());
        }
        let output = command.output().expect("the program starts");
        assert_eq!(code(&output), 0, "{}", err(&output));
        let report: Value = serde_json::from_str(&out(&output)).expect("JSON");
        assert_eq!(report["store"], if postgres.is_some() { "postgres" } else { "sqlite" });
        assert_eq!(report["rows"], 3000);
        let queries = report["queries"].as_array().expect("queries");
        assert!(queries.len() > 15, "{report}");
        for query in queries {
            assert_eq!(query["requests"], 3, "{query}");
            assert!(query["p95_ms"].as_f64().is_some_and(|time| time > 0.0), "{query}");
        }
        assert_eq!(folders(&place), 0);
    }
}

#[test]
fn every_watcher_gets_every_event() {
    let place = TempDir::new().expect("a folder");
    let database = callboard_testsupport::Database::create();
    for postgres in [None, Some(&database)] {
        let mut command = callboard();
        command.args(["bench", "watchers", "--watchers", "20", "--rate", "10", "--seconds", "1", "--place"]);
        command.arg(place.path());
        if let Some(database) = postgres {
            command.env("CALLBOARD_BENCH_POSTGRES", database.url());
        }
        let output = command.output().expect("the program starts");
        assert_eq!(code(&output), 0, "{}", err(&output));
        let report: Value = serde_json::from_str(&out(&output)).expect("JSON");
        for (name, expected) in
            [("jobs", 10), ("events", 40), ("deliveries", 800), ("lost", 0), ("out_of_order", 0)]
        {
            assert_eq!(report[name], expected, "{name}: {report}");
        }
        let times = ["p50_ms", "p95_ms", "p99_ms", "max_ms"];
        assert!(times.map(|name| report["since_written"][name].as_f64()).is_sorted(), "{report}");
        assert!(
            report["memory"]["most_bytes"].as_u64() >= report["memory"]["watched_bytes"].as_u64(),
            "{report}"
        );
        assert_eq!(folders(&place), 0);
    }
}

#[test]
fn a_limit_that_is_passed_fails_and_says_by_what() {
    let place = TempDir::new().expect("a folder");
    let mut command = callboard();
    command.args(["bench", "queries", "--rows", "1000", "--repeat", "2", "--limit", "0.001", "--place"]);
    let output = command.arg(place.path()).output().expect("the program starts");
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("everything: the 95th percentile is "), "{}", err(&output));
    assert_eq!((folders(&place), out(&output).as_str()), (0, ""));
}

#[test]
fn interrupted_it_leaves_no_server_and_no_folder() {
    for signal in [Signal::INT, Signal::TERM] {
        ended_by(signal);
    }
}

fn ended_by(signal: Signal) {
    let place = TempDir::new().expect("a folder");
    let mut bench = bench(&place, &["--latency-jobs", "1000000"]);
    eventually("a server has its folder", || folders(&place) == 1);
    kill_process(Pid::from_child(&bench), signal).expect("it is there");
    let status = bench.wait().expect("an end");
    let mut said = String::new();
    bench.stdout.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
    assert_eq!((status.code(), said.as_str()), (Some(130), ""));
    assert_eq!(crate::checksums::processes_of(place.path()).len(), 0);
    assert_eq!(folders(&place), 0);
}

#[test]
fn what_cannot_be_measured_is_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let place = file.path().display().to_string();
    let output = run(&["bench", "jobs", "--place", &place]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).starts_with(&format!("callboard: --place {place}: ")), "{}", err(&output));
    for (flag, value) in [("--jobs", "0"), ("--connections", "4001"), ("--concurrency", "x")] {
        let output = run(&["bench", "jobs", flag, value]);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains(flag), "{}", err(&output));
    }
}

#[test]
fn unique_jobs_are_measured_beside_ever_more_of_them() {
    let place = TempDir::new().expect("a folder");
    let folder = place.path().to_str().expect("UTF-8");
    let few =
        ["bench", "unique", "--rows", "30,0", "--repeat", "5", "--durability", "relaxed", "--place", folder];
    let output = run(&few);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let report: Value = serde_json::from_str(&out(&output)).expect("JSON");
    let steps = report["steps"].as_array().expect("steps");
    let rows: Vec<Option<u64>> = steps.iter().map(|step| step["rows"].as_u64()).collect();
    assert_eq!(rows, [Some(0), Some(30)], "{report}");
    for kind in ["plain", "free", "taken"] {
        assert_eq!(steps[1][kind]["requests"], 5, "{report}");
        assert!(steps[1][kind]["p50_ms"].as_f64().is_some_and(|time| time > 0.0), "{report}");
    }
    assert_eq!(folders(&place), 0);
}
