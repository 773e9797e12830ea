//! Signals on their way to running jobs, and the states that these show.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use callboard_actors::{
    jobs::{Job, JobContext, JobError, JobOptions, RetryPolicy},
    roles::{
        Condition, RolesConfig,
        request::{CancelJob, GetJobState, ListSignals, PauseQueue, Refusal, SignalJob},
    },
};
use callboard_contracts::{
    JobState,
    api::{ErrorKind, JobStateView, SendSignal, SignalSent, SignalView},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    harness::{Folder, Node},
    jobs::SharedStage,
};

/// Waits for a signal `approve`, whatever else comes before it, and then for a permit if it is to be slow.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Approval {
    slow: bool,
    timeout_ms: u64,
}

/// What it has got.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Approved {
    by: String,
    note: String,
    number: u32,
    taken_before: Option<u32>,
    attempt: u32,
}

impl Job for Approval {
    const TYPE: &'static str = "approval";
    type Output = Value;

    fn options() -> JobOptions {
        JobOptions::new().max_attempts(3).retry(RetryPolicy::Fixed(Duration::from_millis(1)))
    }

    async fn run(self, cx: &JobContext) -> Result<Value, JobError> {
        cx.publish_state(&json!({ "waits_for": "approve", "attempt": cx.attempt() }))?;
        let stage = cx.state::<SharedStage>()?;
        stage.begun.send_modify(|begun| *begun += 1);
        let signal = match self.timeout_ms {
            0 => cx.signal("approve").await?,
            // The other branch drops what waits, which takes nothing.
            every => loop {
                tokio::select! {
                    signal = cx.signal("approve") => break signal?,
                    () = tokio::time::sleep(Duration::from_millis(every)) => {}
                }
            },
        };
        #[derive(Deserialize)]
        struct Note {
            note: String,
        }
        let Note { note } = signal.decode()?;
        cx.publish_state(&json!({ "approved_by": signal.by() }))?;
        if self.slow {
            stage.begun.send_modify(|begun| *begun += 1);
            stage.gate.acquire().await?.forget();
        }
        let (number, taken_before) = (signal.number(), signal.taken_before());
        let approved =
            Approved { by: signal.by().to_owned(), note, number, taken_before, attempt: cx.attempt() };
        Ok(json!(approved))
    }
}

/// Adds up what it is told, each number once, until it is told to stop.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Adder {}

impl Job for Adder {
    const TYPE: &'static str = "adder";
    type Output = u64;

    async fn run(self, cx: &JobContext) -> Result<u64, JobError> {
        let (mut sum, mut last) = (0, 0);
        loop {
            let signal = cx.next_signal().await?;
            assert!(signal.number() > last, "in their order");
            last = signal.number();
            if signal.name() == "stop" {
                return Ok(sum);
            }
            sum += signal.decode::<u64>()?;
            cx.acknowledge(&signal).await?;
        }
    }
}

fn approval(slow: bool) -> Value {
    json!({ "type": "approval", "payload": { "slow": slow, "timeout_ms": 0 } })
}

/// A node that looks for nothing by itself: what it hears of late, it heard of by a word.
async fn start(folder: &Folder) -> Node {
    Node::configured(folder, rarely).await
}

fn rarely(config: &mut RolesConfig) {
    config.heartbeat = Duration::from_secs(3600);
    config.session_ttl = Duration::from_secs(36_000);
}

fn named(name: &str, value: Value) -> SendSignal {
    SendSignal { id: None, name: name.to_owned(), value }
}

fn approve() -> SendSignal {
    named("approve", json!({ "note": "looks good" }))
}

async fn send(node: &Node, id: Uuid, signal: SendSignal) -> Result<SignalSent, Refusal> {
    node.handles.gateway.ask(SignalJob { id, signal }).await.unwrap()
}

async fn signals(node: &Node, id: Uuid) -> Vec<SignalView> {
    node.handles.read_model.ask(ListSignals { id }).await.unwrap().unwrap().unwrap().signals
}

async fn shown(node: &Node, id: Uuid) -> JobStateView {
    node.handles.read_model.ask(GetJobState { id }).await.unwrap().unwrap().unwrap()
}

/// Waits until it shows this.
async fn shows(node: &Node, id: Uuid, key: &str) -> Value {
    let found = node.until(key, async || {
        let published = shown(node, id).await.published?;
        published.value.get(key).is_some().then_some(published.value)
    });
    found.await
}

fn approved(job: &callboard_contracts::api::JobDetail) -> Approved {
    serde_json::from_value(job.result.clone().unwrap()).unwrap()
}

