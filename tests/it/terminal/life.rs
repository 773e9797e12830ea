//! How long sessions live, and that nothing of them is left.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::{Client, lives, open, process_id, sessions, shell};
use crate::server::{Server, eventually};

/// The shell of a session, and a process that it has started in another session and hidden from the terminal's signals.
fn processes(client: &mut Client) -> [u32; 2] {
    client.type_v2("stty -echo; setsid sh -c 'trap \"\" HUP TERM; echo c$((1))=$$=; while :; do sleep 1; done' & echo p$((1))=$$=\n");
    client.until_v2("p1=");
    client.until_v2("c1=");
    // Until the number is all there.
    client.type_v2("echo d''one\n");
    client.until_v2("done");
    let text = String::from_utf8_lossy(&client.bytes).into_owned();
    [process_id(&text, "p1="), process_id(&text, "c1=")]
}

fn gone(processes: [u32; 2]) {
    eventually("its processes are gone", || processes.iter().all(|process| !lives(*process)));
}

#[test]
fn a_session_outlives_its_connection_for_its_grace_and_no_longer() {
    let server = shell(&["terminal.grace=300ms"]);
    let (mut client, _) = open(&server);
    let processes = processes(&mut client);
    assert!(processes.iter().all(|process| lives(*process)));
    drop(client);
    eventually("it is gone", || sessions(&server).is_empty());
    gone(processes);
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("callboard_terminal_sessions_ended_total{reason=\"left\"} 1"), "{metrics}");
}

#[test]
fn a_session_in_which_nobody_types_ends() {
    let server = shell(&["terminal.idle_timeout=1s"]);
    let (mut client, _) = open(&server);
    let processes = processes(&mut client);
    assert_eq!(client.until_closed(), 4440);
    gone(processes);
}

