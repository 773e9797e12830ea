//! `callboard.terminal.v2`.

use serde_json::{Value, json};

use super::{Client, open, program, shell, show, ticket};
use crate::server::Server;

fn resume(server: &Server, opened: &Value, offset: u64) -> (Client, Value) {
    let body = json!({ "scope": "write", "cols": 100, "rows": 30, "session": opened["session"] });
    let ticket = ticket(server, &[], body);
    let token = &opened["resume_token"];
    let (mut client, said) =
        show(server, json!({ "ticket": ticket, "resume_token": token, "offset": offset }));
    client.last = offset;
    (client, said)
}

#[test]
fn a_session_types_resizes_pings_and_ends_with_the_exit_status() {
    let server = shell(&[]);
    let (mut client, opened) = open(&server);
    assert_eq!((&opened["command"], &opened["window"]), (&json!("test"), &json!(262_144)));
    client.type_v2("stty size; echo a$((20 + 1))b\n");
    client.until_v2("24 80");
    client.until_v2("a21b");
    client.send_frame(0x02, &[0, 132, 0, 50]);
    client.type_v2("stty size\n");
    client.until_v2("50 132");
    client.send_frame(0x06, b"ping");
    assert_eq!(client.until_kind(0x14), b"ping");
    client.type_v2("exit 42\n");
    assert_eq!(client.until_kind(0x13), [0, 0, 0, 0, 42]);
    assert_eq!(client.until_closed(), 4042);

    let (mut client, _) = open(&server);
    client.type_v2("kill -9 $$\n");
    assert_eq!(client.until_kind(0x13), [1, 0, 0, 0, 9]);
    assert_eq!(client.until_closed(), 4265);
}

#[test]
fn output_is_the_bytes_that_the_program_writes() {
    let script =
        r"stty raw; printf '\360\237\246'; sleep 0.1; printf '\200\377\000\033[31m\302|end'; read wait";
    let server = program("/bin/sh", &["-c", script], &[]);
    let (mut client, _) = open(&server);
    client.until_v2("|end");
    assert_eq!(client.bytes, b"\xf0\x9f\xa6\x80\xff\x00\x1b[31m\xc2|end");
}

#[test]
fn input_is_the_bytes_that_the_client_sends() {
    let script = "stty raw -echo; echo ready; head -c 300 | od -An -tu1 -v | tr -d ' \\n'; echo; echo done";
    let server = program("/bin/sh", &["-c", script], &[]);
    let (mut client, _) = open(&server);
    client.until_v2("ready");
    let all: Vec<u8> = (0..300).map(|number| (number % 256) as u8).collect();
    for piece in all.chunks(7) {
        client.send_frame(0x01, piece);
    }
    client.until_v2("done");
    let wanted: String = all.iter().map(u8::to_string).collect();
    assert!(client.has_bytes(wanted.as_bytes()), "{}", String::from_utf8_lossy(&client.bytes));
}

#[test]
fn without_acknowledgements_the_program_waits() {
    let server = program(
        "/bin/sh",
        &["-c", "yes 0123456789 & echo $! > \"$HOME/pid\"; wait"],
        &["terminal.window=32KiB"],
    );
    let (mut client, opened) = open(&server);
    client.acknowledges = false;
    while client.last < 32 * 1024 {
        client.next_frame();
    }
    assert_eq!(client.last, 32 * 1024, "no more than the window");
    // Nothing more comes: a ping is answered before any output.
    client.send_frame(0x06, b"1");
    assert_eq!(client.next_frame(), (0x14, b"1".to_vec()));
    let written = || {
        let listed = super::sessions(&server);
        assert_eq!(listed[0]["id"], opened["session"]);
        listed[0]["output_bytes"].as_u64().expect("a number")
    };
    let before = written();
    assert!(before <= 64 * 1024 + 32 * 1024, "{before}");
    client.send_frame(0x06, b"2");
    assert_eq!(client.next_frame(), (0x14, b"2".to_vec()));
    assert_eq!(written(), before, "the program is not read any further");
    // Half of it makes room for as much.
    client.send_frame(0x03, &(16 * 1024_u64).to_be_bytes());
    while client.last < 48 * 1024 {
        client.next_frame();
    }
    assert_eq!(client.last, 48 * 1024);
    // It can be held back, too, and let go on.
    client.send_frame(0x04, b"");
    client.send_frame(0x03, &client.last.to_be_bytes());
    client.send_frame(0x06, b"3");
    while client.next_frame().0 != 0x14 {}
    let held = client.last;
    client.send_frame(0x06, b"4");
    assert_eq!(client.next_frame(), (0x14, b"4".to_vec()));
    client.send_frame(0x05, b"");
    while client.last == held {
        client.next_frame();
    }
}

#[test]
fn a_client_that_comes_back_goes_on_where_it_was() {
    let server = shell(&[]);
    let (mut client, opened) = open(&server);
    client.type_v2("stty -echo; echo o''ne\n");
    client.until_v2("one");
    let seen = client.last;
    client.type_v2("echo t''wo; stty size\n");
    client.until_v2("24 80");
    let all = client.last;
    drop(client);
    let (mut back, said) = resume(&server, &opened, seen);
    assert_eq!((&said["resumed"], &said["session"]), (&json!(true), &opened["session"]));
    assert_eq!((&said["cols"], &said["rows"]), (&json!(100), &json!(30)));
    while back.last < all {
        back.next_frame();
    }
    assert!(back.has_bytes(b"two") && !back.has_bytes(b"one"));
    back.type_v2("stty size\n");
    back.until_v2("30 100");
}

#[test]
fn what_is_not_kept_any_more_is_a_gap() {
    // Written while nobody is there, and more than is kept.
    let script = "echo begin; read go; echo go''ing; (sleep 0.2; yes 0123456789abcde | head -c 3000000; echo; echo e''nd) & wait; read wait";
    let server = program("/bin/sh", &["-c", script], &[]);
    let (mut client, opened) = open(&server);
    client.until_v2("begin");
    let seen = client.last;
    client.type_v2("\n");
    // What it has sent and not seen taken goes with a connection.
    client.until_v2("going");
    drop(client);
    crate::server::eventually("all is written", || {
        super::sessions(&server)[0]["output_bytes"].as_u64().is_some_and(|bytes| bytes > 3_000_000)
    });
    let (mut back, _) = resume(&server, &opened, seen);
    let gap = back.until_kind(0x12);
    let number = |at: usize| u64::from_be_bytes(gap[at..at + 8].try_into().expect("eight bytes"));
    assert_eq!(number(0), seen);
    assert!(number(8) > seen + 500_000, "{}", number(8));
    back.last = number(8);
    back.until_v2("end");
    assert!(back.last - number(8) <= 2 * 1024 * 1024 + 64 * 1024);
}

#[test]
fn what_is_no_frame_ends_the_connection_and_not_the_session() {
    let server = shell(&[]);
    let (mut client, mut opened) = open(&server);
    for wrong in [&b"\x02\0\x50"[..], b"\x02\0\0\0\x18", b"\x03\0", b"\x04x", b"\x77", b"", b"\x00{}"] {
        client.socket.send(tungstenite::Message::binary(wrong.to_vec())).expect("it is sent");
        assert_eq!(client.until_closed(), 4400, "{wrong:?}");
        let (back, said) = resume(&server, &opened, 0);
        (client, opened) = (back, said);
        assert_eq!(opened["resumed"], true, "{wrong:?}: {opened}");
        client.last = 0;
    }
    client.socket.send(tungstenite::Message::text("text")).expect("it is sent");
    assert_eq!(client.until_closed(), 4400);
}
