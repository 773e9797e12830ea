//! Who may have a session: origins, tokens, tickets, roles, caps, and what is kept of it.

use serde_json::{Value, json};

use super::{Client, V2, ask_for_ticket, open, sessions, settings, shell, show, ticket, wanted};
use crate::{
    observatory::old_port,
    server::{Server, eventually},
};

const TOKENS: &str = r#"web.tokens=[{ name = "eve", role = "viewer", token = "viewer-viewer-viewer-1" }, { name = "oda", role = "operator", token = "operator-operator-op-1" }, { name = "ada", role = "admin", token = "admin-admin-admin-adm-1" }]"#;

fn bearer(name: &str) -> (&'static str, &'static str) {
    let value = match name {
        "eve" => "Bearer viewer-viewer-viewer-1",
        "oda" => "Bearer operator-operator-op-1",
        _ => "Bearer admin-admin-admin-adm-1",
    };
    ("Authorization", value)
}

#[test]
fn pages_of_other_origins_get_no_socket() {
    let server = shell(&["terminal.origins=[\"https://ops.example.com\"]"]);
    let connect = |protocol: Option<&str>, origin: Option<&str>| {
        let mut headers = Vec::new();
        headers.extend(protocol.map(|protocol| ("Sec-WebSocket-Protocol", protocol)));
        headers.extend(origin.map(|origin| ("Origin", origin)));
        Client::connect(server.address, "/ws", &headers).map_or_else(|refused| refused.status, |_| 101)
    };
    let own = server.url();
    for protocol in [None, Some(V2)] {
        assert_eq!(connect(protocol, Some(&own)), 101, "{protocol:?}");
        assert_eq!(connect(protocol, Some("https://ops.example.com")), 101, "{protocol:?}");
        let other_port = format!("http://127.0.0.1:{}", server.address.port() ^ 1);
        for origin in
            ["https://evil.example", "null", "", &format!("{own}/"), &other_port, "http://ops.example.com"]
        {
            assert_eq!(connect(protocol, Some(origin)), 403, "{protocol:?} {origin}");
        }
    }
    // A program that is no browser sends none; our own page's protocol is for browsers.
    assert_eq!(connect(None, None), 101);
    assert_eq!(connect(Some(V2), None), 403);
}

#[test]
fn a_ticket_is_good_once_and_only_as_it_was_given() {
    let server = shell(&[]);
    let first = ticket(&server, &[], wanted("write"));
    let (mut client, opened) = show(&server, json!({ "ticket": first }));
    assert_eq!(
        (&opened["scope"], &opened["cols"], &opened["resumed"]),
        (&json!("write"), &json!(80), &json!(false))
    );
    client.type_v2("echo a$((20 + 1))b\n");
    client.until_v2("a21b");
    for wrong in [first.as_str(), "", "AAAAAAAAAAAAAAAAAAAAAA"] {
        let (mut refused, said) = show(&server, json!({ "ticket": wrong }));
        assert_eq!(said["code"], "AUTH_FAILED", "{said}");
        assert_eq!(refused.until_closed(), 4401);
    }
    // Anything but a ticket first.
    for first in [&b"\x01ls\n"[..], b"", b"\x00{}", b"\x99"] {
        let mut client = Client::bare(&server);
        client.socket.send(tungstenite::Message::binary(first.to_vec())).expect("it is sent");
        let said: Value = serde_json::from_slice(&client.until_kind(0x16)).expect("JSON");
        assert_eq!(said["code"], "AUTH_REQUIRED");
        client.until_closed();
    }
    for (body, status) in [
        (json!({}), 400),
        (json!({ "scope": "write", "cols": 0, "rows": 24 }), 400),
        (json!({ "scope": "write", "cols": 80, "rows": 1001 }), 400),
        (json!({ "scope": "write", "cols": 80, "rows": 24, "command": "sh" }), 400),
        (json!({ "scope": "root", "cols": 80, "rows": 24 }), 400),
    ] {
        assert_eq!(ask_for_ticket(&server, &[], &body).0, status, "{body}");
    }
}

