//! The event stream, over connections that tear.

use std::time::Duration;

use callboard_client::{ClientError, EventQuery, EventStream, StreamItem};
use callboard_contracts::api::LogCursor;
use serde_json::json;
use uuid::Uuid;

use crate::script::{Answer, Script};

/// An event as the server writes it.
fn event(position: u64) -> String {
    let record = json!({
        "cursor": format!("1-{position}"),
        "queue": "default",
        "event": {
            "contractVersion": "1.0.0",
            "eventType": "job.completed",
            "eventId": Uuid::nil(),
            "occurredAt": "2026-01-01T00:00:00Z",
            "producer": { "service": "s", "instanceId": "i", "version": "1" },
            "correlationId": Uuid::nil(),
            "idempotencyKey": Uuid::nil(),
            "payload": {},
        },
    });
    format!("id: 1-{position}\nevent: job.completed\ndata: {record}\n\n")
}

const HELLO: &str = ": callboard events\nretry: 1\n\n";

/// In a word each: what the stream gives, up to an item that says `until`, or its end.
async fn items(stream: &mut EventStream, until: &str) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(item) = stream.next().await {
        let word = match item {
            Ok(StreamItem::Opened) => "opened".to_owned(),
            Ok(StreamItem::Event(record)) => record.cursor,
            Ok(StreamItem::Reset) => "reset".to_owned(),
            Err(ClientError::Answer(why)) => why,
            Err(error) => panic!("{error}"),
        };
        all.push(word);
        if all.last().is_some_and(|last| last == until) {
            break;
        }
    }
    all
}

fn follow(script: &Script) -> EventStream {
    script.client().events(EventQuery::default())
}

#[tokio::test]
async fn torn_frames_and_cut_connections_lose_and_double_nothing() {
    let (second, third) = (event(2), event(3));
    let (begin, end) = second.split_at(second.len() / 2);
    let script = Script::play(vec![
        Answer::stream(&[HELLO, &event(1), begin, end, &third[..third.len() - 1]]),
        Answer::raw(&["HTTP/1.1 200 OK\r\nContent-Type: text/ev"]),
        Answer::problem(503, "Retry-After: 0\r\n"),
        Answer::stream(&[HELLO, &third, ": still here\n\n", &event(4)]).held(),
    ])
    .await;
    let mut stream = follow(&script);
    assert_eq!(items(&mut stream, "1-4").await, ["opened", "1-1", "1-2", "opened", "1-3", "1-4"]);
    drop(stream);
    script.the_client_has_closed().await;
    let asked = script.asked().await;
    assert!(asked[0].starts_with("GET /api/v1/events HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(!asked[0].contains("last-event-id"), "{}", asked[0]);
    for request in &asked[1..] {
        assert!(request.contains("\r\nlast-event-id: 1-2\r\n"), "{request}");
    }
}

#[tokio::test]
async fn a_place_and_a_job_can_be_named() {
    let script = Script::play(vec![Answer::stream(&[HELLO, &event(8)])]).await;
    let after = Some(LogCursor { epoch: 1, position: 7 });
    let mut stream = script.client().events(EventQuery { after, job: Some(Uuid::nil()) });
    assert_eq!(items(&mut stream, "1-8").await, ["opened", "1-8"]);
    let asked = script.asked().await;
    assert!(asked[0].starts_with(&format!("GET /api/v1/events?job={} ", Uuid::nil())), "{}", asked[0]);
    assert!(asked[0].contains("\r\nlast-event-id: 1-7\r\n"), "{}", asked[0]);
}

#[tokio::test]
async fn missed_events_are_told() {
    let script = Script::play(vec![
        Answer::stream(&[HELLO]),
        Answer::stream(&[HELLO, "id: 2-5\nevent: reset\ndata: {}\n\n"]),
        Answer::stream(&[HELLO, &event(6)]),
    ])
    .await;
    let mut stream = follow(&script);
    let expected = ["opened", "opened", "reset", "reset", "opened", "1-6"];
    assert_eq!(
        items(&mut stream, "1-6").await,
        expected,
        "lost before the place was known, then said by the server"
    );
    let asked = script.asked().await;
    assert!(asked[2].contains("\r\nlast-event-id: 2-5\r\n"), "{}", asked[2]);
}

#[tokio::test]
async fn events_of_a_later_version_are_passed_over() {
    let later = "id: 1-1\nevent: job.dreamt\ndata: whatever\n\n";
    let script = Script::play(vec![Answer::stream(&[HELLO, later]), Answer::stream(&[&event(2)])]).await;
    let mut stream = follow(&script);
    assert_eq!(items(&mut stream, "1-2").await, ["opened", "opened", "1-2"]);
    assert!(script.asked().await[1].contains("\r\nlast-event-id: 1-1\r\n"));
}

#[tokio::test]
async fn what_cannot_be_used_ends_the_stream() {
    let long = format!("data: {}", "x".repeat(2000));
    let cases = [
        (Answer::stream(&[HELLO, &long]).held(), "an event has more than the 1024 bytes allowed"),
        (
            Answer::stream(&["event: job.created\ndata: {}\n\n"]).held(),
            "an event cannot be read: missing field",
        ),
        (Answer::json(200, "{}"), "it is \"application/json\", not text/event-stream"),
    ];
    for (answer, says) in cases {
        let script = Script::play(vec![answer]).await;
        let mut stream = script.builder().answer_limit(1024).build().unwrap().events(EventQuery::default());
        let all = items(&mut stream, "never").await;
        assert!(all.last().is_some_and(|last| last.starts_with(says)), "{all:?}");
        assert!(stream.next().await.is_none(), "it stays ended");
        script.asked().await;
    }
}

#[tokio::test]
async fn a_refusal_ends_the_stream_at_once() {
    let script = Script::play(vec![Answer::problem(403, "")]).await;
    let mut stream = follow(&script);
    let refused = stream.next().await.expect("an item");
    assert_eq!(refused.unwrap_err().status(), Some(403));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_stays_away_ends_the_stream() {
    let script = Script::play(vec![Answer::stream(&[HELLO, &event(1)])]).await;
    let mut stream = follow(&script);
    assert_eq!(items(&mut stream, "1-1").await, ["opened", "1-1"]);
    script.asked().await;
    let error = stream.next().await.expect("an item").unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. } | ClientError::Lost { .. }), "{error}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn silence_counts_as_a_lost_connection() {
    let script = Script::play(vec![Answer::stream(&[&event(1)]).held(), Answer::stream(&[&event(2)])]).await;
    let client = script.builder().event_silence(Duration::from_secs(1)).build().unwrap();
    let mut stream = client.events(EventQuery::default());
    assert_eq!(items(&mut stream, "1-1").await, ["opened", "1-1"]);
    assert_eq!(items(&mut stream, "1-2").await, ["opened", "1-2"]);
}
