//! Signing in and out, and what that leaves behind.

use std::io::{Read, Write};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    JSON, SAME_ORIGIN, bearer, connect, cookie, options, server, sign_in, token, trail, try_sign_in,
};
use crate::server::{Answer, Options, Server, eventually};

fn session(server: &Server, cookie: &str) -> Answer {
    server.request("GET", "/api/v1/session", &[("Cookie", cookie)], "")
}

fn sign_out(server: &Server, cookie: &str) -> Answer {
    server.request("DELETE", "/api/v1/session", &[("Cookie", cookie), SAME_ORIGIN, JSON], "{}")
}

#[test]
fn a_cookie_stands_for_its_token_until_it_is_signed_out_with() {
    let (_folder, server) = server("");
    let answer = try_sign_in(&server, &token("operator"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let set = answer.header("set-cookie").expect("a cookie");
    let attributes: Vec<&str> = set.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]);
    let signed_in = answer.json();
    assert_eq!((&signed_in["authentication"], &signed_in["name"]), (&"cookie".into(), &"operator's".into()));
    assert!(!answer.body.contains(&token("operator")));
    let cookie = cookie(&answer);
    assert_eq!(session(&server, &cookie).json(), signed_in);
    let submitted = server.request(
        "POST",
        "/api/v1/jobs",
        &[("Cookie", &cookie), SAME_ORIGIN, JSON],
        r#"{"type":"noop"}"#,
    );
    assert_eq!(submitted.status, 202, "{submitted:?}");
    let by_token =
        server.request("GET", "/api/v1/session", &[("Authorization", &bearer("viewer"))], "").json();
    assert_eq!((&by_token["authentication"], &by_token["role"]), (&"token".into(), &"viewer".into()));
    assert_eq!(by_token["expires_at"], Value::Null);
    assert_eq!(server.get("/api/v1/session").status, 401);
    let out = sign_out(&server, &cookie);
    assert_eq!((out.status, out.body.as_str()), (204, ""), "{out:?}");
    assert!(
        out.header("set-cookie").is_some_and(|set| set.starts_with("callboard_session=; Path=/; Max-Age=0;"))
    );
    assert_eq!([session(&server, &cookie).status, sign_out(&server, &cookie).status], [401, 401]);
}

#[test]
fn who_signs_in_and_out_and_who_fails_to_is_kept_and_no_secret_is() {
    let (_folder, server) = server("[log]\nlevel = \"trace\"");
    for _ in 0..2 {
        assert_eq!(try_sign_in(&server, "a wrong token of somebody").status, 401);
    }
    let cookie = sign_in(&server, "viewer");
    sign_out(&server, &cookie);
    let trail: Vec<Value> = trail(&server).into_iter().rev().collect();
    let told = |entry: &Value| {
        let parts = ["by", "role", "action", "target", "outcome"];
        parts.map(|part| entry[part].as_str().unwrap_or("-").to_owned()).join(" ")
    };
    assert_eq!(
        trail.iter().map(told).collect::<Vec<_>>(),
        [
            "unknown - session.begin 127.0.0.1 refused",
            "unknown - session.begin 127.0.0.1 refused",
            "viewer's viewer session.begin 127.0.0.1 done",
            "viewer's viewer session.end 127.0.0.1 done",
        ]
    );
    let secret = cookie.split_once('=').expect("a value").1;
    let (log, trail) = (server.log(), Value::from(trail).to_string());
    assert!(log.contains("/api/v1/session"), "it was logged");
    for secret in [secret, &token("viewer"), "a wrong token of somebody"] {
        assert!(!log.contains(secret) && !trail.contains(secret), "{secret}");
    }
}

#[test]
fn tokens_are_not_tried_as_fast_as_one_likes_and_all_wrong_ones_are_told_the_same() {
    let (_folder, server) = server("[web]\nsign_in_limit = 5");
    let told = |answer: &Answer| {
        let mut problem = answer.json();
        problem["instance"].take();
        (answer.status, problem)
    };
    let known = token("admin");
    let wrong = [&known[..known.len() - 1], &format!("{known}x"), "", "viewer's", "x"];
    let answers: Vec<_> = wrong.iter().map(|wrong| told(&try_sign_in(&server, wrong))).collect();
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // Whether it is the right one now, nobody learns.
    for token in ["x", known.as_str()] {
        let refused = try_sign_in(&server, token);
        assert_eq!(refused.status, 429, "{refused:?}");
        assert_eq!(refused.json()["type"], "urn:callboard:problem:too-many-requests");
        let wait: u64 = refused.header("retry-after").expect("when").parse().expect("seconds");
        assert!((1..=12).contains(&wait), "a fifth of a minute, and not {wait} s");
    }
    // Who has a token is not kept out by whoever tries.
    assert_eq!(
        server.request("GET", "/api/v1/queues", &[("Authorization", &bearer("viewer"))], "").status,
        200
    );
}

