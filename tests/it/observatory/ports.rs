//! Which routes each old port has, who may use it, and what happens when it cannot be opened.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    process::Stdio,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{get, old_port, options, post};
use crate::server::{Options, Server, callboard, eventually, request_at, run};

const PORTS: [&str; 3] = ["gateway", "read-model", "metrics"];
/// Every route of the old services, and the ports that have it.
const ROUTES: [(&str, &[&str]); 13] = [
    ("/jobs", &["gateway"]),
    ("/healthz", &["gateway"]),
    ("/readyz", &["gateway"]),
    ("/proxy/alerts", &["gateway"]),
    ("/proxy/targets", &["gateway"]),
    ("/metrics", &["gateway", "metrics"]),
    ("/openapi.json", &["gateway", "read-model"]),
    ("/docs", &["gateway", "read-model"]),
    ("/health", &["read-model"]),
    ("/stats", &["read-model"]),
    ("/jobs/recent", &["read-model"]),
    ("/events", &["read-model"]),
    ("/events?jobId=x", &["read-model"]),
];
const JOB: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn contract_job() -> String {
    json!({ "id": JOB, "type": "noop", "status": "PENDING", "createdAt": "2026-01-01T00:00:00Z" }).to_string()
}

#[test]
fn each_port_has_the_routes_of_its_service_and_no_others() {
    let server = Server::start(&options(&[]));
    for port in PORTS {
        let address = old_port(&server, port);
        for (path, ports) in ROUTES {
            let answer = if path == "/jobs" { post(address, path, "{}") } else { get(address, path) };
            assert_eq!(answer.status != 404, ports.contains(&port), "{port} {path}: {answer:?}");
        }
        for path in
            ["/", "/nowhere", "/api/v1/ready", "/api/v1/jobs", "/api/v1/tree", "/docs/x.js", "/jobs/recent/"]
        {
            let answer = get(address, path);
            let body = answer.json();
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (404, Some("application/json")),
                "{path}"
            );
            assert!(body["error"].is_string(), "{port} {path} in the old form: {body}");
            assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{port} {path}: {body}");
        }
        let posted = post(address, "/api/v1/jobs", r#"{"type":"noop"}"#);
        assert_eq!((posted.status, posted.json()["error"].is_string()), (404, true), "{port}");
    }
    // The server itself has them all.
    for (path, _) in ROUTES.iter().filter(|(path, _)| *path != "/jobs") {
        assert_ne!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.get("/api/v1/jobs").json()["jobs"], json!([]), "nothing was stored");
}

#[test]
fn the_documents_of_a_port_describe_what_it_has() {
    let none = TempDir::new().expect("a temporary folder");
    let server = Server::start(&options(&[&format!("web.pages_dir={}", none.path().display())]));
    for (port, wanted) in [("gateway", 7), ("read-model", 5)] {
        let address = old_port(&server, port);
        let document = get(address, "/openapi.json").json();
        let paths = document["paths"].as_object().expect("paths");
        assert_eq!(paths.len(), wanted, "{port}: {:?}", paths.keys());
        let page = get(address, "/docs");
        assert_eq!((page.status, page.body.contains("/api/v1/jobs</code>")), (200, false), "{port}");
        for path in paths.keys() {
            assert!(page.body.contains(&format!(" {path}</code>")), "{port} {path}");
        }
    }
}