#[tokio::test]
async fn a_running_job_gets_its_signal_by_a_word_and_shows_what_it_waits_for() {
    let folder = Folder::new();
    let node = start(&folder).await;
    let id = node.submit(approval(false)).await.unwrap().id;
    assert_eq!(shows(&node, id, "waits_for").await, json!({ "waits_for": "approve", "attempt": 1 }));
    // Others do not wake it.
    let other = send(&node, id, named("reject", Value::Null)).await.unwrap();
    assert_eq!((other.number, other.state, other.duplicate), (1, JobState::Executing, false));
    let sent = send(&node, id, approve()).await.unwrap();
    assert_eq!(sent.number, 2);
    let job = node.reaches(id, JobState::Completed).await;
    let approved = approved(&job);
    assert_eq!((&*approved.by, &*approved.note, approved.number), ("node test", "looks good", 2));
    assert_eq!(approved.taken_before, None);
    // What the run said last is written with its end.
    assert_eq!(job.published.unwrap().value, json!({ "approved_by": "node test" }));
    let kept = signals(&node, id).await;
    let taken: Vec<_> = kept.iter().map(|one| (&*one.name, one.taken.map(|taken| taken.attempt))).collect();
    assert_eq!(taken, [("reject", None), ("approve", Some(1))]);
    let count = "callboard_jobs_signalled_total{queue=\"default\",type=\"approval\"} 2";
    node.until("the count", async || node.handles.metrics.render().contains(count).then_some(())).await;
    let audit = node.store.audit(None, 10).await.unwrap();
    let deeds: Vec<_> = audit.iter().map(|one| (&*one.entry.action, &*one.entry.by, &*one.outcome)).collect();
    let executing = |number| format!("signal {number} of a job that is executing");
    let (second, first) = (executing(2), executing(1));
    assert_eq!(deeds, [("job.signal", "node test", &*second), ("job.signal", "node test", &*first)]);
    assert_eq!(audit[0].entry.target, id.to_string());
    node.stop().await;
}

#[tokio::test]
async fn a_signal_to_a_job_that_waits_is_there_when_it_runs() {
    let folder = Folder::new();
    let node = start(&folder).await;
    let pause = |paused| PauseQueue { queue: "default".to_owned(), paused, reason: None };
    // It is known as soon as the node has said what it is.
    node.until("the pause", async || node.handles.gateway.ask(pause(true)).await.unwrap().ok()).await;
    // Also where a branch of a `select!` drops what waits again and again.
    let impatient = json!({ "type": "approval", "payload": { "slow": false, "timeout_ms": 1 } });
    let ids = [node.submit(approval(false)).await.unwrap().id, node.submit(impatient).await.unwrap().id];
    for id in ids {
        assert_eq!(send(&node, id, approve()).await.unwrap().state, JobState::Available);
    }
    node.handles.gateway.ask(pause(false)).await.unwrap().unwrap();
    for id in ids {
        assert_eq!(approved(&node.reaches(id, JobState::Completed).await).number, 1);
    }
    node.stop().await;
}

#[tokio::test]
async fn an_approval_outlives_the_node_that_has_taken_it() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = node.submit(approval(true)).await.unwrap().id;
    node.begun(1).await;
    let signal = SendSignal { id: Some(Uuid::now_v7()), ..approve() };
    send(&node, id, signal.clone()).await.unwrap();
    node.begun(2).await;
    let taken = async || signals(&node, id).await[0].taken;
    node.until("that it is written", taken).await;
    node.crash().await;
    let node = Node::start(&folder).await;
    node.begun(2).await;
    // The sender had no answer, say, and sends it again.
    let again = send(&node, id, signal).await.unwrap();
    assert!(again.duplicate && again.number == 1);
    node.stage.gate.add_permits(1);
    let approved = approved(&node.reaches(id, JobState::Completed).await);
    assert_eq!((approved.attempt, approved.taken_before, approved.number), (2, Some(1), 1));
    let refused = send(&node, id, approve()).await.unwrap_err();
    assert!(matches!(refused, Refusal::WrongState { state: JobState::Completed, .. }), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_thousand_signals_that_are_acknowledged_come_each_once_and_in_order() {
    let folder = Folder::new();
    let node = start(&folder).await;
    let id = node.submit(json!({ "type": "adder", "payload": {} })).await.unwrap().id;
    let (mut sum, mut full) = (0, 0);
    for number in 0..1000_u64 {
        let signal = SendSignal { id: Some(Uuid::now_v7()), ..named("add", json!(number)) };
        // Whoever is told that there are too many sends it again.
        loop {
            match send(&node, id, signal.clone()).await {
                Ok(_) => break,
                Err(Refusal::TooManySignals { signals: 64, .. }) => {
                    full += 1;
                    tokio::task::yield_now().await;
                }
                Err(other) => panic!("{other}"),
            }
        }
        if number % 3 == 0 {
            assert!(send(&node, id, signal).await.unwrap().duplicate);
        }
        sum += number;
    }
    let kept = signals(&node, id).await;
    assert!(kept.len() <= 64 + 64, "{} after {full} refusals", kept.len());
    send(&node, id, named("stop", Value::Null)).await.unwrap();
    assert_eq!(node.reaches(id, JobState::Completed).await.result, Some(json!(sum)));
    node.stop().await;
}

#[tokio::test]
async fn while_the_store_is_away_a_job_goes_on_waiting() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.heartbeat = Duration::from_millis(50)).await;
    let id = node.submit(approval(false)).await.unwrap().id;
    shows(&node, id, "waits_for").await;
    node.trouble.outage.store(true, SeqCst);
    let refused = send(&node, id, approve()).await.unwrap_err();
    assert!(matches!(refused, Refusal::Unavailable(_)), "{refused}");
    let degraded = async || {
        let condition = node.conditions.get("queues/signals")?;
        (condition != Condition::Ready).then_some(())
    };
    node.until("that it says so", degraded).await;
    node.trouble.outage.store(false, SeqCst);
    let sent = async || send(&node, id, SendSignal { id: Some(id), ..approve() }).await.ok();
    node.until("that it takes signals", sent).await;
    assert_eq!(approved(&node.reaches(id, JobState::Completed).await).attempt, 1);
    node.stop().await;
}

