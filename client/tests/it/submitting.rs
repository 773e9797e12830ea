//! Streams of submissions.

use callboard_client::ClientError;
use callboard_contracts::api::{ItemOutcome, SubmittedItem};
use futures_util::stream;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::script::{Answer, Script};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n";

fn accepted(index: usize) -> String {
    let id = Uuid::from_u128(index as u128);
    let outcome = json!({ "id": id, "event_id": id, "state": "available", "duplicate": false });
    format!("{}\n", json!({ "index": index, "status": 202, "outcome": outcome }))
}

fn refused(index: usize) -> String {
    let problem =
        json!({ "type": "urn:callboard:problem:x", "title": "A title", "status": 422, "detail": "no" });
    format!("{}\n", json!({ "index": index, "status": 422, "outcome": problem }))
}

/// Jobs to be sent, of which the second has a line end within.
fn jobs() -> Vec<Value> {
    vec![json!({ "type": "noop" }), json!({ "type": "a\nb" }), json!({ "type": "noop", "priority": 1 })]
}

/// What a stream is answered, to its end, and what was asked.
async fn streamed(answer: Answer) -> (Vec<Result<SubmittedItem, ClientError>>, Vec<String>) {
    let script = Script::play(vec![answer]).await;
    let mut answers = script.client().submit_stream(stream::iter(jobs())).await.expect("a stream");
    let mut all = Vec::new();
    while let Some(answer) = answers.next().await {
        all.push(answer);
    }
    assert!(answers.next().await.is_none(), "it has ended for good");
    (all, script.asked().await)
}

#[tokio::test]
async fn each_job_goes_as_a_line_and_answers_come_however_they_are_cut() {
    let all = [accepted(0), refused(1), accepted(2)].concat();
    let (begin, end) = all.split_at(all.len() / 2 - 3);
    let (answers, asked) = streamed(Answer::raw(&[HEAD, &begin[..1], &begin[1..], end])).await;
    let answers: Vec<SubmittedItem> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().map(|answer| answer.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(matches!(&answers[0].outcome, ItemOutcome::Accepted(job) if job.id == Uuid::from_u128(0)));
    assert!(matches!(&answers[1].outcome, ItemOutcome::Refused(problem) if problem.detail == "no"));
    let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/v1/jobs/stream "), "{head}");
    assert!(head.contains("content-type: application/x-ndjson"), "{head}");
    for job in jobs() {
        assert!(body.contains(&format!("{job}\n")), "{body}");
    }
}

#[tokio::test]
async fn answers_that_break_off_are_told_and_nothing_is_sent_again() {
    let half = &accepted(1)[..20];
    let (answers, asked) = streamed(Answer::raw(&[HEAD, &accepted(0), half])).await;
    assert_eq!((answers.len(), asked.len()), (2, 1));
    assert_eq!(answers[0].as_ref().unwrap().index, 0);
    assert!(matches!(&answers[1], Err(ClientError::Lost { .. })), "{answers:?}");
    // With fewer answers than jobs, but whole ones, it has ended: who sent them knows which are missing.
    let (answers, _) = streamed(Answer::raw(&[HEAD, &accepted(0)])).await;
    assert!(matches!(&answers[..], [Ok(_)]), "{answers:?}");
    let (answers, _) = streamed(Answer::raw(&[HEAD, &accepted(0), "what?\n", &accepted(2)])).await;
    assert!(matches!(&answers[..], [Ok(_), Err(ClientError::Answer(_))]), "{answers:?}");
}

#[tokio::test]
async fn a_line_without_end_is_not_kept() {
    let script = Script::play(vec![Answer::raw(&[HEAD, &"x".repeat(200)])]).await;
    let client = script.builder().answer_limit(100).build().unwrap();
    let mut answers = client.submit_stream(stream::iter(jobs())).await.unwrap();
    let error = answers.next().await.unwrap().unwrap_err().to_string();
    assert!(error.contains("more than the 100 bytes allowed"), "{error}");
}

#[tokio::test]
async fn a_server_without_streams_says_so_at_once() {
    for status in [404, 405, 503] {
        let script = Script::play(vec![Answer::problem(status, "")]).await;
        let error = script.client().submit_stream(stream::iter(jobs())).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        assert_eq!(script.asked().await.len(), 1);
    }
    let script = Script::play(vec![Answer::json(200, "[]")]).await;
    let error = script.client().submit_stream(stream::iter(jobs())).await.unwrap_err().to_string();
    assert!(error.contains("not application/x-ndjson"), "{error}");
}
