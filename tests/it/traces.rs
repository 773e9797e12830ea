//! A trace, from a request over the attempts of its job to what the job causes.

use callboard::{
    App,
    contracts::TraceContext,
    jobs::{Job, JobContext, JobError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::server::{Options, PATIENCE, Server};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn parent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// Submits with the header and waits for the end of the job.
fn run(server: &Server, job: &str) -> Value {
    let headers = [("Content-Type", "application/json"), ("traceparent", &*parent())];
    let answer = server.request("POST", "/api/v1/jobs", &headers, job);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("x-correlation-id"), Some("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"));
    let place = format!("/api/v1/jobs/{}", answer.json()["id"].as_str().expect("an id"));
    crate::server::eventually("it has ended", || server.get(&place).json()["finished_at"].is_string());
    server.get(&place).json()
}

#[test]
fn a_program_knows_its_span_and_what_it_submits_belongs_to_the_trace() {
    let program = env!("CARGO_BIN_EXE_callboard");
    let server = Server::start(&Options::arguments(&["--allow-program", "env", "--allow-program", program]));
    let job = run(&server, r#"{"type":"command","payload":{"program":"env"}}"#);
    let said = job["result"]["stdout"].as_str().expect("its output");
    let span = said.lines().find_map(|line| line.strip_prefix("TRACEPARENT=")).expect("the variable");
    let span: TraceContext = span.parse().expect("a traceparent");
    assert_eq!((span.trace_id().as_str(), span.is_sampled()), (TRACE, true));
    assert_ne!(span.span_id(), SPAN, "the attempt's own");

    // A program that submits a job by the command line.
    let child = "01890a5d-ac96-774b-bcce-b302099a8001";
    let payload = serde_json::json!({
        "program": program, "args": ["submit", "noop", "--id", child, "--url", server.url()],
    });
    let job = run(&server, &serde_json::json!({ "type": "command", "payload": payload }).to_string());
    assert_eq!(job["state"], "completed", "{job}");
    let child = server.get(&format!("/api/v1/jobs/{child}")).json();
    assert_eq!(child["correlation_id"], "4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    let events = server.get("/events").json();
    let of_trace = |event: &&Value| event["correlationId"] == "4bf92f35-77b3-4da6-a3ce-929d0e0e4736";
    assert_eq!(events.as_array().expect("events").iter().filter(of_trace).count(), 12, "{events}");
}

#[test]
fn a_request_of_a_job_carries_its_span_and_each_attempt_has_its_own() {
    let asked = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", asked.local_addr().expect("an address"));
    let spans = std::thread::spawn(move || -> Vec<TraceContext> {
        let answer =
            |status: u16| format!("HTTP/1.1 {status} X\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n");
        let serve = |status| {
            use std::io::{BufRead, BufReader, Write};
            let (stream, _) = asked.accept().expect("a client");
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            (&stream).write_all(answer(status).as_bytes()).expect("an answer");
            let span = head.iter().find_map(|line| line.strip_prefix("traceparent: ")).expect("the header");
            span.parse().expect("a traceparent")
        };
        [503, 200].map(serve).to_vec()
    });
    let allow = format!("http.allow={origin}");
    let server =
        Server::start(&Options::arguments(&["--set", &allow, "--set", "http.allow_addresses=127.0.0.1"]));
    let payload = serde_json::json!({ "url": origin });
    run(&server, &serde_json::json!({ "type": "http", "payload": payload }).to_string());
    let spans = spans.join().expect("both attempts");
    assert!(spans.iter().all(|span| span.trace_id() == TRACE));
    assert_ne!(spans[0].span_id(), spans[1].span_id());
}

#[test]
fn a_header_that_is_no_trace_is_as_good_as_none() {
    let server = Server::start(&Options::default());
    for wrong in ["", "00-xyz", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
        let headers = [("Content-Type", "application/json"), ("traceparent", wrong)];
        let answer = server.request("POST", "/api/v1/jobs", &headers, r#"{"type":"noop"}"#);
        assert_eq!(answer.status, 202, "{wrong:?}: {answer:?}");
    }
}

/// Submits another of its kind, `left` times.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Chain {
    left: u32,
}

/// The app, once it runs.
#[derive(Default)]
struct Running(std::sync::OnceLock<App>);

/// What a link of the chain knew.
type Link = (Uuid, TraceContext, Option<Uuid>);

impl Job for Chain {
    const TYPE: &'static str = "chain";
    type Output = (Uuid, String, Option<Uuid>);

    async fn run(self, cx: &JobContext) -> Result<Self::Output, JobError> {
        let app =
            cx.state::<std::sync::Arc<Running>>()?.0.get().ok_or_else(|| JobError::retry("too early"))?;
        let next = match self.left {
            0 => None,
            left => {
                let submitted = app.submit(&Chain { left: left - 1 }).await;
                Some(submitted.map_err(|error| JobError::fatal(error.to_string()))?.id)
            }
        };
        Ok((cx.correlation_id(), cx.trace().to_string(), next))
    }
}

#[tokio::test]
async fn jobs_that_a_job_submits_are_of_its_trace() {
    let folder = TempDir::new().expect("a temporary folder");
    let running = std::sync::Arc::new(Running::default());
    let app = App::builder().data_dir(folder.path()).job::<Chain>().state(running.clone());
    let app = app.start().await.expect("it starts");
    assert!(running.0.set(app.clone()).is_ok());
    let mut next = Some(app.submit(&Chain { left: 2 }).await.expect("it is accepted").id);
    let mut links: Vec<Link> = Vec::new();
    while let Some(id) = next {
        let job = tokio::time::timeout(PATIENCE, app.wait(id)).await.expect("in time").expect("it is there");
        let result: (Uuid, String, Option<Uuid>) =
            serde_json::from_value(job.result.expect("a result")).expect("what it knew");
        next = result.2;
        links.push((result.0, result.1.parse().expect("a traceparent"), result.2));
    }
    assert_eq!(links.len(), 3);
    let (correlation, begun, _) = links[0];
    assert_eq!(begun.as_uuid(), correlation, "a trace that begins here has the number of the correlation");
    assert!(links.iter().all(|(id, span, _)| (*id, span.trace_id()) == (correlation, begun.trace_id())));
    assert_ne!(links[0].1.span_id(), links[1].1.span_id());
    app.stop().await;
}
