//! Jobs of other programs, and jobs that workers outside do, with a broker in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::{
    edges::bus::{Delivery, Destination, Inbound, OutgoingMessage, Publish, PublishError, Receive, Verdict},
    edges::store::record::QueueSettings,
    roles::{
        Condition, OutletConfig, Publisher, RolesConfig, UnknownTypes, bounds::TypeBounds, request::Form,
    },
};
use callboard_contracts::{
    DeadLetter, EventEnvelope, EventType, JobState, WorkerAttempt,
    api::{AttemptOutcome, ErrorKind},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join, join_all},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::harness::{Folder, Node, PATIENCE};

/// A broker that keeps what it is sent.
struct Broker {
    sent: Mutex<Vec<OutgoingMessage>>,
    count: watch::Sender<usize>,
    away: AtomicBool,
    /// So many more messages are refused.
    refuse: AtomicUsize,
    tries: AtomicUsize,
}

impl Broker {
    fn new() -> Arc<Self> {
        Arc::new(Broker {
            sent: Mutex::default(),
            count: watch::Sender::new(0),
            away: AtomicBool::new(false),
            refuse: AtomicUsize::new(0),
            tries: AtomicUsize::new(0),
        })
    }

    /// What was sent, once there are so many.
    async fn sent(&self, count: usize) -> Vec<Sent> {
        let mut counted = self.count.subscribe();
        timeout(PATIENCE, counted.wait_for(|sent| *sent >= count)).await.expect("it is sent").unwrap();
        self.sent.lock().iter().map(Sent::of).collect()
    }
}

struct Handle(Arc<Broker>);

impl Publish for Handle {
    fn publish(&self, messages: Vec<OutgoingMessage>) -> BoxFuture<'static, Vec<Result<(), PublishError>>> {
        let broker = self.0.clone();
        async move {
            broker.tries.fetch_add(messages.len(), SeqCst);
            let taken = messages.into_iter().map(|message| {
                if broker.away.load(SeqCst) {
                    return Err(PublishError::NotReady("it is away".to_owned()));
                }
                if broker.refuse.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                    return Err(PublishError::Refused("it is too large".to_owned()));
                }
                broker.sent.lock().push(message);
                Ok(())
            });
            let taken = taken.collect();
            let count = broker.sent.lock().len();
            broker.count.send_replace(count);
            taken
        }
        .boxed()
    }
}

/// A message as a worker has it.
#[derive(Clone, Debug)]
struct Sent {
    queue: String,
    event: EventEnvelope,
    attempt: WorkerAttempt,
}

impl Sent {
    fn of(message: &OutgoingMessage) -> Self {
        let event: EventEnvelope = serde_json::from_slice(&message.body).unwrap();
        let Destination::Queue(queue) = message.destination.clone() else { panic!("{message:?}") };
        assert_eq!((event.event_id, event.correlation_id), (message.id, message.correlation_id));
        let attempt = serde_json::from_value(event.payload["metadata"]["callboard"].clone()).unwrap();
        Sent { queue, event, attempt }
    }

    fn job(&self) -> Uuid {
        self.event.payload["id"].as_str().unwrap().parse().unwrap()
    }

    /// What a worker says of it: the job as it came, with more.
    fn says(&self, event_type: EventType, more: Value) -> Value {
        let mut payload = Value::Object(self.event.payload.clone());
        for (key, value) in more.as_object().unwrap() {
            payload[key] = value.clone();
        }
        envelope(event_type.as_str(), payload)
    }
}

fn envelope(event_type: &str, payload: Value) -> Value {
    json!({
        "contractVersion": "1.0.0",
        "eventType": event_type,
        "eventId": Uuid::now_v7(),
        "occurredAt": "2026-01-01T00:00:00Z",
        "producer": {"service": "outsider", "instanceId": "o-1", "version": "7"},
        "correlationId": Uuid::now_v7(),
        "idempotencyKey": "key",
        "payload": payload,
    })
}