#[test]
fn a_job_goes_in_at_the_gateway_and_is_seen_at_the_read_model() {
    let server = Server::start(&options(&[]));
    let [gateway, read_model, metrics] = PORTS.map(|port| old_port(&server, port));
    let correlation = "0189aaaa-0000-7000-8000-00000000c0de";
    let headers = [("Content-Type", "application/json"), ("X-Correlation-Id", correlation)];
    let accepted = request_at(gateway, "POST", "/jobs", &headers, &contract_job());
    assert_eq!((accepted.status, &accepted.json()["jobId"]), (202, &json!(JOB)), "{accepted:?}");
    let refused = post(gateway, "/jobs", r#"{"id":"x"}"#);
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("Invalid job data")), "{refused:?}");
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ok")] {
        let answer = get(gateway, path);
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!(status)), "{path}");
    }

    eventually("it is counted", || get(read_model, "/stats").json()["completedJobs"] == 1);
    let stats = get(read_model, "/stats").json();
    assert_eq!((&stats["totalJobs"], &stats["failedJobs"]), (&json!(1), &json!(0)));
    assert!(stats["lastEventTime"].is_string(), "{stats}");
    let recent = get(read_model, "/jobs/recent").json();
    assert_eq!((&recent[0]["id"], &recent[0]["status"]), (&json!(JOB), &json!("COMPLETED")), "{recent}");
    let events = get(read_model, &format!("/events?jobId={JOB}")).json();
    let kinds: Vec<&Value> =
        events.as_array().expect("events").iter().map(|event| &event["eventType"]).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(events.as_array().expect("events").iter().all(|event| event["correlationId"] == correlation));
    assert_eq!(get(read_model, "/events?jobId=0189aaaa-0000-7000-8000-000000000000").json(), json!([]));

    let has = |address, line: &str| get(address, "/metrics").body.lines().any(|found| found == line);
    for (address, line) in [
        (gateway, "gateway_jobs_submitted_total{type=\"noop\"} 1"),
        (gateway, "gateway_jobs_accepted_total 1"),
        (metrics, "processor_jobs_processed_total 1"),
        (metrics, "processor_jobs_completed_total 1"),
        (metrics, "processor_jobs_failed_total 0"),
        (metrics, "processor_jobs_validation_failed_total 0"),
        (metrics, "processor_job_processing_seconds_count 1"),
    ] {
        eventually(line, || has(address, line));
    }
}