#[test]
fn what_cannot_be_a_sign_in_is_refused_without_showing_it() {
    let (_folder, server) = server("");
    let secret = token("admin");
    let large = format!(r#"{{"token":"{}"}}"#, "x".repeat(9000));
    let cases = [
        (400, format!(r#"{{"tokn":"{secret}"}}"#)),
        (400, format!(r#"{{"token":["{secret}"]}}"#)),
        (400, format!(r#"{{"token":"{secret}","token":"{secret}"}}"#)),
        (400, format!(r#""{secret}""#)),
        (400, String::new()),
        (413, large),
    ];
    for (status, body) in cases {
        let answer = server.request("POST", "/api/v1/session", &[JSON], &body);
        assert_eq!(answer.status, status, "{body:.50}: {answer:?}");
        assert!(!answer.body.contains(&secret), "{answer:?}");
    }
}

#[test]
fn without_tokens_nobody_needs_to_sign_in() {
    let server = Server::start(&Options::default());
    let nobody = server.get("/api/v1/session");
    assert_eq!(nobody.json(), serde_json::json!({ "authentication": "none", "role": "admin" }));
    let answer = try_sign_in(&server, "anything");
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None), "{answer:?}");
    assert_eq!(answer.json(), nobody.json());
}

#[test]
fn a_stream_ends_with_the_sign_in_that_it_was_begun_by() {
    let (_folder, server) = server("");
    let cookie = sign_in(&server, "viewer");
    let mut stream = connect(&server);
    let request =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", server.address);
    stream.write_all(request.as_bytes()).expect("sent");
    let mut first = [0; 4096];
    let count = stream.read(&mut first).expect("a head");
    assert!(String::from_utf8_lossy(&first[..count]).starts_with("HTTP/1.1 200"));
    assert_eq!(sign_out(&server, &cookie).status, 204);
    let mut rest = Vec::new();
    // The answer is over; the connection may stay.
    while !rest.ends_with(b"0\r\n\r\n") {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).expect("the end of the answer");
        assert!(count > 0, "the answer breaks off: {rest:?}");
        rest.extend_from_slice(&part[..count]);
    }
}

#[test]
fn the_least_used_sign_in_leaves_for_one_more_and_a_second_one_of_a_browser_ends_its_first() {
    let (_folder, server) = server("[web]\nmax_sessions = 2");
    let (first, second) = (sign_in(&server, "viewer"), sign_in(&server, "operator"));
    assert_eq!(session(&server, &first).status, 200);
    let third = sign_in(&server, "admin");
    let open = [&first, &second, &third].map(|cookie| session(&server, cookie).status);
    assert_eq!(open, [200, 401, 200]);
    let body = serde_json::json!({ "token": token("viewer") }).to_string();
    let again = server.request("POST", "/api/v1/session", &[JSON, ("Cookie", &third), SAME_ORIGIN], &body);
    let fourth = cookie(&again);
    let open = [&first, &third, &fourth].map(|cookie| session(&server, cookie).status);
    assert_eq!(open, [200, 401, 200], "its place was free, so nobody had to leave");
}

#[test]
fn a_restart_ends_every_sign_in() {
    let folder = TempDir::new().expect("a folder");
    let options = options(&folder, "");
    let data = folder.path().join("data");
    let server = Server::start_on(&data, &options).expect("a server");
    let cookie = sign_in(&server, "viewer");
    assert_eq!(session(&server, &cookie).status, 200);
    drop(server);
    let server = Server::start_on(&data, &options).expect("a server");
    assert_eq!(session(&server, &cookie).status, 401);
}

#[test]
fn an_address_has_its_share_of_streams_and_of_connections() {
    let (_folder, server) = server("[web]\nsse_max_clients_per_address = 1\nmax_connections_per_address = 4");
    let token = bearer("viewer");
    let headers = [("Authorization", token.as_str())];
    let mut watcher = connect(&server);
    let request =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: {token}\r\n\r\n", server.address);
    watcher.write_all(request.as_bytes()).expect("sent");
    let mut head = [0; 1024];
    assert!(watcher.read(&mut head).expect("a head") > 0);
    let second = server.request("GET", "/api/v1/events", &headers, "");
    assert_eq!((second.status, second.header("retry-after")), (429, Some("1")), "{second:?}");
    assert_eq!(second.json()["type"], "urn:callboard:problem:too-many-requests");
    let held: Vec<_> = (0..3).map(|_| connect(&server)).collect();
    let mut refused = None;
    eventually("the connections are counted", || {
        let answer = server.request("GET", "/api/v1/queues", &headers, "");
        let is_refused = answer.status == 503;
        refused = Some(answer);
        is_refused
    });
    let refused = refused.expect("an answer");
    assert_eq!((refused.header("retry-after"), refused.header("connection")), (Some("1"), Some("close")));
    assert!(
        refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("4 connections")),
        "{refused:?}"
    );
    assert_eq!(server.get("/api/v1/live").status, 200, "whoever runs the server is answered");
    drop(held);
    eventually("there is room again", || server.request("GET", "/api/v1/queues", &headers, "").status == 200);
    drop(watcher);
}