fn new_job(job_type: &str, payload: Value) -> Value {
    let id = Uuid::now_v7();
    json!({"id": id, "type": job_type, "status": "PENDING", "createdAt": "2026-01-01T00:00:00Z", "payload": payload})
}

fn id_of(job: &Value) -> Uuid {
    job["id"].as_str().unwrap().parse().unwrap()
}

async fn deliver(node: &Node, inbound: Inbound, message: &Value) -> Verdict {
    deliver_bytes(node, inbound, message.to_string().into_bytes()).await
}

async fn deliver_bytes(node: &Node, inbound: Inbound, body: Vec<u8>) -> Verdict {
    let delivery = Delivery { inbound, body: body.into(), redelivered: false };
    timeout(PATIENCE, node.handles.receive.receive(delivery)).await.expect("it is decided")
}

fn letter(verdict: Verdict) -> DeadLetter {
    match verdict {
        Verdict::Invalid(letter) => serde_json::from_slice(&letter).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The value of a metric with these labels, as they are rendered.
fn number(node: &Node, name: &str) -> f64 {
    let text = node.handles.metrics.render();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// A second queue, `outside`, that workers outside serve; jobs of the type `foreign` go there.
fn serve_outside(config: &mut RolesConfig, broker: &Arc<Broker>, visibility_timeout: Duration) {
    config.queues.push(QueueSettings { name: "outside".to_owned(), ..config.queues[0].clone() });
    config.outlets.insert("outside".to_owned(), OutletConfig { visibility_timeout, destination: None });
    config.publisher = Some(Publisher(Arc::new(Handle(broker.clone()))));
    let foreign = TypeBounds { queue: Some("outside".to_owned()), ..TypeBounds::default() };
    config.job_types.insert("foreign".to_owned(), foreign);
    config.claim_poll = Duration::from_millis(50);
    (config.heartbeat, config.session_ttl) = (Duration::from_millis(20), Duration::from_millis(100));
    (config.rescue_interval, config.schedule_poll) = (Duration::from_millis(20), Duration::from_millis(20));
}

async fn outside(folder: &Folder, broker: &Arc<Broker>) -> Node {
    Node::configured(folder, |config| serve_outside(config, broker, PATIENCE)).await
}

#[tokio::test]
async fn a_job_of_another_program_runs_once_for_its_event() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let mut job = new_job("echo", json!({"text": "hello"}));
    job["metadata"] = json!({"source": "there"});
    job["colour"] = json!("blue");
    let event = envelope("job.created", job.clone());
    assert_eq!(deliver(&node, Inbound::JobCreated, &event).await, Verdict::Done);
    let done = node.reaches(id_of(&job), JobState::Completed).await;
    assert_eq!(done.result.unwrap()["text"], "hello");
    assert_eq!(json!(done.correlation_id), event["correlationId"]);
    assert_eq!(json!(done.metadata), job["metadata"]);
    for _ in 0..2 {
        assert_eq!(deliver(&node, Inbound::JobCreated, &event).await, Verdict::Done);
    }
    // The event that is told of it is the one that came, and coming back from us it does nothing.
    let told = node.store.recent_events(Some(id_of(&job)), 50).await.unwrap();
    let created = told.iter().find(|told| told.event_type == EventType::Created).unwrap();
    assert_eq!(json!(created.event_id), event["eventId"]);
    assert_eq!(created.payload["colour"], "blue");
    assert_eq!(deliver(&node, Inbound::JobCreated, &json!(created)).await, Verdict::Done);
    // The same job by another event, and by HTTP.
    let other = envelope("job.created", job.clone());
    assert_eq!(deliver(&node, Inbound::JobCreated, &other).await, Verdict::Done);
    assert!(node.answers(Form::Contract, vec![job.clone()]).await.remove(0).unwrap().duplicate);
    // Our own event of a job that came by HTTP.
    let own = node.submit(json!({"type": "noop"})).await.unwrap();
    let told = node.store.recent_events(Some(own.id), 50).await.unwrap();
    let created = told.iter().find(|told| told.event_type == EventType::Created).unwrap();
    assert_eq!(deliver(&node, Inbound::JobCreated, &json!(created)).await, Verdict::Done);
    for (reason, count) in [("stored", 1.0), ("seen", 3.0), ("duplicate", 2.0)] {
        let name =
            format!("callboard_inbound_messages_total{{from=\"jobs\",reason=\"{reason}\",verdict=\"done\"}}");
        assert_eq!(number(&node, &name), count, "{reason}");
    }
    node.stop().await;
}

#[tokio::test]
async fn what_is_invalid_is_a_dead_letter_and_stops_nothing() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        config.unknown_types = UnknownTypes::Refuse;
        config.inbound.max_message = 4096;
    })
    .await;
    let good = new_job("noop", json!({}));
    let event = |job: &Value| envelope("job.created", job.clone());
    assert_eq!(deliver(&node, Inbound::JobCreated, &event(&good)).await, Verdict::Done);
    let mut conflict = good.clone();
    conflict["metadata"] = json!({"other": 1});
    let mut incomplete = event(&new_job("noop", json!({})));
    incomplete.as_object_mut().unwrap().remove("idempotencyKey");
    let mut wrong_job = new_job("echo", json!({"text": 7}));
    wrong_job["createdAt"] = json!("yesterday");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"no JSON at all".to_vec(), "it is no JSON"),
        (b"".to_vec(), "it is no JSON"),
        (b"null".to_vec(), "null"),
        (vec![0xc3, 0x28], "it is no JSON"),
        (vec![b'['; 1000], "nested deeper than 64"),
        (vec![b' '; 5000], "it has 5000 bytes, and 4096 are allowed"),
        (incomplete.to_string().into(), "idempotencyKey"),
        (event(&wrong_job).to_string().into(), "createdAt"),
        (event(&new_job("echo", json!({"text": 7}))).to_string().into(), "/payload/text"),
        (event(&new_job("nobodys", json!({}))).to_string().into(), "no handler for job type \"nobodys\""),
        (event(&conflict).to_string().into(), "another job has the id"),
        (envelope("job.completed", good.clone()).to_string().into(), "expected job.created"),
    ];
    let count = cases.len();
    for (body, says) in cases {
        let found = letter(deliver_bytes(&node, Inbound::JobCreated, body.clone()).await);
        assert!(found.validation_error.contains(says), "{says:?} in {found:?}");
        assert_eq!((&*found.service, &*found.service_version), ("callboard", env!("CARGO_PKG_VERSION")));
        match serde_json::from_slice::<Value>(&body) {
            Ok(message) if body.len() < 4096 && body[0] != b'[' => {
                assert_eq!(found.original_event, message);
                if let Some(id) = message.get("correlationId") {
                    assert_eq!(json!(found.correlation_id), *id);
                }
            }
            _ => assert_eq!(found.original_event, json!(String::from_utf8_lossy(&body))),
        }
        assert!(!found.correlation_id.is_empty());
    }
    assert_eq!(number(&node, "processor_jobs_validation_failed_total"), count as f64);
    node.reaches(id_of(&good), JobState::Completed).await;
    let next = new_job("noop", json!({}));
    assert_eq!(deliver(&node, Inbound::JobCreated, &event(&next)).await, Verdict::Done);
    node.reaches(id_of(&next), JobState::Completed).await;
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_stored_now_is_to_come_again() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.queues[0].max_backlog = 1).await;
    // It waits, as nobody handles it, and fills the queue.
    let held = new_job("unheard-of", json!({}));
    let event = |job: &Value| envelope("job.created", job.clone());
    assert_eq!(deliver(&node, Inbound::JobCreated, &event(&held)).await, Verdict::Done);
    let job = new_job("noop", json!({}));
    let waiting = event(&job);
    let later = deliver(&node, Inbound::JobCreated, &waiting).await;
    assert!(matches!(&later, Verdict::Later(why) if why.contains("1 waiting jobs")), "{later:?}");
    node.handles
        .gateway
        .ask(callboard_actors::roles::request::CancelJob { id: id_of(&held) })
        .await
        .unwrap()
        .unwrap();
    node.trouble.outage.store(true, SeqCst);
    let later = deliver(&node, Inbound::JobCreated, &waiting).await;
    assert!(matches!(later, Verdict::Later(_)), "{later:?}");
    node.trouble.outage.store(false, SeqCst);
    node.until("a job that comes again", async || {
        (deliver(&node, Inbound::JobCreated, &waiting).await == Verdict::Done).then_some(())
    })
    .await;
    node.reaches(id_of(&job), JobState::Completed).await;
    node.stop().await;
}