#[test]
fn a_ticket_is_void_after_its_time_and_a_silent_client_is_sent_away() {
    let server = shell(&["terminal.ticket=50ms"]);
    let late = ticket(&server, &[], wanted("write"));
    super::stay(std::time::Duration::from_millis(60));
    assert_eq!(show(&server, json!({ "ticket": late })).1["code"], "AUTH_FAILED");
    // It has five seconds to show one.
    let mut silent = Client::bare(&server);
    let said: Value = serde_json::from_slice(&silent.until_kind(0x16)).expect("JSON");
    assert_eq!(said["code"], "AUTH_REQUIRED");
    assert_eq!(silent.until_closed(), 4408);
}

#[test]
fn a_resume_needs_the_session_of_the_ticket_and_its_token() {
    let server = shell(&[]);
    let (client, opened) = open(&server);
    let (other, _) = open(&server);
    drop(client);
    let session = opened["session"].clone();
    let token = opened["resume_token"].clone();
    let resume = |session: &Value, token: Value| {
        let body = json!({ "scope": "write", "cols": 80, "rows": 24, "session": session });
        show(&server, json!({ "ticket": ticket(&server, &[], body), "resume_token": token, "offset": 0 })).1
    };
    assert_eq!(
        resume(&json!("0190aaaa-0000-7000-8000-000000000000"), token.clone())["code"],
        "SESSION_NOT_FOUND"
    );
    assert_eq!(resume(&session, json!("wrong"))["code"], "INVALID_TOKEN");
    let back = resume(&session, token.clone());
    assert_eq!((&back["session"], &back["resumed"]), (&session, &json!(true)));
    assert_eq!(resume(&session, token)["code"], "INVALID_TOKEN", "it was used");
    drop(other);
}

#[test]
fn roles_decide_who_reads_and_who_writes() {
    let server = shell(&[TOKENS]);
    assert_eq!(ask_for_ticket(&server, &[], &wanted("read")).0, 401);
    assert_eq!(ask_for_ticket(&server, &[bearer("eve")], &wanted("write")).0, 403);
    assert_eq!(ask_for_ticket(&server, &[bearer("oda")], &wanted("write")).0, 201);

    // A viewer's session: no key gets through to a shell, and it has the size of its ticket.
    let given = ticket(&server, &[bearer("eve")], wanted("read"));
    let (mut viewer, opened) = show(&server, json!({ "ticket": given }));
    assert_eq!(opened["scope"], "read");
    viewer.type_v2("echo a$((20 + 1))b\n");
    let notice = viewer.until_kind(0x15);
    assert!(String::from_utf8_lossy(&notice).contains("read-only"));
    viewer.send_frame(0x02, &[0, 100, 0, 50]);
    viewer.send_frame(0x06, b"still there");
    assert_eq!(viewer.until_kind(0x14), b"still there");
    let listed = server.request("GET", "/api/v1/terminal/sessions", &[bearer("eve")], "").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!((&listed[0]["by"], &listed[0]["cols"]), (&json!("eve"), &json!(80)), "{listed}");
    assert!(!viewer.has_bytes(b"a21b"));

    // A ticket of one person is nobody else's.
    let given = ticket(&server, &[bearer("oda")], wanted("write"));
    let origin = server.url();
    let headers = [("Origin", &*origin), ("Sec-WebSocket-Protocol", V2), bearer("eve")];
    let mut thief = Client::connect(server.address, "/ws", &headers).expect("a WebSocket");
    thief.send_frame(0x00, json!({ "ticket": given }).to_string().as_bytes());
    let said: Value = serde_json::from_slice(&thief.until_kind(0x16)).expect("JSON");
    assert_eq!(said["code"], "AUTH_FAILED");

    // Only an admin ends sessions.
    let path = format!("/api/v1/terminal/sessions/{}", opened["session"].as_str().expect("an id"));
    let end = |name| {
        server.request("DELETE", &path, &[bearer(name), ("Content-Type", "application/json")], "").status
    };
    assert_eq!((end("eve"), end("oda"), end("ada")), (403, 403, 200));
    assert_eq!(viewer.until_closed(), 4442);
    eventually("it is gone", || end("ada") == 404);
}

