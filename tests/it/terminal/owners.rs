//! Whose a session is: sign-ins that end, tokens of others, many tickets, and the old ports that ask nobody for a token.

use serde_json::{Value, json};

use super::{Client, ask_for_ticket, sessions, settings, shell, show, ticket, wanted};
use crate::{
    observatory::old_port,
    server::{Server, eventually, run},
};

const TOKENS: &str = r#"web.tokens=[{ name = "oda", role = "operator", token = "operator-operator-op-1" }, { name = "ada", role = "admin", token = "admin-admin-admin-adm-1" }]"#;
const ODA: (&str, &str) = ("Authorization", "Bearer operator-operator-op-1");
const ADA: (&str, &str) = ("Authorization", "Bearer admin-admin-admin-adm-1");

/// The cookie of somebody who has just signed in.
fn sign_in(server: &Server, token: &str) -> String {
    let body = json!({ "token": token }).to_string();
    let answer = server.request("POST", "/api/v1/session", &[("Content-Type", "application/json")], &body);
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    set.split(';').next().expect("a first part").to_owned()
}

#[test]
fn with_a_sign_in_its_tickets_and_terminals_end() {
    let server = shell(&[TOKENS]);
    let origin = server.url();
    let cookie = sign_in(&server, "operator-operator-op-1");
    let by_cookie = [("Cookie", &*cookie), ("Origin", &*origin)];
    let (used, kept) =
        (ticket(&server, &by_cookie, wanted("write")), ticket(&server, &by_cookie, wanted("write")));
    // The socket itself brings no cookie.
    let (mut client, opened) = show(&server, json!({ "ticket": used }));
    assert_eq!(opened["scope"], "write", "{opened}");
    let json_body = ("Content-Type", "application/json");
    let answer = server.request("DELETE", "/api/v1/session", &[by_cookie[0], by_cookie[1], json_body], "");
    assert_eq!(answer.status, 204, "{answer:?}");
    let (_, said) = show(&server, json!({ "ticket": kept }));
    assert_eq!(said["code"], "AUTH_FAILED", "{said}");
    assert!((4400..4500).contains(&client.until_closed()));
}

#[test]
fn a_token_to_come_back_with_is_good_for_its_owner_alone() {
    let server = shell(&[TOKENS]);
    let connect = |who| Client::connect(server.address, "/ws", &[who]).expect("a WebSocket");
    let back = |session: &Value| json!({ "type": "reconnect", "session": session["sessionId"], "token": session["reconnectToken"] });
    let mut client = connect(ADA);
    let session = client.next_json();
    drop(client);
    let mut other = connect(ODA);
    other.send_json(back(&session));
    loop {
        let said = other.next_json();
        if said["type"] == "error" {
            assert_eq!(said["code"], "INVALID_TOKEN", "{said}");
            break;
        }
        assert_ne!(said["type"], "reconnected", "{said}");
    }
    let mut again = connect(ADA);
    again.send_json(back(&session));
    while again.next_json()["type"] != "reconnected" {}
}

#[test]
fn who_asks_for_many_tickets_takes_none_from_others() {
    let server = shell(&[TOKENS]);
    let first = ticket(&server, &[ODA], wanted("write"));
    for _ in 0..20 {
        assert_eq!(ask_for_ticket(&server, &[ODA], &wanted("write")).0, 201);
    }
    // His oldest have made room for his newest.
    let (_, said) = show(&server, json!({ "ticket": first }));
    assert_eq!(said["code"], "AUTH_FAILED", "{said}");
    let (_client, opened) = show(&server, json!({ "ticket": ticket(&server, &[ODA], wanted("write")) }));
    assert_eq!(opened["scope"], "write", "{opened}");
}

#[test]
fn old_ports_that_ask_nobody_for_a_token_ask_for_one_where_a_terminal_is() {
    let mut options = crate::observatory::options(&[TOKENS, "observatory.allow_unauthenticated=true"]);
    options.arguments.extend(settings(&["terminal.command=console"]).arguments);
    let server = Server::start(&options);
    let [page, socket] = ["terminal", "terminal-socket"].map(|name| old_port(&server, name));
    let mut client = Client::connect(socket, "/ws", &[]).expect("a WebSocket");
    assert_eq!(client.next_json()["code"], "AUTH_REQUIRED");
    let body = wanted("write").to_string();
    let json_body = [("Content-Type", "application/json")];
    let answer = crate::server::request_at(page, "POST", "/api/v1/terminal/tickets", &json_body, &body);
    assert_eq!(answer.status, 401, "{answer:?}");
    let mut client = Client::connect(socket, "/ws", &[ODA]).expect("a WebSocket");
    assert_eq!(client.next_json()["type"], "session");

    // Without any token there is none that other machines reach.
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let output = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--observatory",
        "--data",
        data,
        "--set",
        "observatory.terminal_socket_listen=0.0.0.0:0",
        "--set",
        "observatory.allow_unauthenticated=true",
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("observatory.terminal_socket_listen") && said.contains("web.token"), "{said}");
}

#[test]
fn a_session_that_is_killed_as_it_begins_is_gone() {
    let server = shell(&[]);
    for _ in 0..10 {
        let client = std::thread::scope(|scope| {
            let opening = scope.spawn(|| Client::json(&server, "/ws"));
            let mut killed = false;
            while !killed {
                for session in sessions(&server) {
                    let path =
                        format!("/api/v1/terminal/sessions/{}", session["id"].as_str().expect("an id"));
                    let json_body = [("Content-Type", "application/json")];
                    killed |= server.request("DELETE", &path, &json_body, "").status == 200;
                }
            }
            opening.join().expect("a WebSocket")
        });
        eventually("it is gone", || sessions(&server).is_empty());
        drop(client);
    }
}
