//! Calls: what is asked, what is tried again, and what is said about trouble.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_client::{Client, ClientError, JobQuery, RetryPolicy};
use callboard_contracts::{
    JobState,
    api::{SubmitJob, SubmitMany},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::script::{Answer, Script};

const SUBMITTED: &str = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","event_id":"01890a5d-ac96-774b-bcce-b302099a8058","state":"available","duplicate":false}"#;

fn noop() -> SubmitJob {
    SubmitJob { job_type: "noop".to_owned(), ..SubmitJob::default() }
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").expect("a request").1).expect("JSON")
}

#[tokio::test]
async fn an_absent_server_is_named_with_what_to_do() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::builder(&format!("http://{closed}")).retry(RetryPolicy::never()).build().unwrap();
    let error = client.tree().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let said = error.to_string();
    assert!(said.starts_with(&format!("no server answers at http://{closed} (")), "{said}");
    assert!(said.contains("start one with `callboard serve`"), "{said}");
}

#[tokio::test]
async fn a_full_queue_is_waited_for_and_the_job_is_sent_as_it_was() {
    let full = Answer::problem(429, "Retry-After: 0\r\n");
    let script = Script::play(vec![full, Answer::json(202, SUBMITTED)]).await;
    let told = Arc::new(AtomicU32::new(0));
    let counter = told.clone();
    let client = script.builder().on_retry(move |notice| {
        assert_eq!(notice.error.status(), Some(429));
        counter.fetch_add(1, SeqCst);
    });
    let submitted = client.build().unwrap().submit(noop()).await.unwrap();
    assert_eq!(submitted.state, JobState::Available);
    assert_eq!(told.load(SeqCst), 1);
    let asked = script.asked().await;
    assert!(asked[0].starts_with("POST /api/v1/jobs HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(body(&asked[0])["id"].is_string(), "{}", asked[0]);
    assert_eq!(body(&asked[0]), body(&asked[1]), "the same job, so that it is never doubled");
}

#[tokio::test]
async fn a_server_that_asks_for_too_much_patience_is_not_waited_for() {
    let script = Script::play(vec![Answer::problem(429, "Retry-After: 3600\r\n")]).await;
    let error = script.client().submit(noop()).await.unwrap_err();
    let ClientError::Refused { retry_after, .. } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    script.asked().await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_asked_for_again_where_that_is_harmless() {
    let cut = "HTTP/1.1 202 X\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{\"id\":";
    let script =
        Script::play(vec![Answer::raw(&[cut]), Answer::raw(&[]), Answer::json(202, SUBMITTED)]).await;
    script.client().submit(noop()).await.unwrap();
    let asked = script.asked().await;
    assert_eq!(body(&asked[0]), body(&asked[2]));

    let script = Script::play(vec![Answer::raw(&[cut])]).await;
    let error = script.client().retry(Uuid::nil()).await.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "a replay could be made twice: {error}");
    script.asked().await;
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [400, 403, 404, 408, 409, 413, 415, 421, 422, 500] {
        let script = Script::play(vec![Answer::problem(status, "")]).await;
        let error = script.client().submit(noop()).await.unwrap_err();
        assert_eq!((error.status(), &*error.to_string()), (Some(status), "A title: the detail"));
        assert!(!error.is_passing());
        script.asked().await;
    }
}

#[tokio::test]
async fn what_a_proxy_says_is_shown_and_waited_out() {
    let page = "<html>\n<b>Bad</b>   Gateway \u{1b}[31m</html>";
    let bad = || Answer::new(502, "", "text/html", page);
    let script = Script::play(vec![bad(), Answer::json(200, "[]")]).await;
    assert_eq!(script.client().queues().await.unwrap(), []);
    script.asked().await;

    let script = Script::play(vec![bad()]).await;
    let client = script.client().with_retry(RetryPolicy::never());
    let said = client.queues().await.unwrap_err().to_string();
    assert!(said.contains("502") && said.contains("<b>Bad</b> Gateway [31m</html>"), "{said:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let long = "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n[";
    let chunked =
        "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n";
    let chunk = " ".repeat(0x400);
    for pieces in [vec![long], vec![chunked, &chunk, "\r\n400\r\n", &chunk, "\r\n"]] {
        let script = Script::play(vec![Answer::raw(&pieces).held()]).await;
        let error = script.builder().answer_limit(1024).build().unwrap().queues().await.unwrap_err();
        let said = "the server's answer cannot be used: it has more than the 1024 bytes that are allowed";
        assert_eq!(error.to_string(), said);
        script.asked().await;
    }
}

#[tokio::test]
async fn what_is_no_callboard_server_is_told() {
    let script = Script::play(vec![Answer::new(200, "", "text/html; charset=utf-8", "<html>")]).await;
    let said = script.client().queues().await.unwrap_err().to_string();
    let url = &script.url;
    let expected = format!(
        "the server's answer cannot be used: it is \"text/html\", not application/json; is that at {url} a Callboard \
         server?"
    );
    assert_eq!(said, expected);
    let script = Script::play(vec![Answer::json(200, r#"{"queues":[]}"#)]).await;
    let said = script.client().queues().await.unwrap_err().to_string();
    assert!(said.contains("another version"), "{said}");
    let moved = Answer::new(302, "Location: http://127.0.0.1:1/\r\n", "text/html", "elsewhere");
    let script = Script::play(vec![moved]).await;
    let error = script.client().queues().await.unwrap_err();
    assert_eq!(error.status(), Some(302), "nobody is followed with a token in hand: {error}");
}

#[tokio::test]
async fn a_missing_or_unknown_token_is_told_with_the_cure() {
    let script = Script::play(vec![Answer::problem(401, "")]).await;
    let said = script.client().queues().await.unwrap_err().to_string();
    assert!(said.contains("asks for a token") && said.contains("CALLBOARD_TOKEN"), "{said}");
    let script = Script::play(vec![Answer::problem(401, "")]).await;
    let client = script.builder().token("hush".into()).build().unwrap();
    let said = client.queues().await.unwrap_err().to_string();
    assert!(said.contains("does not know this token") && !said.contains("hush"), "{said}");
    let asked = script.asked().await;
    assert!(asked[0].contains("\r\nauthorization: Bearer hush\r\n"), "{}", asked[0]);
    assert!(!format!("{client:?}").contains("hush"));
}

#[tokio::test]
async fn a_server_that_is_not_ready_still_answers_that_it_is_not() {
    let body =
        r#"{"status":"degraded","version":"0.1.0","reasons":[{"actor":"edges/store","reason":"full"}]}"#;
    let script = Script::play(vec![Answer::json(503, body)]).await;
    let readiness = script.client().ready().await.unwrap();
    assert_eq!(readiness.reasons[0].actor, "edges/store");
    script.asked().await;
}

#[tokio::test]
async fn many_jobs_go_as_lines_that_each_have_an_id() {
    let script = Script::play(vec![Answer::json(200, r#"{"accepted":0,"refused":0,"items":[]}"#)]).await;
    let given = Uuid::now_v7();
    let jobs =
        vec![json!({"type":"a\nb"}), json!({"type":"x","id":given}), json!({"type":"x","id":null}), json!(1)];
    script.client().submit_many(SubmitMany { jobs }).await.unwrap();
    let asked = script.asked().await;
    assert!(asked[0].contains("content-type: application/x-ndjson\r\n"), "{}", asked[0]);
    let lines: Vec<Value> = asked[0]
        .split_once("\r\n\r\n")
        .unwrap()
        .1
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1]["id"], given.to_string());
    assert!(lines[0]["id"].is_string() && lines[2]["id"].is_string());
    assert_eq!(lines[3], 1, "what is no job is left for the server to refuse");
}

#[tokio::test]
async fn pages_are_turned_to_the_last_one() {
    let first = Answer::json(200, r#"{"jobs":[],"next_cursor":"17"}"#);
    let script =
        Script::play(vec![first, Answer::problem(404, ""), Answer::json(200, r#"{"jobs":[]}"#)]).await;
    let query = JobQuery {
        states: vec![JobState::Discarded, JobState::Cancelled],
        queue: Some("a&b".to_owned()),
        limit: Some(7),
        ..JobQuery::default()
    };
    let mut pages = script.client().job_pages(query);
    assert_eq!(pages.cursor(), None);
    assert_eq!(pages.next().await.unwrap(), Some(Vec::new()));
    assert_eq!(pages.cursor(), Some("17"));
    assert!(pages.next().await.is_err());
    assert_eq!(pages.next().await.unwrap(), Some(Vec::new()), "the same page again");
    assert_eq!(pages.next().await.unwrap(), None);
    let asked = script.asked().await;
    let parameters = "state=discarded&state=cancelled&queue=a%26b&limit=7";
    assert!(asked[0].starts_with(&format!("GET /api/v1/jobs?{parameters} ")), "{}", asked[0]);
    assert!(asked[2].starts_with(&format!("GET /api/v1/jobs?{parameters}&cursor=17 ")), "{}", asked[2]);
}