#[tokio::test]
async fn many_messages_become_few_writes() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    // As many as may be under way; of more some could be told to come again.
    let jobs: Vec<Value> = (0..1000).map(|_| new_job("unheard-of", json!({}))).collect();
    let before = number(&node, "callboard_store_batch_size_count");
    let deliveries = jobs.iter().map(|job| {
        let body = envelope("job.created", job.clone()).to_string().into_bytes();
        let delivery = Delivery { inbound: Inbound::JobCreated, body: body.into(), redelivered: false };
        node.handles.receive.receive(delivery)
    });
    // The store is slow until it knows of all of them.
    node.trouble.slow.send_replace(true);
    let known = node.handled("edges/store");
    let all_wait = async {
        node.until("all wait", async || (node.handled("edges/store") - known >= 1000).then_some(())).await;
        node.trouble.slow.send_replace(false);
    };
    let (verdicts, ()) = join(join_all(deliveries), all_wait).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Done));
    let writes = number(&node, "callboard_store_batch_size_count") - before;
    assert!(writes < 20.0, "{writes} writes for 1000 messages");
    node.stop().await;
}

#[tokio::test]
async fn a_worker_outside_does_a_job_and_says_so() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let node = outside(&folder, &broker).await;
    // By the contract, of a type that nobody here knows; and by the API, straight to the queue.
    let job = new_job("foreign", json!({"to": "ada"}));
    let event = envelope("job.created", job.clone());
    assert_eq!(deliver(&node, Inbound::JobCreated, &event).await, Verdict::Done);
    let own = node.submit(json!({"type": "strange", "queue": "outside", "payload": {"n": 1}})).await.unwrap();
    let sent = broker.sent(2).await;
    let first = sent.iter().find(|sent| sent.job() == id_of(&job)).unwrap().clone();
    assert_eq!(first.queue, "callboard.jobs.outside");
    assert_eq!(first.event.event_type, EventType::Created);
    assert_eq!(
        (&first.event.payload["payload"], &first.event.payload["createdAt"]),
        (&job["payload"], &job["createdAt"])
    );
    assert_eq!(json!(first.event.correlation_id), event["correlationId"]);
    assert_eq!((first.attempt.attempt, first.attempt.queue.as_deref()), (1, Some("outside")));
    // It begins, and is done.
    let started = first.says(EventType::Executed, json!({}));
    assert_eq!(deliver(&node, Inbound::Outcome, &started).await, Verdict::Done);
    assert!(node.job(first.job()).await.summary.started_at.is_some());
    let far = first.says(EventType::Progressed, json!({"progress": {"fraction": 0.5, "message": "half"}}));
    assert_eq!(deliver(&node, Inbound::Outcome, &far).await, Verdict::Done);
    let progress = node.job(first.job()).await.progress.expect("it is half way");
    assert_eq!((progress.fraction, progress.message.as_deref()), (0.5, Some("half")));
    let done = first.says(EventType::Completed, json!({"result": {"sent": true}}));
    for _ in 0..2 {
        assert_eq!(deliver(&node, Inbound::Outcome, &done).await, Verdict::Done);
    }
    let found = node.reaches(first.job(), JobState::Completed).await;
    assert_eq!(found.result, Some(json!({"sent": true})));
    // The other fails for good.
    let second = sent.iter().find(|sent| sent.job() == own.id).unwrap();
    let mut failed = second.says(EventType::Failed, json!({"error": "no such letter"}));
    failed["payload"]["metadata"]["callboard"]["final"] = json!(true);
    assert_eq!(deliver(&node, Inbound::Outcome, &failed).await, Verdict::Done);
    let found = node.reaches(own.id, JobState::Discarded).await;
    assert_eq!(found.summary.last_error.as_deref(), Some("no such letter"));
    // It has come too late for anything else.
    let late = second.says(EventType::Completed, json!({"result": 1}));
    assert_eq!(deliver(&node, Inbound::Outcome, &late).await, Verdict::Done);
    assert_eq!(node.job(own.id).await.summary.state, JobState::Discarded);
    let stale = "callboard_inbound_messages_total{from=\"outcomes\",reason=\"stale\",verdict=\"done\"}";
    assert_eq!(number(&node, stale), 1.0);
    node.until("a count", async || {
        let sent = number(&node, "callboard_outlet_messages_total{outcome=\"sent\",queue=\"outside\"}");
        (sent == 2.0).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_result_from_outside_that_pretends_to_be_encrypted_ends_the_job_for_good() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let node = outside(&folder, &broker).await;
    let job = new_job("foreign", json!({}));
    deliver(&node, Inbound::JobCreated, &envelope("job.created", job.clone())).await;
    let sent = broker.sent(1).await.remove(0);
    let done = sent.says(EventType::Completed, json!({"result": {"a": {"$encrypted": "v1.a.b.c.d"}}}));
    assert_eq!(deliver(&node, Inbound::Outcome, &done).await, Verdict::Done);
    let found = node.reaches(id_of(&job), JobState::Discarded).await;
    assert_eq!(found.result, None);
    let said = found.summary.last_error.unwrap_or_default();
    assert!(said.starts_with("its result: /a/$encrypted: "), "{said}");
    node.stop().await;
}

#[tokio::test]
async fn an_old_service_needs_no_token_and_what_is_not_its_own_is_left_alone() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let node = outside(&folder, &broker).await;
    let job = new_job("foreign", json!({}));
    deliver(&node, Inbound::JobCreated, &envelope("job.created", job.clone())).await;
    broker.sent(1).await;
    let mut told = job.clone();
    told["status"] = json!("COMPLETED");
    // On the queue that is ours alone the token must be there.
    let found = letter(deliver(&node, Inbound::Outcome, &envelope("job.completed", told.clone())).await);
    assert!(found.validation_error.contains("attempt and token are missing"), "{found:?}");
    let done = envelope("job.completed", told);
    assert_eq!(deliver(&node, Inbound::ContractOutcome, &done).await, Verdict::Done);
    let found = node.reaches(id_of(&job), JobState::Completed).await;
    assert_eq!(found.result, None);
    // Jobs of queues that run here, and jobs of others.
    let own = node.submit(json!({"type": "hold"})).await.unwrap();
    node.begun(1).await;
    let mut about_own = new_job("hold", json!({}));
    about_own["id"] = json!(own.id);
    for (about, reason) in
        [(about_own, "not served by the bus"), (new_job("hold", json!({})), "there is no job")]
    {
        let told = envelope("job.completed", about.clone());
        assert_eq!(deliver(&node, Inbound::ContractOutcome, &told).await, Verdict::Done);
        let mut with_token = about;
        with_token["metadata"] = json!({"callboard": {"attempt": 1, "token": 1}});
        let told = envelope("job.completed", with_token);
        let found = letter(deliver(&node, Inbound::Outcome, &told).await);
        assert!(found.validation_error.contains(reason), "{found:?}");
    }
    assert_eq!(node.job(own.id).await.summary.state, JobState::Executing);
    node.stage.gate.add_permits(1);
    node.reaches(own.id, JobState::Completed).await;
    node.stop().await;
}

