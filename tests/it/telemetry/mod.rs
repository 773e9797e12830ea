//! Spans: who is below whom, and what becomes of them when the collector does what it likes.

mod collector;
mod receiver;

use std::net::TcpListener;

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use self::receiver::{Answer, Received, Receiver};
use crate::server::{Options, Server, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server that sends its spans there, soon.
fn options(endpoint: &str, settings: &[&str]) -> Options {
    let mut options = Options::default();
    let endpoint = format!("telemetry.endpoint={endpoint}");
    for setting in [&*endpoint, "telemetry.interval=20ms"].iter().chain(settings) {
        options.arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    options
}

fn submit(server: &Server, flags: Option<&str>, job: &Value) -> Value {
    let traceparent = flags.map(|flags| format!("00-{TRACE}-{SPAN}-{flags}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(traceparent.as_deref().map(|trace| ("traceparent", trace)));
    let answer = server.request("POST", "/api/v1/jobs", &headers, &job.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

fn finished(server: &Server, id: &Value) -> Value {
    let place = format!("/api/v1/jobs/{}", id.as_str().expect("an id"));
    eventually("it has ended", || server.get(&place).json()["finished_at"].is_string());
    server.get(&place).json()
}

/// The number of a family of `/metrics`.
fn number(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing in {text}")).parse().expect("a number")
}

fn spans(server: &Server, outcome: &str) -> u64 {
    number(server, &format!("callboard_telemetry_spans_total{{outcome=\"{outcome}\"}}"))
}

fn below(child: &Received, parent: &Received) {
    let names = (&child.span.name, &parent.span.name);
    assert_eq!(child.span.trace_id, parent.span.trace_id, "{names:?}");
    assert_eq!(child.span.parent_span_id, parent.span.span_id, "{names:?}");
}

#[test]
fn a_trace_goes_from_a_request_over_its_job_to_the_jobs_that_this_submits() {
    let receiver = Receiver::start();
    let program = env!("CARGO_BIN_EXE_callboard");
    let mut options = options(&receiver.url(), &["telemetry.service_name=shop", "system.node_name=here"]);
    options.arguments.extend(["--allow-program", program].map(str::to_owned));
    let headers = r#"[{name = "authorization", value = "Bearer hush"}]"#;
    options.environment.push(("CALLBOARD__TELEMETRY__HEADERS".to_owned(), headers.to_owned()));
    let server = Server::start(&options);
    let payload = json!({ "program": program, "args": ["submit", "noop", "--wait", "--url", server.url()] });
    let submitted = submit(&server, Some("01"), &json!({ "type": "command", "payload": payload }));
    let job = finished(&server, &submitted["id"]);
    assert_eq!((&job["state"], &job["trace_id"]), (&json!("completed"), &json!(TRACE)), "{job}");

    let [asked, taken, run, run_below] =
        receiver.named(["POST /api/v1/jobs", "submit command", "run command", "run noop"]);
    let [taken_below] = receiver.named(["submit noop"]);
    assert_eq!(
        (hex(&asked.span.trace_id), hex(&asked.span.parent_span_id)),
        (TRACE.to_owned(), SPAN.to_owned())
    );
    below(&taken, &asked);
    below(&run, &taken);
    below(&run_below, &taken_below);
    // The program's own request.
    let is_inner = |one: &&Received| one.span.span_id == taken_below.span.parent_span_id;
    let inner = receiver.wait("the inner request", |spans| spans.iter().any(|one| is_inner(&one)));
    let inner = inner.iter().find(is_inner).expect("waited for");
    below(inner, &run);
    below(&taken_below, inner);
    let stored = receiver.wait("the write", |spans| {
        spans.iter().any(|one| one.span.name == "store jobs" && one.span.parent_span_id == taken.span.span_id)
    });
    assert!(stored.iter().all(|one| one.head.contains("authorization: bearer hush")));
    assert!(stored.iter().all(|one| one.head.starts_with("post /v1/traces http/1.1")));

    assert_eq!(
        [&asked, &taken, &run].map(Received::kind),
        [SpanKind::Server, SpanKind::Producer, SpanKind::Consumer]
    );
    assert_eq!(asked.attribute("http.response.status_code").as_deref(), Some("202"));
    let id = submitted["id"].as_str().expect("an id");
    assert_eq!(run.attribute("messaging.message.id").as_deref(), Some(id));
    assert_eq!(run.attribute("callboard.attempt.outcome").as_deref(), Some("completed"));
    assert_eq!(run.of_resource("service.name").as_deref(), Some("shop"));
    assert_eq!(run.of_resource("service.instance.id").as_deref(), Some("here"));
    assert!(run.span.start_time_unix_nano >= asked.span.start_time_unix_nano);
    assert!(run.span.end_time_unix_nano >= run.span.start_time_unix_nano);
    // People see the trace, too.
    let shown = server.cli(&["jobs", "show", id]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("trace      {TRACE}")), "{shown:?}");
}

#[test]
fn the_attempts_of_two_processes_are_below_the_same_submission() {
    let receiver = Receiver::start();
    let program = "false";
    let mut options = options(&receiver.url(), &["retry.min=100ms"]);
    options.arguments.extend(["--allow-program", "sleep", "--allow-program", program].map(str::to_owned));
    let server = Server::start(&options);
    let payload = json!({ "program": "sleep", "args": ["3600"] });
    let submitted = submit(&server, Some("01"), &json!({ "type": "command", "payload": payload }));
    let id = submitted["id"].as_str().expect("an id").to_owned();
    let place = format!("/api/v1/jobs/{id}");
    eventually("it runs", || server.get(&place).json()["started_at"].is_string());
    let [taken] = receiver.named(["submit command"]);
    let (data, _folder) = server.kill();
    let server = Server::start_on(&data, &options).unwrap_or_else(|said| panic!("no server: {said}"));
    eventually("it runs again", || {
        let job = server.get(&place).json();
        job["attempt"] == 2 && job["state"] == "executing" && job["started_at"].is_string()
    });
    assert_eq!(server.post(&format!("{place}/cancel"), "{}").status, 200);
    let [run] = receiver.named(["run command"]);
    below(&run, &taken);
    assert_eq!(run.attribute("callboard.job.attempt").as_deref(), Some("2"));
    assert_eq!(run.attribute("callboard.attempt.outcome").as_deref(), Some("cancelled"));
    let line = server.log();
    let line = line.lines().find(|line| line.contains("the job is cancelled")).expect("a line");
    assert!(line.contains(TRACE), "{line}");

    let failing = submit(
        &server,
        Some("01"),
        &json!({
            "type": "command", "payload": { "program": program }, "max_attempts": 2,
        }),
    );
    finished(&server, &failing["id"]);
    let failed = receiver.wait("both attempts", |spans| {
        spans
            .iter()
            .filter(|one| one.attribute("callboard.attempt.outcome").as_deref() == Some("failed"))
            .count()
            == 2
    });
    for one in
        failed.iter().filter(|one| one.attribute("messaging.message.id").as_deref() == failing["id"].as_str())
    {
        let failed = one.span.name == "run command";
        let code = one.span.status.as_ref().map(|status| status.code());
        assert_eq!(code == Some(StatusCode::Error), failed, "{one:?}");
    }
}

#[test]
fn what_is_recorded_is_for_the_sender_to_say_and_else_for_the_ratio() {
    let receiver = Receiver::start();
    let server = Server::start(&options(&receiver.url(), &["telemetry.sample_ratio=0"]));
    let noop = json!({ "type": "noop" });
    let unseen = [submit(&server, None, &noop), submit(&server, Some("00"), &noop)];
    unseen.iter().for_each(|job| drop(finished(&server, &job["id"])));
    let seen = submit(&server, Some("01"), &noop);
    finished(&server, &seen["id"]);
    let [run] = receiver.named(["run noop"]);
    assert_eq!(run.attribute("messaging.message.id").as_deref(), seen["id"].as_str());
    let ids: Vec<_> = receiver.spans().iter().map(|one| hex(&one.span.trace_id)).collect();
    assert!(ids.iter().all(|id| id == TRACE), "{ids:?}");
    // The receiver has them before the server knows.
    eventually("all are counted", || spans(&server, "exported") == receiver.spans().len() as u64);
}

#[test]
fn a_trace_that_begins_here_has_the_correlations_number() {
    let receiver = Receiver::start();
    let server = Server::start(&options(&receiver.url(), &[]));
    let submitted = submit(&server, None, &json!({ "type": "noop" }));
    let job = finished(&server, &submitted["id"]);
    let correlation = job["correlation_id"].as_str().expect("an id").replace('-', "");
    assert_eq!(job["trace_id"], json!(correlation));
    let asked = receiver.wait("the request and the run", |spans| {
        ["POST /api/v1/jobs", "run noop"].iter().all(|name| spans.iter().any(|one| one.span.name == *name))
    });
    let of_trace: Vec<_> = asked.iter().filter(|one| hex(&one.span.trace_id) == correlation).collect();
    let roots = of_trace.iter().filter(|one| one.span.parent_span_id.is_empty());
    assert_eq!(roots.map(|one| one.span.name.as_str()).collect::<Vec<_>>(), ["POST /api/v1/jobs"]);
    assert!(of_trace.iter().any(|one| one.span.name == "run noop"));
}

#[test]
fn a_collector_that_is_away_stops_nothing_and_gets_what_there_was_room_for() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let bounds = ["telemetry.queue_max=20", "telemetry.batch_max=5", "telemetry.timeout=2s"];
    let server = Server::start(&options(&format!("http://{closed}"), &bounds));
    let jobs: Vec<Value> = (0..30).map(|_| submit(&server, Some("01"), &json!({ "type": "noop" }))).collect();
    jobs.iter().for_each(|job| assert_eq!(finished(&server, &job["id"])["state"], "completed"));
    let waiting = number(&server, "callboard_telemetry_spans_waiting");
    assert!(waiting <= 20, "{waiting}");
    assert!(spans(&server, "dropped") > 0);
    assert_eq!(spans(&server, "exported"), 0);
    assert_eq!(server.get("/api/v1/ready").status, 200);
    let receiver = Receiver::start_at(closed, []);
    receiver.wait("what had room", |spans| spans.len() >= 20);
    eventually("the last are sent", || number(&server, "callboard_telemetry_spans_waiting") == 0);
    assert!(server.log().contains("the collector of spans is back"));
    assert_eq!(server.log().matches("the collector of spans is away").count(), 1, "once is enough");
}

#[test]
fn what_the_collector_refuses_is_counted_and_what_it_puts_off_is_sent_again() {
    let refusing = [Answer::Status(503), Answer::Status(429), Answer::Rejecting(1), Answer::Status(400)];
    let receiver = Receiver::start_at("127.0.0.1:0".parse().expect("an address"), refusing);
    // Nothing goes before all the spans of a job are there: GET requests below have spans of no sampled trace.
    let settings = ["telemetry.sample_ratio=0", "telemetry.batch_max=4", "telemetry.interval=1h"];
    let server = Server::start(&options(&receiver.url(), &settings));
    let run = |count: u64| {
        let job = submit(&server, Some("01"), &json!({ "type": "noop" }));
        finished(&server, &job["id"]);
        eventually("it is done with", || {
            spans(&server, "exported") + spans(&server, "rejected") == 4 * count
        });
    };
    run(1);
    assert_eq!((spans(&server, "exported"), spans(&server, "rejected")), (3, 1));
    assert_eq!(receiver.spans().len(), 4, "each came once");
    run(2);
    assert_eq!((spans(&server, "exported"), spans(&server, "rejected")), (3, 5));
    run(3);
    assert_eq!((spans(&server, "exported"), spans(&server, "dropped")), (7, 0));
}

#[test]
fn an_orderly_stop_sends_the_last_spans() {
    let receiver = Receiver::start();
    let mut server = Server::start(&options(&receiver.url(), &["telemetry.interval=1h"]));
    let job = submit(&server, Some("01"), &json!({ "type": "noop" }));
    finished(&server, &job["id"]);
    assert!(receiver.spans().is_empty());
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let names: Vec<String> = receiver.spans().into_iter().map(|one| one.span.name).collect();
    for name in ["POST /api/v1/jobs", "submit noop", "store jobs", "run noop"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
}

#[test]
fn a_collector_that_never_answers_does_not_hold_up_the_stop() {
    // The kernel takes connections for it, and nobody reads.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let settings = ["telemetry.interval=1h", "telemetry.timeout=200ms"];
    let mut server = Server::start(&options(&endpoint, &settings));
    let job = submit(&server, Some("01"), &json!({ "type": "noop" }));
    finished(&server, &job["id"]);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(server.log().contains("the last spans could not be sent"), "{}", server.log());
}

#[test]
fn a_server_without_a_collector_makes_no_spans() {
    let server = Server::start(&Options::default());
    let job = submit(&server, Some("01"), &json!({ "type": "noop" }));
    assert_eq!(finished(&server, &job["id"])["trace_id"], TRACE);
    assert_eq!(number(&server, "callboard_telemetry_spans_waiting"), 0);
    let counted = ["exported", "dropped", "rejected"].map(|outcome| spans(&server, outcome));
    assert_eq!(counted, [0, 0, 0]);
    assert!(!server.get("/api/v1/tree").body.contains("telemetry"));
}

#[test]
fn an_endpoint_that_is_none_is_told_at_the_start() {
    for (setting, said) in [
        ("telemetry.endpoint=collector:4318", "telemetry.endpoint"),
        ("telemetry.endpoint=http://me:secret@collector", "telemetry.endpoint"),
        ("telemetry.ca_file=/nowhere", "telemetry.ca_file"),
    ] {
        let mut arguments = vec!["--set", setting];
        if setting.contains("ca_file") {
            arguments.extend(["--set", "telemetry.endpoint=https://collector"]);
        }
        let folder = tempfile::TempDir::new().expect("a folder");
        let Err(failed) = Server::start_on(&folder.path().join("data"), &Options::arguments(&arguments))
        else {
            panic!("{setting}: it started")
        };
        assert!(failed.contains(said), "{failed}");
    }
}