#[test]
fn old_clients_are_known_by_header_or_parameter_and_told_with_the_codes_of_the_contract() {
    let server = shell(&[TOKENS]);
    let first = |path: &str, headers: &[(&str, &str)]| {
        let mut client = Client::connect(server.address, path, headers).expect("a WebSocket");
        let first = client.next_json();
        (first["code"].as_str().map_or_else(|| first["type"].clone(), |code| json!(code)), client)
    };
    let (code, mut client) = first("/ws", &[]);
    assert_eq!((code, client.until_closed()), (json!("AUTH_REQUIRED"), 1008));
    let (code, mut client) = first("/ws?auth=wrong-wrong-wrong", &[]);
    assert_eq!((code, client.until_closed()), (json!("AUTH_FAILED"), 1008));
    assert_eq!(first("/ws", &[("Authorization", "Bearer wrong-wrong-wrong")]).0, "AUTH_FAILED");
    assert_eq!(first("/ws", &[bearer("oda")]).0, "session");
    let (code, mut operator) = first("/ws?auth=operator-operator-op-1", &[]);
    assert_eq!(code, "session");
    operator.type_json("echo a$((20 + 1))b\n");
    operator.until("a21b");
    let (code, mut viewer) = first("/ws?auth=viewer-viewer-viewer-1", &[]);
    assert_eq!(code, "session");
    viewer.type_json("echo a$((20 + 1))b\n");
    assert_eq!(viewer.until_type("notice")["message"], "this session is read-only: that key does nothing");
    // The next one is not told so soon again.
    viewer.type_json("echo a$((20 + 1))b\n");
    viewer.send_json(json!({ "type": "ping" }));
    while viewer.next_json()["type"] != "pong" {}
    assert!(!viewer.output.contains("a21b"), "{}", viewer.output);
    let log = server.log();
    for secret in ["operator-operator-op-1", "viewer-viewer-viewer-1", "wrong-wrong-wrong"] {
        assert!(!log.contains(secret), "a token is in the log");
    }
}

#[test]
fn nothing_of_a_request_for_a_socket_is_logged_but_its_path() {
    let server = shell(&[TOKENS, "log.level=trace"]);
    let mut client = Client::json(&server, "/ws?auth=operator-operator-op-1&session=x&token=hush-hush-hush");
    assert_eq!(client.next_json()["code"], "SESSION_NOT_FOUND");
    let given = ticket(&server, &[bearer("oda")], wanted("write"));
    let (mut ours, opened) = show(&server, json!({ "ticket": given }));
    ours.type_v2("echo a$((20 + 1))b\n");
    ours.until_v2("a21b");
    eventually("the request is logged", || server.log().contains("\"path\":\"/ws\""));
    let log = server.log();
    let token = opened["resume_token"].as_str().expect("a token");
    for secret in ["operator-operator-op-1", "hush-hush-hush", &given, token] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn the_sixth_session_of_an_address_is_refused() {
    let server = shell(&[]);
    let mut clients: Vec<Client> = (0..5).map(|_| open(&server).0).collect();
    let given = ticket(&server, &[], wanted("write"));
    let (mut sixth, said) = show(&server, json!({ "ticket": given }));
    assert_eq!(said["code"], "PER_IP_CAP", "{said}");
    assert_eq!(sixth.until_closed(), 4429);
    let mut old = Client::json(&server, "/ws");
    let said = old.next_json();
    assert_eq!((&said["type"], &said["code"]), (&json!("error"), &json!("PER_IP_CAP")), "{said}");
    assert_eq!(old.until_closed(), 1008);
    // One that ends leaves its place.
    clients[0].type_v2("exit\n");
    assert_eq!(clients[0].until_closed(), 4000);
    eventually("it is gone", || sessions(&server).len() == 4);
    assert!(open(&server).1["session"].is_string());
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("callboard_terminal_refused_total{code=\"PER_IP_CAP\"} 2"), "{metrics}");
    assert!(metrics.contains("callboard_terminal_sessions 5"), "{metrics}");
}

#[test]
fn there_are_no_more_sessions_than_may_be_in_all() {
    let server = shell(&["terminal.max_sessions=2", "terminal.per_address=2"]);
    let (_first, _) = open(&server);
    let mut second = Client::json(&server, "/ws");
    assert_eq!(second.next_json()["type"], "session");
    // From another address, so that it is not the address that counts.
    let third = std::net::SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    let mut third = from_another_address(third);
    assert_eq!(third.next_json()["code"], "GLOBAL_CAP");
}

/// A client whose address is another one of this machine.
fn from_another_address(server: std::net::SocketAddr) -> Client {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
        .expect("a socket");
    let own = std::net::SocketAddr::from(([127, 0, 0, 2], 0));
    rustix::net::bind(&socket, &own).expect("an address");
    rustix::net::connect(&socket, &server).expect("a connection");
    let stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(crate::server::PATIENCE)).expect("a limit");
    let (socket, _) = tungstenite::client(format!("ws://{server}/ws"), stream).expect("a WebSocket");
    Client { socket, output: String::new(), bytes: Vec::new(), last: 0, acknowledges: true }
}