#[tokio::test]
async fn no_more_are_out_than_the_queue_may_have() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let node = Node::configured(&folder, |config| {
        serve_outside(config, &broker, PATIENCE);
        config.queues[1].concurrency = 3;
    })
    .await;
    let jobs = (0..8).map(|_| json!({"type": "foreign", "queue": "outside"})).collect();
    let ids = node.submit_all(jobs).await;
    for done in 0..8 {
        let sent = broker.sent(8.min(done + 3)).await;
        let totals = node.store.queues().await.unwrap();
        let out =
            totals.iter().find(|(queue, _)| queue.name == "outside").unwrap().1.count(JobState::Executing);
        assert!(out <= 3, "{out} are out");
        assert!(sent.len() <= done + 3, "{} were sent", sent.len());
        let done = sent[done].says(EventType::Completed, json!({}));
        assert_eq!(deliver(&node, Inbound::Outcome, &done).await, Verdict::Done);
    }
    for id in ids {
        node.reaches(id, JobState::Completed).await;
    }
    node.stop().await;
}

#[tokio::test]
async fn while_the_broker_is_away_jobs_wait_and_nothing_is_written_again_and_again() {
    let (folder, broker) = (Folder::new(), Broker::new());
    broker.away.store(true, SeqCst);
    let node = outside(&folder, &broker).await;
    let jobs = (0..5).map(|_| json!({"type": "foreign", "queue": "outside"})).collect();
    let ids = node.submit_all(jobs).await;
    let why = node
        .until("a word about the broker", async || match node.conditions.get("queues/outlet-outside")? {
            Condition::Degraded(why) => Some(why),
            _ => None,
        })
        .await;
    assert_eq!(why, "the broker is not ready: it is away");
    // It is tried again and again, and the log does not grow by that.
    let tried = |count: usize| {
        let broker = broker.clone();
        async move || (broker.tries.load(SeqCst) >= count).then_some(())
    };
    node.until("some tries", tried(broker.tries.load(SeqCst) + 1)).await;
    let handed_back = node
        .until("what is handed back", async || {
            let queues = node.store.queues().await.unwrap();
            let totals = &queues.iter().find(|(queue, _)| queue.name == "outside").unwrap().1;
            (totals.count(JobState::Available) == 4).then(|| *node.store.committed().borrow())
        })
        .await;
    node.until("more tries", tried(broker.tries.load(SeqCst) + 3)).await;
    assert_eq!(*node.store.committed().borrow(), handed_back);
    // One of them is cancelled meanwhile, wherever it is.
    node.handles
        .gateway
        .ask(callboard_actors::roles::request::CancelJob { id: ids[0] })
        .await
        .unwrap()
        .unwrap();
    node.reaches(ids[0], JobState::Cancelled).await;
    broker.away.store(false, SeqCst);
    let sent = broker.sent(4).await;
    let mut out: Vec<Uuid> = sent.iter().map(Sent::job).collect();
    out.sort_unstable();
    assert_eq!(out, ids[1..]);
    assert!(sent.iter().all(|sent| sent.attempt.attempt == 1), "what is handed back does not count");
    node.until("a broker that is there again", async || {
        (node.conditions.get("queues/outlet-outside") == Some(Condition::Ready)).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_message_that_is_refused_does_not_hold_up_the_others() {
    let (folder, broker) = (Folder::new(), Broker::new());
    broker.refuse.store(1, SeqCst);
    let node = outside(&folder, &broker).await;
    let jobs = (0..3).map(|_| json!({"type": "foreign", "queue": "outside"})).collect();
    let ids = node.submit_all(jobs).await;
    let sent = broker.sent(2).await;
    let refused = ids.iter().find(|id| sent.iter().all(|sent| sent.job() != **id)).unwrap();
    let waits = node.reaches(*refused, JobState::Scheduled).await;
    assert_eq!(waits.summary.attempt, 0);
    node.stop().await;
}

#[tokio::test]
async fn what_is_out_survives_the_server_that_sent_it() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let first = outside(&folder, &broker).await;
    let job = first.submit(json!({"type": "foreign", "queue": "outside"})).await.unwrap();
    let sent = broker.sent(1).await.remove(0);
    // It is handed over when its message is safe.
    first
        .until("an empty session", async || {
            let sessions = first.store.open_sessions().await.unwrap();
            (sessions.iter().map(|session| session.executing).sum::<u64>() == 0).then_some(())
        })
        .await;
    first.crash().await;
    let second = outside(&folder, &broker).await;
    // Its rescuer has looked, and left it alone.
    second
        .until("a rescuer that has looked", async || {
            (second.store.open_sessions().await.unwrap().len() == 1).then_some(())
        })
        .await;
    assert_eq!(second.job(job.id).await.summary.state, JobState::Executing);
    let done = sent.says(EventType::Completed, json!({"result": 1}));
    assert_eq!(deliver(&second, Inbound::Outcome, &done).await, Verdict::Done);
    let found = second.reaches(job.id, JobState::Completed).await;
    assert_eq!((found.summary.attempt, found.attempts.len()), (1, 1));
    assert_eq!(broker.sent(1).await.len(), 1, "it was sent once");
    second.stop().await;
}

#[tokio::test]
async fn what_is_not_heard_of_is_sent_again_and_its_old_token_counts_no_more() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let node = Node::configured(&folder, |config| {
        serve_outside(config, &broker, Duration::from_millis(150));
        config.defaults.retry = callboard_actors::jobs::RetryPolicy::Fixed(Duration::from_millis(1));
        config.defaults.max_attempts = 2;
    })
    .await;
    let job = node.submit(json!({"type": "foreign", "queue": "outside"})).await.unwrap();
    let sent = broker.sent(2).await;
    let (first, second) = (&sent[0], &sent[1]);
    assert_eq!((first.attempt.attempt, second.attempt.attempt), (1, 2));
    assert!(second.attempt.token > first.attempt.token && second.event.event_id != first.event.event_id);
    let late = first.says(EventType::Completed, json!({"result": "late"}));
    assert_eq!(deliver(&node, Inbound::Outcome, &late).await, Verdict::Done);
    // The last attempt is not heard of either.
    let found = node.reaches(job.id, JobState::Discarded).await;
    assert_eq!(found.result, None);
    let ends: Vec<_> = found.attempts.iter().map(|attempt| (attempt.attempt, attempt.outcome)).collect();
    assert_eq!(ends, [(1, AttemptOutcome::Failed), (2, AttemptOutcome::Failed)]);
    assert_eq!(found.attempts[0].error.as_ref().unwrap().kind, ErrorKind::TimedOut);
    // It is counted when the store has answered.
    node.until("a count", async || {
        let lapsed = number(&node, "callboard_outside_attempts_lapsed_total{queue=\"outside\"}");
        (lapsed == 2.0).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_hears_nothing_more() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let node = outside(&folder, &broker).await;
    let job = node.submit(json!({"type": "foreign", "queue": "outside"})).await.unwrap();
    let sent = broker.sent(1).await.remove(0);
    node.handles
        .gateway
        .ask(callboard_actors::roles::request::CancelJob { id: job.id })
        .await
        .unwrap()
        .unwrap();
    node.reaches(job.id, JobState::Cancelled).await;
    let done = sent.says(EventType::Completed, json!({"result": 1}));
    assert_eq!(deliver(&node, Inbound::Outcome, &done).await, Verdict::Done);
    let found = node.job(job.id).await;
    assert_eq!((found.summary.state, found.result), (JobState::Cancelled, None));
    node.stop().await;
}

#[tokio::test]
async fn a_crash_of_the_outlet_loses_nothing() {
    let (folder, broker) = (Folder::new(), Broker::new());
    let node = outside(&folder, &broker).await;
    let mut all = BTreeMap::new();
    for round in 0..5 {
        node.trouble.panics.fetch_add(1, SeqCst);
        let jobs = (0..10).map(|_| json!({"type": "foreign", "queue": "outside"})).collect();
        node.submit_all(jobs).await;
        node.until("what was sent", async || {
            for sent in broker.sent.lock().iter().map(Sent::of) {
                all.insert(sent.job(), sent);
            }
            (all.len() >= (round + 1) * 10).then_some(())
        })
        .await;
    }
    let done = all.values().map(|sent| sent.says(EventType::Completed, json!({})));
    for done in done.collect::<Vec<_>>() {
        assert_eq!(deliver(&node, Inbound::Outcome, &done).await, Verdict::Done);
    }
    for id in all.keys() {
        node.reaches(*id, JobState::Completed).await;
    }
    node.stop().await;
}

/// Does what is sent, as workers outside do it, and tells whichever node takes it.
#[cfg(feature = "postgres")]
async fn work(broker: Arc<Broker>, nodes: Vec<Arc<dyn Receive>>) {
    for number in 0.. {
        let sent = broker.sent(number + 1).await.swap_remove(number);
        let outcome = sent.says(EventType::Completed, json!({"result": sent.attempt.token}));
        let body: bytes::Bytes = outcome.to_string().into();
        for (turn, node) in nodes.iter().cycle().skip(number).enumerate() {
            let delivery = Delivery { inbound: Inbound::Outcome, body: body.clone(), redelivered: turn > 0 };
            match timeout(PATIENCE, node.receive(delivery)).await.expect("it is decided") {
                Verdict::Done => break,
                Verdict::Later(_) => tokio::task::yield_now().await,
                Verdict::Invalid(letter) => panic!("{letter:?}"),
            }
        }
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn of_several_servers_one_dies_and_all_that_is_to_be_done_outside_is_done() {
    use callboard_actors::edges::store::{PostgresOptions, PostgresStore, Store};

    const JOBS: usize = 120;
    let database = tokio::task::spawn_blocking(callboard_testsupport::Database::create).await.unwrap();
    let broker = Broker::new();
    let node = async |name: &str| {
        let options = PostgresOptions {
            node: name.to_owned(),
            connections: 2,
            readers: 2,
            ..PostgresOptions::new(database.url())
        };
        let open = move || Ok(PostgresStore::open(options.clone())? as Arc<dyn Store>);
        Node::on(open, |config| {
            serve_outside(config, &broker, PATIENCE);
            config.node = name.to_owned();
            config.queues[1].concurrency = 8;
            (config.heartbeat, config.session_ttl) = (Duration::from_millis(100), Duration::from_secs(1));
            config.sole_owner = false;
        })
        .await
    };
    let (one, other) = (node("one").await, node("other").await);
    let jobs = (0..JOBS).map(|_| json!({"type": "foreign", "queue": "outside"})).collect();
    let ids = one.submit_all(jobs).await;
    let receivers = vec![one.handles.receive.clone(), other.handles.receive.clone()];
    let working = tokio::spawn(work(broker.clone(), receivers));
    broker.sent(40).await;
    one.crash().await;
    for id in &ids {
        let found = other.reaches(*id, JobState::Completed).await;
        let completed = found.attempts.iter().filter(|end| end.outcome == AttemptOutcome::Completed);
        assert_eq!(completed.count(), 1);
        assert!(found.result.is_some());
    }
    working.abort();
    other.stop().await;
    tokio::task::spawn_blocking(move || drop(database)).await.unwrap();
}
