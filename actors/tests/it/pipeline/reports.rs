//! What running jobs say of themselves, on its way to the store.

use std::sync::atomic::Ordering::SeqCst;

use callboard_contracts::{
    EventType, JobState,
    api::{JobLogLine, JobLogQuery, LogCursor, LogLevel},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::{Folder, Node};

fn talk(words: u64, fails: u32) -> Value {
    json!({ "type": "talk", "payload": { "words": words, "fails": fails } })
}

async fn lines(node: &Node, id: Uuid) -> Vec<JobLogLine> {
    let query = JobLogQuery { limit: Some(1000), ..JobLogQuery::default() };
    node.store.job_log(id, query).await.unwrap().unwrap().lines
}

async fn told(node: &Node, id: Uuid) -> Vec<EventType> {
    let page = node.store.events_after(LogCursor::default(), Some(id), 1000).await.unwrap();
    page.events.into_iter().map(|event| event.event.event_type).collect()
}

#[tokio::test]
async fn a_flood_of_a_million_words_keeps_the_first_lines_and_the_last_word() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    node.stage.gate.add_permits(1);
    let id = node.submit(talk(1_000_000, 0)).await.unwrap().id;
    let job = node.reaches(id, JobState::Completed).await;
    let progress = job.progress.expect("the last word");
    assert_eq!((progress.fraction, progress.message.as_deref()), (1.0, Some("all is said")));
    let lines = lines(&node, id).await;
    assert!(lines.len() <= 1000, "{}", lines.len());
    assert_eq!(lines[0].text, "word 0 of attempt 1");
    let last = lines.last().unwrap();
    assert_eq!((&*last.text, last.level, last.position.number), ("last", LogLevel::Warn, 1_000_001));
    let dropped: u64 = lines.iter().map(|line| line.dropped_before).sum();
    assert_eq!(lines.len() as u64 + dropped, 1_000_001);
    let (first, end) = (job.summary.started_at.unwrap(), job.summary.finished_at.unwrap());
    let seconds = end.saturating_since(first).as_secs();
    let words = told(&node, id).await.into_iter().filter(|event| *event == EventType::Progressed).count();
    assert!(words as u64 <= seconds + 3, "{words} in {seconds} s");
    let metrics = node.handles.metrics.render();
    let count = "callboard_log_lines_total{queue=\"default\",type=\"other\"} 1000001";
    let count = count.replace("other", "talk");
    assert!(metrics.contains(&count), "{metrics}");
    node.stop().await;
}

#[tokio::test]
async fn what_a_job_says_is_seen_while_it_runs_and_each_attempt_has_its_own() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = node.submit(talk(10, 1)).await.unwrap().id;
    node.begun(1).await;
    let seen = async || {
        let job = node.job(id).await;
        let all = lines(&node, id).await.len() == 10;
        job.progress.filter(|progress| progress.fraction == 0.9 && all)
    };
    assert_eq!(node.until("what it says", seen).await.attempt, 1);
    node.stage.gate.add_permits(1);
    node.begun(2).await;
    let seen = async || node.job(id).await.progress.filter(|progress| progress.fraction == 0.9);
    assert_eq!(node.until("what the next one says", seen).await.attempt, 2);
    node.stage.gate.add_permits(1);
    node.reaches(id, JobState::Completed).await;
    let lines = lines(&node, id).await;
    let (one, two): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.attempt == 1);
    for (attempt, lines) in [(1, one), (2, two)] {
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[3].text, format!("word 3 of attempt {attempt}"));
        assert!(lines[0].position.token == lines[10].position.token && lines[10].text == "last");
    }
    let way = told(&node, id).await;
    let place = |event| way.iter().position(|told| *told == event).unwrap();
    assert!(place(EventType::Executed) < place(EventType::Progressed), "{way:?}");
    assert_eq!(way.last(), Some(&EventType::Completed));
    node.stop().await;
}

#[tokio::test]
async fn while_the_store_is_away_nobody_waits_and_nothing_that_fits_is_lost() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = node.submit(talk(1, 0)).await.unwrap().id;
    node.begun(1).await;
    node.until("its first word", async || node.job(id).await.progress).await;
    node.trouble.outage.store(true, SeqCst);
    node.stage.gate.add_permits(1);
    // The run ends, although its last words cannot be written.
    let queue = "callboard_queue_running_jobs{queue=\"default\"} 0";
    node.until("the end of the run", async || node.handles.metrics.render().contains(queue).then_some(()))
        .await;
    node.trouble.outage.store(false, SeqCst);
    let job = node.reaches(id, JobState::Completed).await;
    assert_eq!(job.progress.unwrap().message.as_deref(), Some("all is said"));
    let texts: Vec<String> = lines(&node, id).await.into_iter().map(|line| line.text).collect();
    assert_eq!(texts, ["word 0 of attempt 1", "last"]);
    node.stop().await;
}