#[test]
fn what_sessions_do_is_kept_in_the_audit_trail() {
    let server = shell(&[TOKENS]);
    let given = ticket(&server, &[bearer("oda")], wanted("write"));
    let (mut client, opened) = show(&server, json!({ "ticket": given }));
    client.type_v2("exit 7\n");
    assert_eq!(client.until_closed(), 4007);
    let trail = || server.request("GET", "/api/v1/audit", &[bearer("ada")], "").json()["entries"].clone();
    eventually("its end is kept", || trail().as_array().map(Vec::len) == Some(2));
    let entries = trail();
    let [close, open] = [&entries[0], &entries[1]];
    for (entry, action) in [(open, "terminal.open"), (close, "terminal.close")] {
        assert_eq!(
            (&entry["action"], &entry["by"], &entry["role"]),
            (&json!(action), &json!("oda"), &json!("operator"))
        );
        assert_eq!(entry["target"], opened["session"]);
    }
    let detail = &open["detail"];
    assert_eq!(
        (&detail["scope"], &detail["command"], &detail["address"]),
        (&json!("write"), &json!("test"), &json!("127.0.0.1"))
    );
    assert_eq!(
        (&close["detail"]["reason"], &close["outcome"]),
        (&json!("exited"), &json!("the program has ended with exit status 7"))
    );
}

#[test]
fn a_terminal_that_is_read_only_is_so_for_everybody() {
    let server = shell(&["terminal.read_only=true"]);
    assert_eq!(ask_for_ticket(&server, &[], &wanted("write")).0, 403);
    let mut client = Client::json(&server, "/ws");
    assert_eq!(client.next_json()["type"], "session");
    client.type_json("echo x\n");
    assert!(client.until_type("notice")["message"].as_str().is_some_and(|text| text.contains("read-only")));
}

#[test]
fn without_a_terminal_there_is_nothing() {
    let server = Server::start(&settings(&["terminal.enabled=false"]));
    assert_eq!(Client::connect(server.address, "/ws", &[]).err().map(|refused| refused.status), Some(404));
    assert_eq!(ask_for_ticket(&server, &[], &wanted("write")).0, 404);
    assert_eq!(server.get("/api/v1/terminal/sessions").status, 404);
}

#[test]
fn failures_are_made_only_where_the_server_was_told_so() {
    let honest = shell(&[]);
    assert!(Client::connect(honest.address, "/ws?test_mode=fail", &[]).is_ok());
    let tested = shell(&["terminal.test_mode=true"]);
    let status = |mode: &str| {
        Client::connect(tested.address, &format!("/ws?test_mode={mode}"), &[])
            .map_or_else(|refused| refused.status, |_| 101)
    };
    assert_eq!(
        (status("fail"), status("delay:1"), status("delay:x"), status("nonsense")),
        (503, 101, 400, 400)
    );
}

#[test]
fn the_ports_of_the_old_terminal_have_its_page_its_socket_and_its_metrics() {
    let mut options = crate::observatory::options(&["terminal.command=test"]);
    let command = r#"terminal.commands=[{ name = "test", program = "/bin/sh" }]"#;
    options.arguments.extend(["--set".to_owned(), command.to_owned()]);
    let server = Server::start(&options);
    let [page, socket, metrics] =
        ["terminal", "terminal-socket", "terminal-metrics"].map(|name| old_port(&server, name));
    let status = |at, path: &str| crate::server::request_at(at, "GET", path, &[], "").status;
    assert_eq!(status(metrics, "/metrics"), 200);
    assert_eq!(status(page, "/stats"), 200);
    for (at, path) in [(socket, "/metrics"), (metrics, "/ws"), (socket, "/terminal"), (page, "/api/v1/jobs")]
    {
        assert_eq!(status(at, path), 404, "{at} {path}");
    }
    // A page on the one port may use the socket on the other.
    let origin = format!("http://{page}");
    let mut client = Client::connect(socket, "/ws", &[("Origin", &origin)]).expect("a WebSocket");
    assert_eq!(client.next_json()["type"], "session");
    assert!(Client::connect(socket, "/ws", &[("Origin", "http://127.0.0.1:1")]).is_err());
}
