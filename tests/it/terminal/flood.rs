//! Programs that write without end.

use std::time::{Duration, Instant};

use super::{Client, open, program};
use crate::server::Server;

/// The most that the server may grow by.
const GROWTH: u64 = 8 * 1024 * 1024;
/// What writes without end until it reads a line, and then says so.
const FLOOD: &str = "yes 'the quick brown fox jumps over the lazy dog' & read key; kill $!; wait; echo; echo g''ot=$key=; read wait";

/// Reads what comes for so long, types a line, and waits for the answer.
fn flooded(time: Duration, slow: Duration) {
    let server = program("/bin/sh", &["-c", FLOOD], &[]);
    let (mut client, _) = open(&server);
    // What a session needs in any case is there when the first megabytes have gone through.
    while client.last < 8 * 1024 * 1024 {
        client.next_frame();
    }
    let before = server.resident();
    let mut most = before;
    let until = Instant::now() + time;
    while Instant::now() < until {
        client.next_frame();
        if !slow.is_zero() {
            std::thread::park_timeout(slow);
        }
        most = most.max(server.resident());
    }
    client.type_v2("key\n");
    client.until_v2("got=key=");
    most = most.max(server.resident());
    println!("{} MB came, and the server grew by {} KiB", client.last / 1_000_000, (most - before) / 1024);
    assert!(most - before < GROWTH, "from {before} to {most}");
}

#[test]
fn a_flood_takes_no_memory_and_a_key_gets_through() {
    flooded(Duration::from_secs(2), Duration::ZERO);
}

#[test]
fn a_slow_client_takes_no_memory_and_its_key_gets_through() {
    flooded(Duration::from_secs(2), Duration::from_millis(5));
}

#[test]
#[ignore = "takes a minute: cargo nextest run --test it --all-features --run-ignored only -E 'test(a_flood_of_a_minute)'"]
fn a_flood_of_a_minute_takes_no_memory_and_a_key_gets_through() {
    flooded(Duration::from_secs(60), Duration::ZERO);
}

#[test]
fn an_old_client_that_does_not_read_makes_the_program_wait() {
    let server: Server = program("/bin/sh", &["-c", FLOOD], &[]);
    let mut client = Client::json(&server, "/ws");
    assert_eq!(client.next_json()["type"], "session");
    let written = || super::sessions(&server)[0]["output_bytes"].as_u64().expect("a number");
    // It fills what is between the two, and then nothing moves any more.
    let mut last = 0;
    let mut still = Instant::now();
    while still.elapsed() < Duration::from_secs(1) {
        let now = written();
        if now != last {
            (last, still) = (now, Instant::now());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(last < 32 * 1024 * 1024, "{last}");
    client.type_json("key\n");
    client.until("got=key=");
}