#[test]
fn a_session_does_not_last_for_ever() {
    let server = shell(&["terminal.idle_timeout=1500ms", "terminal.absolute_timeout=1500ms"]);
    let (mut client, _) = open(&server);
    // However much is typed.
    let mut typed = 0;
    let code = loop {
        client.socket.get_mut().set_read_timeout(Some(Duration::from_millis(50))).expect("a limit");
        match client.socket.read() {
            Ok(tungstenite::Message::Close(Some(frame))) => break u16::from(frame.code),
            Ok(_) => {}
            Err(tungstenite::Error::Io(_)) => {
                typed += 1;
                let _ = client.socket.send(tungstenite::Message::binary(&b"\x01\n"[..]));
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(code, 4441);
    assert!(typed > 0);
}

#[test]
fn the_kill_switch_ends_a_session_with_all_its_processes_and_no_other() {
    let server = shell(&[]);
    let (mut client, opened) = open(&server);
    let (mut other, _) = open(&server);
    let processes = processes(&mut client);
    let path = format!("/api/v1/terminal/sessions/{}", opened["session"].as_str().expect("an id"));
    let answer = server.request("DELETE", &path, &[("Content-Type", "application/json")], "");
    assert_eq!((answer.status, &answer.json()["ended"]), (200, &json!(true)), "{answer:?}");
    assert_eq!(client.until_closed(), 4442);
    gone(processes);
    other.type_v2("echo a$((20 + 1))b\n");
    other.until_v2("a21b");
    eventually("it is kept who did it", || {
        let entries = server.get("/api/v1/audit").json()["entries"].clone();
        let has =
            |action: &str| entries.as_array().expect("a list").iter().any(|entry| entry["action"] == action);
        has("terminal.kill") && has("terminal.close")
    });
}

#[test]
fn a_server_that_is_killed_leaves_no_process() {
    let server = shell(&[]);
    let (mut client, _) = open(&server);
    let processes = processes(&mut client);
    server.signal(Signal::KILL);
    gone(processes);
}

#[test]
fn a_server_that_stops_tells_its_clients_and_leaves_no_process() {
    let mut server = shell(&[]);
    let (mut client, _) = open(&server);
    let mut old = Client::json(&server, "/ws");
    assert_eq!(old.next_json()["type"], "session");
    let processes = processes(&mut client);
    server.signal(Signal::TERM);
    assert_eq!((client.until_closed(), old.until_closed()), (1001, 1001));
    assert!(server.wait().success());
    gone(processes);
}

#[test]
fn the_end_of_a_sessions_actor_leaves_the_others() {
    let server = shell(&[]);
    let (mut client, opened) = open(&server);
    let (mut other, _) = open(&server);
    let processes = processes(&mut client);
    let session = opened["session"].as_str().expect("an id");
    let tree = server.json(&["tree", "--json"]).to_string();
    assert!(tree.contains(session), "each session is an actor in the tree: {tree}");
    let node = server.get("/api/v1/nodes").json()[0]["name"].as_str().expect("a name").to_owned();
    let body = json!({ "action": "restart_actor", "actor": format!("web/terminal/sessions/{session}") });
    let answer = server.post(&format!("/api/v1/nodes/{node}/commands"), &body.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    client.until_closed();
    gone(processes);
    eventually("it is forgotten", || sessions(&server).len() == 1);
    other.type_v2("echo a$((20 + 1))b\n");
    other.until_v2("a21b");
}

#[test]
fn a_client_of_which_nothing_is_heard_is_given_up() {
    let server = shell(&["terminal.ping=100ms", "terminal.dead_after=600ms", "terminal.grace=60s"]);
    let (client, _) = open(&server);
    // It reads nothing, so it answers no ping.
    eventually("its session is alone", || sessions(&server)[0]["attached"] == false);
    drop(client);
    // One that reads is not, though it never types.
    let (mut client, opened) = open(&server);
    client.socket.get_mut().set_read_timeout(Some(Duration::from_millis(50))).expect("a limit");
    let until = std::time::Instant::now() + Duration::from_millis(1500);
    while std::time::Instant::now() < until {
        match client.socket.read() {
            Ok(tungstenite::Message::Close(frame)) => panic!("{frame:?}"),
            Ok(_) | Err(tungstenite::Error::Io(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let listed = sessions(&server);
    let own = listed.iter().find(|session| session["id"] == opened["session"]).expect("the session");
    assert_eq!(own["attached"], true);
}

#[test]
fn recordings_are_made_only_if_wanted_and_without_what_is_typed() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let recordings = folder.path().join("recordings");
    let setting = format!("terminal.recordings_dir={}", recordings.display());
    let server = shell(&[&setting]);
    let (mut client, opened) = open(&server);
    client.type_v2("stty -echo; echo b''egin\n");
    client.until_v2("begin");
    client.type_v2("read secret; echo e''nd\n");
    client.type_v2("hush-hush\n");
    client.until_v2("end");
    client.send_frame(0x02, &[0, 132, 0, 50]);
    client.type_v2("exit\n");
    client.until_closed();
    let file = recordings.join(format!("{}.cast", opened["session"].as_str().expect("an id")));
    eventually("the session is gone", || sessions(&server).is_empty());
    let text = std::fs::read_to_string(&file).expect("a recording");
    let mut lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let header = lines.next().expect("a header");
    assert_eq!(
        (&header["version"], &header["width"], &header["height"]),
        (&json!(2), &json!(80), &json!(24))
    );
    let events: Vec<_> = lines.collect();
    let shown: String =
        events.iter().filter(|event| event[1] == "o").filter_map(|event| event[2].as_str()).collect();
    assert!(shown.contains("begin") && shown.contains("end") && !shown.contains("hush-hush"), "{shown:?}");
    assert!(events.iter().any(|event| event[1] == "r" && event[2] == "132x50"), "{events:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);

    let silent = shell(&[]);
    let (mut client, _) = open(&silent);
    client.type_v2("exit\n");
    client.until_closed();
    assert!(!silent.data.join("recordings").exists());
}

#[test]
fn the_environment_of_a_program_is_small_and_has_no_secret() {
    let mut options = super::settings(&[
        r#"terminal.commands=[{ name = "env", program = "/usr/bin/env" }]"#,
        "terminal.command=env",
    ]);
    options.environment.push(("MY_SECRET".to_owned(), "hush-hush".to_owned()));
    options.environment.push(("CALLBOARD__WEB__TOKEN".to_owned(), "admin-admin-admin-1".to_owned()));
    let server = Server::start(&options);
    let mut client = Client::json(&server, "/ws?auth=admin-admin-admin-1");
    client.until_type("notice");
    let mut names: Vec<&str> =
        client.output.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["CALLBOARD_RUN_ID", "COLORTERM", "HOME", "LANG", "LC_ALL", "PATH", "TERM"]);
    assert!(!client.output.contains("hush") && !client.output.contains("admin-admin"));
}