#[test]
fn every_metric_of_the_old_contract_is_there_from_the_start() {
    let server = Server::start(&options(&[]));
    let metrics = get(old_port(&server, "metrics"), "/metrics");
    assert!(metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    for (name, kind) in [
        ("gateway_jobs_submitted_total", "counter"),
        ("gateway_jobs_accepted_total", "counter"),
        ("processor_jobs_processed_total", "counter"),
        ("processor_jobs_completed_total", "counter"),
        ("processor_jobs_failed_total", "counter"),
        ("processor_jobs_validation_failed_total", "counter"),
        ("processor_job_processing_seconds", "histogram"),
    ] {
        let line = format!("# TYPE {name} {kind}");
        assert!(metrics.body.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn pages_of_any_origin_may_read_the_read_model_and_none_may_write() {
    let server = Server::start(&options(&[]));
    let [gateway, read_model, _] = PORTS.map(|port| old_port(&server, port));
    let foreign = [("Origin", "http://dashboard.example"), ("Sec-Fetch-Site", "cross-site")];
    for path in ["/stats", "/jobs/recent", "/events", "/health"] {
        for method in ["GET", "OPTIONS"] {
            let answer = request_at(read_model, method, path, &foreign, "");
            assert!([200, 204].contains(&answer.status), "{method} {path}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{method} {path}");
            assert_eq!(
                answer.header("access-control-allow-methods"),
                Some("GET, OPTIONS"),
                "{method} {path}"
            );
            let headers = answer.header("access-control-allow-headers").unwrap_or_default();
            assert!(headers.contains("Content-Type"), "{method} {path}");
        }
    }
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(foreign);
    let written = request_at(gateway, "POST", "/jobs", &headers, &contract_job());
    assert_eq!((written.status, written.json()["error"].is_string()), (403, true), "{written:?}");
    assert_eq!(written.header("access-control-allow-origin"), None);
}

#[test]
fn tokens_are_asked_for_unless_the_operator_says_that_they_are_not() {
    let closed = options(&["web.token=hush"]);
    let server = Server::start(&closed);
    let bearer = [("Authorization", "Bearer hush")];
    for (port, path) in [("gateway", "/metrics"), ("read-model", "/stats"), ("metrics", "/metrics")] {
        let address = old_port(&server, port);
        let without = get(address, path);
        assert_eq!((without.status, without.json()["error"].is_string()), (401, true), "{port}: {without:?}");
        assert_eq!(request_at(address, "GET", path, &bearer, "").status, 200, "{port}");
    }
    // A browser asks first, and has no token then.
    let asked = request_at(old_port(&server, "read-model"), "OPTIONS", "/stats", &[], "");
    assert_eq!(asked.status, 204, "{asked:?}");
    assert_eq!(get(old_port(&server, "gateway"), "/healthz").status, 200);

    let server = Server::start(&options(&["web.token=hush", "observatory.allow_unauthenticated=true"]));
    for (port, path) in [("gateway", "/metrics"), ("read-model", "/stats"), ("metrics", "/metrics")] {
        assert_eq!(get(old_port(&server, port), path).status, 200, "{port}");
    }
    assert_eq!(post(old_port(&server, "gateway"), "/jobs", &contract_job()).status, 202);
    assert_eq!(server.get("/stats").status, 401, "the server's own address asks all the same");
}

#[test]
fn ports_that_others_reach_are_opened_with_a_token_or_by_name_only() {
    for port in ["gateway", "read_model", "metrics"] {
        let setting = format!("observatory.{port}_listen=0.0.0.0:0");
        let folder = TempDir::new().expect("a folder");
        let data = folder.path().join("data");
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--observatory", "--set", &setting, "--data"];
        let output = run(&[&arguments[..], &[data.to_str().expect("UTF-8")]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let key = format!("observatory.{port}_listen");
        for word in [&*key, "0.0.0.0:0", "token", "observatory.allow_unauthenticated = true"] {
            assert!(said.contains(word), "{word} in {said}");
        }
        assert!(!data.exists(), "refused before anything was made");
    }

    let open = ["observatory.gateway_listen=0.0.0.0:0", "observatory.allow_unauthenticated=true"];
    let server = Server::start(&options(&[&open[..], &["web.hosts=gateway"]].concat()));
    let gateway = old_port(&server, "gateway");
    assert!(gateway.ip().is_unspecified());
    let here = SocketAddr::from(([127, 0, 0, 1], gateway.port()));
    let host = |host: &str| {
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        crate::server::raw_at(here, request.as_bytes())
    };
    for known in ["127.0.0.1:3000", "192.0.2.7:3000", "[2001:db8::7]:3000", "gateway:3000", "localhost"] {
        assert_eq!(host(known).status, 200, "{known}");
    }
    // A name of somebody else's that points here.
    let strange = host("evil.example");
    assert_eq!((strange.status, strange.json()["error"].is_string()), (421, true), "{strange:?}");
}

#[test]
fn the_read_model_shares_the_servers_own_address() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    let folder = TempDir::new().expect("a folder");
    let mut command = callboard();
    command
        .args(["serve", "--observatory", "--listen", &free.to_string(), "--data"])
        .arg(folder.path().join("data"));
    for setting in ["gateway", "metrics", "terminal", "terminal_socket", "terminal_metrics"]
        .map(|port| format!("{port}_listen=127.0.0.1:0"))
        .into_iter()
        .chain([format!("read_model_listen={free}")])
    {
        command.args(["--set", &format!("observatory.{setting}")]);
    }
    let mut server =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut lines = BufReader::new(server.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let said: Vec<String> = lines.by_ref().take(6).collect();
    let stats = get(free, "/stats").status;
    server.kill().expect("it runs");
    server.wait().expect("an end");
    let more: Vec<String> = lines.collect();
    assert_eq!(said[0], format!("listening on http://{free}"));
    assert!(said[1].starts_with("the old gateway on http://127.0.0.1:"), "{said:?}");
    assert!(said[2].starts_with("the old metrics on http://127.0.0.1:"), "{said:?}");
    assert_eq!((stats, more), (200, Vec::new()));
}

#[test]
fn a_taken_port_is_named_and_nothing_is_left_running() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let setting = format!("observatory.metrics_listen={address}");
    let refused = Server::start_on(&data, &options(&[&setting])).err().expect("no server");
    assert!(refused.contains(&address) && refused.contains("observatory-metrics"), "{refused}");
    drop(taken);
    let server = Server::start_on(&data, &options(&[&setting])).expect("a server on the same folder");
    assert_eq!(old_port(&server, "metrics").to_string(), address);
}

#[test]
fn without_the_flag_no_old_port_is_open() {
    let server = Server::start(&Options::arguments(&["--set", "observatory.gateway_listen=127.0.0.1:0"]));
    assert!(!server.log().contains("listening as the old system did"));
    let tree = server.get("/api/v1/tree").body;
    assert!(!tree.contains("observatory-"), "{tree}");
}

#[test]
fn the_ports_are_in_the_tree_and_close_with_the_server() {
    let mut server = Server::start(&options(&[]));
    let tree = server.get("/api/v1/tree").body;
    for port in PORTS {
        assert!(tree.contains(&format!("observatory-{port}")), "{port}");
    }
    let gateway = old_port(&server, "gateway");
    server.signal(rustix::process::Signal::TERM);
    assert!(server.wait().success(), "{}", server.log());
    assert!(std::net::TcpStream::connect(gateway).is_err());
}
