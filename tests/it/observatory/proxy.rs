//! `/proxy/alerts` and `/proxy/targets`, with upstreams that do as they should and others that do not.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    get, old_port, options,
    upstream::{Says, Upstream},
};
use crate::server::{Answer, Options, Server, request_at};

const ALERTS: &str = r#"[{"labels":{"alertname":"Down"},"status":{"state":"active"}}]"#;
const TARGETS: &str = r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[]}}"#;

/// A server that asks this one in both roles.
fn server(upstream: &str, more: &[&str]) -> Server {
    let urls = ["alertmanager", "prometheus"].map(|name| format!("proxy.{name}_url={upstream}"));
    let mut arguments = Vec::new();
    for setting in urls.iter().map(String::as_str).chain(more.iter().copied()) {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    Server::start(&Options { arguments, ..Options::default() })
}

fn both(server: &Server) -> [(&'static str, Answer); 2] {
    [("Alertmanager", server.get("/proxy/alerts")), ("Prometheus", server.get("/proxy/targets"))]
}

/// Each is unavailable, and says so in the old form with details that have this in them.
fn unavailable(server: &Server, says: &str) {
    for (name, answer) in both(server) {
        let body = answer.json();
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(body["error"], format!("{name} unavailable"));
        let details = body["details"].as_str().expect("details");
        assert!(details.contains(says), "{name}: {says:?} in {details:?}");
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
    }
}

#[test]
fn answers_are_passed_on_as_they_are_and_nothing_of_the_client_is() {
    let (alertmanager, prometheus) =
        (Upstream::start(Says::json("200 OK", ALERTS)), Upstream::start(Says::json("200 OK", TARGETS)));
    let alerts = format!("proxy.alertmanager_url={}/base/", alertmanager.url());
    let targets = format!("proxy.prometheus_url={}", prometheus.url());
    let server = Server::start(&options(&["web.token=hush", &alerts, &targets]));
    let gateway = old_port(&server, "gateway");
    let headers = [("Authorization", "Bearer hush"), ("Cookie", "a=b"), ("X-Forwarded-For", "192.0.2.1")];
    for address in [gateway, server.address] {
        let answer = request_at(address, "GET", "/proxy/alerts?url=http://evil.example/&x=1", &headers, "");
        assert_eq!((answer.status, &*answer.body), (200, ALERTS), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let answer = request_at(address, "GET", "/proxy/targets", &headers, "");
        assert_eq!((answer.status, &*answer.body), (200, TARGETS), "{answer:?}");
        // The old gateway let no page of another origin read it.
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(get(address, "/proxy/alerts").status, 401);
    }
    let heads = alertmanager.heads();
    assert_eq!(heads.len(), 2);
    for head in &heads {
        assert!(head.starts_with("GET /base/api/v2/alerts HTTP/1.1\r\n"), "{head}");
        let lower = head.to_ascii_lowercase();
        assert!(
            lower.contains("accept: application/json\r\n") && lower.contains("host: 127.0.0.1:"),
            "{head}"
        );
        assert!(!["hush", "cookie", "forwarded", "evil"].iter().any(|word| lower.contains(word)), "{head}");
    }
    assert!(prometheus.heads().iter().all(|head| head.starts_with("GET /api/v1/targets HTTP/1.1\r\n")));
}

#[test]
fn an_upstreams_own_error_is_passed_on_with_its_status() {
    let upstream = Upstream::start(Says::json("503 Service Unavailable", r#"{"status":"error"}"#));
    let server = server(&upstream.url(), &[]);
    for (name, answer) in both(&server) {
        assert_eq!((answer.status, answer.json()), (503, json!({ "status": "error" })), "{name}");
    }
}

#[test]
fn an_upstream_that_takes_too_long_is_a_timeout() {
    for says in [Says::Nothing, Says::BeginsOnly] {
        let upstream = Upstream::start(says);
        let server = server(&upstream.url(), &["proxy.timeout=200ms"]);
        for (name, answer) in both(&server) {
            assert_eq!((answer.status, answer.json()), (504, json!({ "error": format!("{name} timeout") })));
        }
        assert_eq!(server.get("/health").status, 200);
    }
}

#[test]
fn five_seconds_are_the_limit() {
    let upstream = Upstream::start(Says::Nothing);
    let server = server(&upstream.url(), &[]);
    let began = Instant::now();
    let answer = server.get("/proxy/alerts");
    assert_eq!((answer.status, &*answer.body), (504, r#"{"error":"Alertmanager timeout"}"#));
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn an_upstream_that_is_not_there_is_unavailable() {
    let nowhere = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    unavailable(&server(&format!("http://{nowhere}"), &[]), "refused");
    let unset = Server::start(&Options::default());
    unavailable(&unset, "_url is not set");
}

#[test]
fn what_is_no_answer_is_not_passed_on() {
    let cases = [
        (Says::json("200 OK", "<html>"), "no JSON"),
        (Says::json("200 OK", ""), "no JSON"),
        (Says::json("204 No Content", ""), ""),
        (Says::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), ""),
        (Says::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]".to_vec()), ""),
        (Says::Bytes(Vec::new()), ""),
        (Says::json("200 OK", &format!("[{}]", "1,".repeat(1000))), "proxy.max_answer"),
        (Says::Bytes([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 200_000]].concat()), ""),
    ];
    for (says, told) in cases {
        let upstream = Upstream::start(says);
        unavailable(&server(&upstream.url(), &["proxy.max_answer=1KiB"]), told);
    }
}

#[test]
fn a_redirect_leads_nowhere() {
    let other = Upstream::start(Says::json("200 OK", ALERTS));
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {}/\r\nContent-Length: 2\r\n\r\n[]", other.url());
    let upstream = Upstream::start(Says::Bytes(head.into_bytes()));
    unavailable(&server(&upstream.url(), &[]), "302");
    assert_eq!(other.heads(), Vec::<String>::new());
}

#[test]
fn many_that_ask_a_silent_upstream_hold_up_nobody_else() {
    let upstream = Upstream::start(Says::Nothing);
    let server = server(&upstream.url(), &["proxy.timeout=1s"]);
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..40).map(|_| scope.spawn(|| server.get("/proxy/alerts").status)).collect();
        assert_eq!(server.get("/health").status, 200);
        let statuses: Vec<u16> = askers.into_iter().map(|asker| asker.join().expect("an answer")).collect();
        assert_eq!(statuses, [504; 40]);
    });
}