#[tokio::test]
async fn who_waits_ends_when_it_is_cancelled_when_its_time_is_over_and_when_its_node_stops() {
    let folder = Folder::new();
    let node = start(&folder).await;
    let cancelled = node.submit(approval(false)).await.unwrap().id;
    shows(&node, cancelled, "waits_for").await;
    node.handles.gateway.ask(CancelJob { id: cancelled }).await.unwrap().unwrap();
    let job = node.reaches(cancelled, JobState::Cancelled).await;
    let error = job.attempts[0].error.as_ref().unwrap();
    assert_eq!(error.message, "the run is to end, and waits for no signal any more");
    let limited = json!({
        "type": "approval", "payload": { "slow": false, "timeout_ms": 0 }, "timeout_ms": 50, "max_attempts": 1,
    });
    let late = node.submit(limited).await.unwrap().id;
    let job = node.reaches(late, JobState::Discarded).await;
    assert_eq!(job.attempts[0].error.as_ref().unwrap().kind, ErrorKind::TimedOut);
    let released = node.submit(approval(false)).await.unwrap().id;
    shows(&node, released, "waits_for").await;
    node.stop().await;
    let node = start(&folder).await;
    let before = node.job(released).await;
    assert_eq!(before.attempts.len(), 1, "handed back, and not counted");
    send(&node, released, approve()).await.unwrap();
    assert_eq!(approved(&node.reaches(released, JobState::Completed).await).attempt, 1);
    node.stop().await;
}

#[tokio::test]
async fn what_is_no_signal_is_told_and_an_unfit_one_fails_the_attempt() {
    let folder = Folder::new();
    let node = start(&folder).await;
    let id = node.submit(approval(false)).await.unwrap().id;
    for name in ["", "Approve", "a b", &"x".repeat(65)] {
        let refused = send(&node, id, named(name, Value::Null)).await.unwrap_err();
        assert!(refused.to_string().starts_with("/name: "), "{refused}");
    }
    let fits = "x".repeat(16 * 1024 - 2);
    let refused = send(&node, id, named("other", json!(format!("{fits}x")))).await.unwrap_err();
    assert_eq!(refused, Refusal::SignalTooLarge { size: 16 * 1024 + 1, limit: 16 * 1024 });
    send(&node, id, named("other", json!(fits))).await.unwrap();
    let missing = Uuid::now_v7();
    assert_eq!(send(&node, missing, approve()).await, Err(Refusal::NotFound(missing)));
    let deep = (0..200).fold(Value::Null, |value, _| json!([value]));
    let refused = send(&node, id, named("other", deep)).await.unwrap_err();
    assert!(refused.to_string().starts_with("/value: recursion limit exceeded"), "{refused}");
    let taken = Uuid::now_v7();
    send(&node, id, SendSignal { id: Some(taken), ..named("other", json!(1)) }).await.unwrap();
    let refused =
        send(&node, id, SendSignal { id: Some(taken), ..named("other", json!(2)) }).await.unwrap_err();
    assert_eq!(refused, Refusal::OtherSignal(taken));
    send(&node, id, named("approve", json!({ "note": 7 }))).await.unwrap();
    // Each attempt gets it again.
    let job = node.reaches(id, JobState::Discarded).await;
    assert_eq!(job.attempts.len(), 3);
    let problem = &job.attempts[2].error.as_ref().unwrap().message;
    let expected =
        "signal 3 (approve, sent by node test) does not say what is needed: /note: invalid type: integer `7`";
    assert!(problem.starts_with(expected), "{problem}");
    node.stop().await;
}
