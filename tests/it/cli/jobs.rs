//! `jobs list|show|cancel|retry`, as people and as programs see them.

use serde_json::Value;

use super::{code, err, out, with_input, without_times};
use crate::server::{Options, Server};

fn id(number: u32) -> String {
    format!("01890a5d-ac96-774b-bcce-b302099a80{number:02}")
}

/// Three jobs: one done, one dead, one that runs for long.
fn fixed() -> Server {
    let options = ["--allow-program", "sha256sum", "--set", "system.node_name=here"];
    let server = Server::start(&Options::arguments(&options));
    let done = server.cli(&["submit", "sleep", "--payload", r#"{"ms":1}"#, "--id", &id(1), "--wait"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    let mut dead = server.command(&["submit", "command", "--max-attempts", "1", "--wait", "--id", &id(2)]);
    let dead = dead.args(["--", "sha256sum", "/nowhere"]).output().expect("the program starts");
    assert_eq!(code(&dead), 1, "{}", err(&dead));
    let runs = server.cli(&["submit", "sleep", "--payload", r#"{"ms":600000}"#, "--id", &id(3)]);
    assert_eq!(code(&runs), 0, "{}", err(&runs));
    crate::server::eventually("it runs", || {
        server.get(&format!("/api/v1/jobs/{}", id(3))).json()["status"] == "EXECUTING"
    });
    server
}

#[test]
fn people_see_a_table_and_the_whole_of_a_job() {
    let server = fixed();
    let list = server.cli(&["jobs", "list"]);
    let dead = server.json(&["jobs", "show", &id(2), "--json"]);
    let error = dead["last_error"].as_str().expect("an error");
    assert!(error.len() > 60, "long enough to be cut: {error}");
    let short = format!("{}…", &error[..59]);
    let expected = format!(
        "ID                                    TYPE     QUEUE    STATE      ATTEMPT  CREATED                      LAST ERROR\n\
         {}  sleep    default  executing  1/5      TIME\n\
         {}  command  default  discarded  1/1      TIME  {short}\n\
         {}  sleep    default  completed  1/5      TIME\n",
        id(3),
        id(2),
        id(1)
    );
    assert_eq!(without_times(&out(&list)), expected);

    let shown = server.cli(&["jobs", "show", &id(1)]);
    let job = server.json(&["jobs", "show", &id(1), "--json"]);
    let trace = job["correlation_id"].as_str().expect("an id").replace('-', "");
    assert_eq!(job["trace_id"], *trace);
    let expected = format!(
        "{}  sleep  completed\n\
         queue      default\n\
         attempt    1 of 5\n\
         timeout    900s an attempt\n\
         created    TIME\n\
         started    TIME\n\
         finished   TIME\n\
         trace      {trace}\n\
         payload    {{\"ms\":1}}\n\
         attempt 1  completed at TIME on here\n",
        id(1)
    );
    assert_eq!(without_times(&out(&shown)), expected);
}

#[test]
fn pages_hang_together_and_filters_hold() {
    let server = fixed();
    let ids = |list: &Value| -> Vec<String> {
        let jobs = list["jobs"].as_array().expect("jobs");
        jobs.iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
    };
    let first = server.json(&["jobs", "list", "--json", "--limit", "2"]);
    assert_eq!(ids(&first), [id(3), id(2)]);
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = server.json(&["jobs", "list", "--json", "--limit", "2", "--cursor", cursor]);
    assert_eq!((ids(&second), &second["next_cursor"]), (vec![id(1)], &Value::Null));
    let human = server.cli(&["jobs", "list", "--limit", "2"]);
    let more = format!("there are more: go on with --cursor {cursor}, or list all with --all\n");
    assert_eq!((code(&human), err(&human)), (0, more));
    let some = server.json(&["jobs", "list", "--json", "--state", "discarded,completed", "--type", "sleep"]);
    assert_eq!(ids(&some), [id(1)]);

    assert_eq!(code(&server.cli(&["submit", "noop", "--count", "1200", "--wait", "--quiet"])), 0);
    let all = out(&server.cli(&["jobs", "list", "--all", "--json", "--state=completed"]));
    let lines: Vec<Value> =
        all.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    assert_eq!(lines.len(), 1201, "over more than one page");
    assert_eq!(lines[1200]["id"], id(1));
    let many = server.json(&["jobs", "list", "--json", "--limit", "1100"]);
    assert_eq!(ids(&many).len(), 1100, "over more than one page");
}

#[test]
fn dead_jobs_are_run_again_all_at_once() {
    let server = fixed();
    let refused = server.cli(&["jobs", "retry", "--all", "--state", "discarded"]);
    assert_eq!(code(&refused), 2, "nobody is there to be asked");
    let nothing =
        with_input(server.command(&["jobs", "retry", "--all", "--state", "cancelled", "--yes"]), "");
    assert_eq!((code(&nothing), &*err(&nothing), &*out(&nothing)), (0, "there are no such jobs\n", ""));
    let retried = server.json(&["jobs", "retry", "--all", "--state", "discarded", "--yes", "--json"]);
    assert_eq!(retried["replay_of"], id(2));
    let human = server.cli(&["jobs", "retry", &id(1), &id(2)]);
    let lines: Vec<String> = out(&human).lines().map(str::to_owned).collect();
    assert_eq!((code(&human), lines.len()), (0, 2), "{lines:?}");
    assert!(lines[0].ends_with(&format!("  a replay of {}", id(1))), "{lines:?}");
}

#[test]
fn running_and_waiting_jobs_are_called_off() {
    let server = fixed();
    let cancelled =
        server.cli(&["jobs", "cancel", "--all", "--state", "executing", "--queue", "default", "-y"]);
    assert_eq!((code(&cancelled), out(&cancelled)), (0, format!("{}  executing, told to end\n", id(3))));
    crate::server::eventually("it has ended", || {
        server.json(&["jobs", "show", &id(3), "--json"])["state"] == "cancelled"
    });
}

#[test]
fn job_types_are_told_with_their_schemas() {
    let server = Server::start(&Options::default());
    let list = out(&server.cli(&["jobs", "types"]));
    let names: Vec<&str> = list.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["command", "http", "noop", "sleep"]);
    assert!(
        list.contains("sleep    default         5  1s to 600s, x2  900s     Waits for some milliseconds"),
        "{list}"
    );

    let shown = out(&server.cli(&["jobs", "types", "sleep"]));
    assert!(shown.starts_with("sleep\n  Waits") && shown.contains("\"maximum\": 86400000"), "{shown}");
    let one = server.json(&["jobs", "types", "http", "--json"]);
    assert_eq!(one["payload_schema"]["required"], serde_json::json!(["url"]));
    assert!(one["result_schema"]["properties"]["status"].is_object());
    assert_eq!(server.json(&["jobs", "types", "--json"]).as_array().map(Vec::len), Some(4));

    let unknown = server.cli(&["jobs", "types", "slep"]);
    assert_eq!(code(&unknown), 1);
    assert!(
        err(&unknown).contains("no job type \"slep\"; there are command, http, noop, sleep"),
        "{}",
        err(&unknown)
    );
}

#[test]
fn a_request_is_made_as_a_job_once_it_is_allowed() {
    let asked = Server::start(&Options::default());
    let url = format!("http://{}/api/v1/live", asked.address);
    let payload = serde_json::json!({ "url": url }).to_string();
    let submit = ["submit", "http", "--payload", &payload, "--wait", "--json"];

    let refused = asked.cli(&submit);
    assert_eq!(code(&refused), 1);
    assert!(err(&refused).contains("--set http.allow=http://127.0.0.1"), "{}", err(&refused));

    let allow = format!("http.allow=http://{}", asked.address);
    let server =
        Server::start(&Options::arguments(&["--set", &allow, "--set", "http.allow_addresses=127.0.0.1"]));
    let done = server.json(&submit);
    let id = done["id"].as_str().expect("an id");
    let job = server.json(&["jobs", "show", id, "--json"]);
    assert_eq!((&job["result"]["status"], &job["result"]["json"]["status"]), (&200.into(), &"live".into()));
}
