//! The JSON protocol of the contract, as clients of the old system speak it.

use serde_json::{Value, json};

use super::{Client, process_id, program, shell};
use crate::server::Server;

fn open(server: &Server) -> (Client, String, String) {
    let mut client = Client::json(server, "/ws");
    let first = client.next_json();
    let keys: Vec<&String> = first.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["reconnectToken", "sessionId", "type"]);
    assert_eq!(first["type"], "session");
    let text = |key: &str| first[key].as_str().expect("text").to_owned();
    (client, text("sessionId"), text("reconnectToken"))
}

#[test]
fn a_session_types_resizes_and_pings() {
    let server = shell(&[]);
    let (mut client, ..) = open(&server);
    client.type_json("echo a$((20 + 1))b; echo $TERM $COLORTERM; stty size\n");
    client.until("a21b");
    client.until("xterm-256color truecolor");
    client.until("24 80");
    client.send_json(json!({ "type": "resize", "cols": 132, "rows": 50 }));
    client.type_json("stty size\n");
    client.until("50 132");
    client.send_json(json!({ "type": "ping" }));
    assert_eq!(client.until_type("pong"), json!({ "type": "pong" }));
    for wrong in [json!({ "type": "run", "command": "sh" }), json!([]), json!({ "type": "input" })] {
        client.send_json(wrong);
        let error = client.until_type("error");
        assert_eq!(error["code"], "INTERNAL_ERROR", "{error}");
    }
    client.type_json("exit 3\n");
    assert_eq!(client.until_type("notice")["message"], "the program has ended with exit status 3");
    assert_eq!(client.until_closed(), 1000);
}

#[test]
fn the_program_hears_of_a_new_size() {
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done";
    let server = program("/bin/sh", &["-c", script], &[]);
    let (mut client, ..) = open(&server);
    client.until("ready");
    client.send_json(json!({ "type": "resize", "cols": 77, "rows": 33 }));
    client.until("33 77");
}

#[test]
fn characters_that_are_cut_between_writes_come_whole() {
    // Three bytes of the sign come before a pause, and one after it; then what is no text at all.
    let script = r"printf '\360\237\246'; sleep 0.3; printf '\200 end \377 x\n'; read wait";
    let server = program("/bin/sh", &["-c", script], &[]);
    let (mut client, ..) = open(&server);
    client.until("🦀 end \u{fffd} x");
}

#[test]
fn a_client_that_comes_back_gets_what_it_has_missed() {
    let server = shell(&[]);
    let (mut client, session, token) = open(&server);
    client.type_json("stty -echo; echo o''ne\n");
    client.until("one");
    let seen = client.last;
    client.type_json("echo t''wo\n");
    client.until("two");
    drop(client);

    let mut back = Client::json(&server, "/ws");
    back.send_json(json!({ "type": "reconnect", "session": session, "token": token, "last_seq": seen }));
    let first = back.next_json();
    assert_eq!((&first["type"], &first["sessionId"]), (&json!("reconnected"), &json!(session)));
    assert_eq!(first["restore_size"], json!({ "cols": 80, "rows": 24 }));
    let next_token = first["reconnectToken"].as_str().expect("a token").to_owned();
    assert_ne!(next_token, token);
    assert_eq!(back.next_json(), json!({ "type": "replay_begin", "from_seq": seen + 1 }));
    let end = back.until_type("replay_end");
    assert!(back.output.contains("two") && !back.output.contains("one"), "{:?}", back.output);
    assert_eq!(end["last_seq"], back.last);
    back.type_json("echo th''ree\n");
    back.until("three");
    drop(back);

    // The first token was used; the second one is good, as a parameter too.
    for (used, code) in
        [(&token, Some("INVALID_TOKEN")), (&next_token, None), (&next_token, Some("INVALID_TOKEN"))]
    {
        let mut again = Client::json(&server, &format!("/ws?session={session}&token={used}"));
        let first = again.next_json();
        match code {
            Some(code) => {
                assert_eq!((&first["type"], &first["code"]), (&json!("error"), &json!(code)));
                assert_eq!(again.until_closed(), 1008);
            }
            None => assert_eq!(first["type"], "reconnected", "{first}"),
        }
    }
    let mut nobody = Client::json(&server, "/ws?session=0190aaaa-0000-7000-8000-000000000000&token=x");
    assert_eq!(nobody.next_json()["code"], "SESSION_NOT_FOUND");
}

#[test]
fn a_reconnect_that_comes_late_is_obeyed_and_takes_over() {
    let server = shell(&[]);
    let (mut client, session, token) = open(&server);
    client.type_json("echo p$((1))id=$$=\n");
    client.until("p1id=");
    client.type_json("\n");
    let mut late = Client::json(&server, "/ws");
    let first = late.next_json();
    assert_eq!(first["type"], "session", "it said nothing");
    late.send_json(json!({ "type": "reconnect", "session": session, "token": token }));
    let reconnected = late.until_type("reconnected");
    assert_eq!(reconnected["sessionId"], json!(session));
    late.until_type("replay_end");
    assert!(process_id(&late.output, "p1id=") > 1);
    assert_eq!(client.until_type("notice")["message"], "another connection has taken the session over");
    assert_eq!(client.until_closed(), 1000);
    // What was opened in the meantime, and nobody typed into, is gone at once.
    crate::server::eventually("one session is left", || super::sessions(&server).len() == 1);
}

#[test]
fn frames_that_are_not_kept_are_counted() {
    let server = shell(&["terminal.ring_frames=3"]);
    let (mut client, session, token) = open(&server);
    for number in 0..6 {
        client.type_json(&format!("echo n$((100 + {number}))\n"));
        client.until(&format!("n{}", 100 + number));
    }
    drop(client);
    let mut back = Client::json(&server, &format!("/ws?session={session}&token={token}"));
    assert_eq!(back.next_json()["type"], "reconnected");
    let gap = back.next_json();
    assert_eq!(gap["type"], "buffer_truncated", "{gap}");
    let dropped = gap["frames_dropped"].as_u64().expect("a number");
    assert!(dropped >= 3, "{gap}");
    let begin = back.next_json();
    assert_eq!(begin, json!({ "type": "replay_begin", "from_seq": dropped + 1 }));
    let mut frames = 0;
    while back.next_json()["type"] == "output" {
        frames += 1;
    }
    assert!((1..=3).contains(&frames), "{frames}");
    assert!(!back.output.contains("n100") && back.output.contains("n105"), "{:?}", back.output);
}

#[test]
fn a_program_that_cannot_be_run_is_told_with_the_code_of_the_contract() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("program");
    std::fs::write(&file, "#!/bin/sh\n").expect("a file");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let server = program(file.to_str().expect("text"), &[], &[]);
    std::fs::write(&file, "no program\n").expect("a file");
    let mut client = Client::json(&server, "/ws");
    let mut message = client.next_json();
    if message["type"] == "session" {
        message = client.until_type("error");
    }
    assert_eq!(message["code"], "PTY_SPAWN_FAILED", "{message}");
    assert_eq!(client.until_closed(), 1008);
}

#[test]
fn what_is_no_request_for_a_socket_is_refused_clearly() {
    let server = shell(&[]);
    let answer = server.get("/ws");
    assert_eq!(answer.status, 400, "{answer:?}");
    let error: Value = answer.json();
    assert!(error["error"].as_str().is_some_and(|text| text.contains("WebSocket")), "{error}");
}
