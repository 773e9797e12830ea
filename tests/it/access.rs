//! Who may ask what: tokens with their roles, hosts, origins.

use std::fs;

use crate::server::{Answer, Options, Server, run};

const SECRETS: [(&str, &str); 3] =
    [("viewer", "viewer-secret-1"), ("operator", "operator-secret-2"), ("admin", "admin-secret-3")];

/// A server with a token for each role.
fn server(more: &str) -> (tempfile::TempDir, Server) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("callboard.toml");
    let tokens: String = SECRETS
        .iter()
        .map(|(role, token)| {
            format!("[[web.tokens]]\nname = \"{role}'s\"\nrole = \"{role}\"\ntoken = \"{token}\"\n")
        })
        .collect();
    fs::write(&file, format!("{more}\n[log]\nlevel = \"trace\"\n{tokens}")).expect("a file");
    let server = Server::start(&Options::arguments(&["--config", file.to_str().expect("UTF-8")]));
    (folder, server)
}

fn ask(server: &Server, method: &str, path: &str, authorization: Option<&str>) -> Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    let body = if method == "POST" { r#"{"type":"noop"}"# } else { "" };
    server.request(method, path, &headers, body)
}

#[test]
fn each_role_may_do_what_it_may() {
    let (_folder, server) = server("");
    // The lowest role that may; none for the probes.
    let unknown = "/api/v1/jobs/01890a5d-ac96-774b-bcce-b302099a8057";
    let (cancel, retry) = (format!("{unknown}/cancel"), format!("{unknown}/retry"));
    let cases = [
        ("GET", "/api/v1/live", 0),
        ("GET", "/api/v1/ready", 0),
        ("GET", "/health", 0),
        ("GET", "/healthz", 0),
        ("GET", "/readyz", 0),
        ("GET", "/api/v1/jobs", 1),
        ("GET", unknown, 1),
        ("GET", "/api/v1/queues", 1),
        ("GET", "/api/v1/edges", 1),
        ("PUT", "/api/v1/edges/smtp", 2),
        ("GET", "/api/v1/tree", 1),
        ("GET", "/api/v1/stats", 1),
        ("GET", "/stats", 1),
        ("GET", "/jobs/recent", 1),
        ("GET", "/events", 1),
        ("GET", "/metrics", 1),
        ("GET", "/proxy/alerts", 1),
        ("GET", "/proxy/targets", 1),
        ("GET", "/openapi.json", 1),
        ("GET", "/nowhere", 1),
        ("POST", "/jobs", 2),
        ("POST", "/api/v1/jobs", 2),
        ("POST", "/api/v1/jobs/batch", 2),
        ("POST", "/api/v1/jobs/lookup", 1),
        ("POST", &cancel, 2),
        ("POST", &retry, 2),
    ];
    for (method, path, lowest) in cases {
        let strange = ["", "Bearer", "Bearer ", "Bearer viewer-secret", "viewer-secret-1", "Basic dmlld2Vy"];
        let without = [None].into_iter().chain(strange.into_iter().map(Some));
        for authorization in without {
            let answer = ask(&server, method, path, authorization);
            let told = answer.header("www-authenticate").is_some();
            assert_eq!((answer.status == 401, told), (lowest > 0, lowest > 0), "{path} {authorization:?}");
        }
        for (level, (role, secret)) in SECRETS.iter().enumerate() {
            let answer = ask(&server, method, path, Some(&format!("Bearer {secret}")));
            let refused = [401, 403].contains(&answer.status);
            assert_eq!(refused, level + 1 < lowest, "{method} {path} as {role}: {answer:?}");
            assert!(SECRETS.iter().all(|(_, secret)| !answer.body.contains(secret)), "{answer:?}");
        }
    }
    let log = server.log();
    assert!(log.contains("\"level\":\"DEBUG\"") && log.contains("/api/v1/jobs/lookup"), "it was logged");
    assert!(SECRETS.iter().all(|(_, secret)| !log.contains(secret)), "a secret is in the log");
}

#[test]
fn a_server_that_others_reach_needs_a_token() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let output = run(&["serve", "--listen", listen, "--data", "/nowhere"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("web.token"), "{said}");
    }
}

#[test]
fn hosts_and_origins_are_ours_or_refused() {
    let (_folder, server) = server("[web]\nhosts = [\"board.example\"]");
    let status = |host: &str, more: &str| {
        let request = format!(
            "POST /api/v1/jobs HTTP/1.1\r\n{host}Authorization: Bearer admin-secret-3\r\n{more}\
             Content-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{{\"type\":\"noop\"}}"
        );
        server.raw(request.as_bytes()).status
    };
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8080", "board.example", "Board.Example:443"]
    {
        assert_eq!(status(&format!("Host: {host}\r\n"), ""), 202, "{host}");
    }
    // With tokens an address is no name that somebody could have point here.
    assert_eq!(status("Host: 192.0.2.1:8080\r\n", ""), 202);
    for host in ["evil.example", "board.example.evil", "localhost.evil", "evil.localhost", "", "::1", "a b"] {
        let status = status(&format!("Host: {host}\r\n"), "");
        assert!([400, 421].contains(&status), "{host:?}: {status}");
    }
    assert!([400, 421].contains(&status("", "")), "no host at all");
    let origin = |origin: &str| status("Host: board.example\r\n", &format!("Origin: {origin}\r\n"));
    for ours in ["http://board.example", "https://BOARD.example"] {
        assert_eq!(origin(ours), 202, "{ours}");
    }
    for foreign in
        ["http://evil.example", "null", "http://localhost", "http://board.example:81", "board.example.evil"]
    {
        assert_eq!(origin(foreign), 403, "{foreign}");
    }
    let site = |site: &str| status("Host: board.example\r\n", &format!("Sec-Fetch-Site: {site}\r\n"));
    assert_eq!(["same-origin", "none", "cross-site", "same-site"].map(site), [202, 202, 403, 403]);
}
