//! Messages on their way in. The queues have names that everybody knows, so each test has a broker of its own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use callboard_actors::{
    edges::bus::{
        ContractQueue, Delivery, Inbound, InboundQueue, Receive, Verdict, rabbitmq::RabbitSettings,
    },
    roles::Condition,
};
use futures_util::{FutureExt, future::BoxFuture};
use lapin::{
    options::{BasicGetOptions, BasicNackOptions},
    types::AMQPValue,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::support::{Bus, Outside, PUBLISHER, private_broker, settings_at, to_queue, until};

const CREATED: &str = "bus/consumers/jobs.created";

/// Decides by what stands in the message, and remembers all it was asked.
struct Decider {
    asked: Mutex<Vec<(Inbound, String, bool)>>,
    /// What can be decided; messages `hold` wait for it.
    open: Semaphore,
    in_work: AtomicUsize,
    most: AtomicUsize,
    /// Whether messages `later` can be dealt with.
    well: watch::Sender<bool>,
}

impl Decider {
    fn new() -> Arc<Self> {
        Arc::new(Decider {
            asked: Mutex::default(),
            open: Semaphore::new(0),
            in_work: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            well: watch::Sender::new(false),
        })
    }

    /// How often each message came.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, text, _) in &*self.asked.lock() {
            *counts.entry(text.clone()).or_default() += 1;
        }
        counts
    }

    async fn decide(&self, text: &str) -> Verdict {
        match text.split(' ').next() {
            Some("invalid") => {
                let id = "0191e7a0-0000-7000-8000-000000000001";
                Verdict::Invalid(json!({"original_event": text, "correlation_id": id}).to_string().into())
            }
            Some("later") if !*self.well.borrow() => Verdict::Later("the store is away".to_owned()),
            Some("hold") => {
                self.open.acquire().await.unwrap().forget();
                Verdict::Done
            }
            _ => Verdict::Done,
        }
    }
}

/// The decider, as the bus knows it.
struct Deciding(Arc<Decider>);

impl Receive for Deciding {
    fn receive(&self, delivery: Delivery) -> BoxFuture<'static, Verdict> {
        let decider = self.0.clone();
        async move {
            let text = String::from_utf8(delivery.body.to_vec()).unwrap();
            decider.asked.lock().push((delivery.inbound, text.clone(), delivery.redelivered));
            let in_work = decider.in_work.fetch_add(1, SeqCst) + 1;
            decider.most.fetch_max(in_work, SeqCst);
            let verdict = decider.decide(&text).await;
            decider.in_work.fetch_sub(1, SeqCst);
            verdict
        }
        .boxed()
    }
}

async fn empty(outside: &Outside, queue: &str) {
    until("an empty queue", async || (outside.waiting(queue).await == 0).then_some(())).await;
}

#[tokio::test]
async fn each_message_is_decided_about_and_done_with() {
    let broker = private_broker().await;
    let (outside, decider) = (Outside::connect(&broker.url()).await, Decider::new());
    let settings = RabbitSettings {
        consume: vec![InboundQueue::Contract(ContractQueue::Created)],
        prefetch: 10,
        ..settings_at(&broker.url())
    };
    let bus = Bus::receiving(settings.clone(), Arc::new(Deciding(decider.clone()))).await;
    bus.says(CREATED, |condition| *condition == Condition::Ready).await;
    // The queues are the contract's own: an old service declares them without arguments, too.
    for queue in ["jobs.created", "jobs.failed.validation"] {
        outside.queue(queue, &[]).await;
    }

    // As many at a time as there is room for, and not more.
    for number in 0..25 {
        outside.send("jobs.created", format!("hold {number}").as_bytes()).await;
    }
    until("ten in work", async || (decider.in_work.load(SeqCst) == 10).then_some(())).await;
    until("the others in the queue", async || (outside.waiting("jobs.created").await == 15).then_some(()))
        .await;
    decider.open.add_permits(25);
    until("all of them", async || (decider.asked.lock().len() == 25).then_some(())).await;
    assert_eq!(decider.most.load(SeqCst), 10);
    empty(&outside, "jobs.created").await;

    // What is invalid is put to the dead letters, and its sender's others go on.
    outside.send("jobs.created", b"invalid a").await;
    outside.send("jobs.created", b"fine").await;
    let letter = outside.take("jobs.failed.validation", 1).await.remove(0);
    let body: Value = serde_json::from_slice(&letter.delivery.data).unwrap();
    assert_eq!(body["original_event"], "invalid a");
    let correlation = letter.delivery.properties.correlation_id().as_ref().unwrap().to_string();
    assert_eq!(body["correlation_id"], correlation);
    until("the other", async || decider.counts().contains_key("fine").then_some(())).await;

    // What cannot be dealt with now is held back, and tried again after pauses.
    outside.send("jobs.created", b"later").await;
    let why = bus.trouble(CREATED).await;
    assert_eq!(why, "degraded: messages wait: the store is away");
    until("some tries", async || (decider.counts()["later"] >= 3).then_some(())).await;
    assert_eq!(outside.waiting("jobs.created").await, 0, "it is held, not given back");
    assert!(decider.asked.lock().iter().filter(|asked| asked.1 == "later").skip(1).all(|asked| asked.2));
    decider.well.send_replace(true);
    bus.says(CREATED, |condition| *condition == Condition::Ready).await;
    assert_eq!(bus.restarts(), 0);

    // What was not decided when the bus stopped is delivered again; what was is not.
    outside.send("jobs.created", b"hold last").await;
    until("the last in work", async || decider.counts().contains_key("hold last").then_some(())).await;
    bus.stop().await;
    until("the last in the queue", async || (outside.waiting("jobs.created").await == 1).then_some(())).await;
    let before = decider.counts();
    decider.open.add_permits(1);
    let bus = Bus::receiving(settings, Arc::new(Deciding(decider.clone()))).await;
    until("the last again", async || (decider.counts()["hold last"] == 2).then_some(())).await;
    empty(&outside, "jobs.created").await;
    let last = decider.asked.lock().last().cloned().unwrap();
    assert_eq!(last, (Inbound::JobCreated, "hold last".to_owned(), true));
    assert_eq!(decider.counts().len(), before.len());
    bus.stop().await;
}

#[tokio::test]
async fn a_queue_of_our_own_sets_messages_aside_that_nobody_gets_done_with() {
    let broker = private_broker().await;
    let (outside, decider) = (Outside::connect(&broker.url()).await, Decider::new());
    let settings = RabbitSettings {
        consume: vec![
            InboundQueue::Outcomes,
            InboundQueue::Contract(ContractQueue::Completed),
            InboundQueue::Contract(ContractQueue::Failed),
        ],
        work_queues: vec!["callboard.jobs.mail".to_owned()],
        delivery_limit: 3,
        ..settings_at(&broker.url())
    };
    let bus = Bus::receiving(settings, Arc::new(Deciding(decider.clone()))).await;
    let consumers = ["callboard.outcomes", "jobs.completed", "jobs.failed"];
    for queue in consumers {
        bus.says(&format!("bus/consumers/{queue}"), |condition| *condition == Condition::Ready).await;
        outside.send(queue, queue.as_bytes()).await;
    }
    until("all three", async || (decider.asked.lock().len() == 3).then_some(())).await;
    let mut asked: Vec<_> =
        decider.asked.lock().iter().map(|(inbound, text, _)| (text.clone(), *inbound)).collect();
    asked.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = consumers.map(str::to_owned).into_iter().zip([
        Inbound::Outcome,
        Inbound::ContractOutcome,
        Inbound::ContractOutcome,
    ]);
    assert_eq!(asked, expected.collect::<Vec<_>>());
    // A queue for workers outside is of the same kind, and there before anything is sent to it.
    bus.says(PUBLISHER, |condition| *condition == Condition::Ready).await;
    assert!(bus.publish(vec![to_queue("callboard.jobs.mail", "{}")]).await[0].is_ok());
    assert_eq!(outside.take("callboard.jobs.mail", 1).await[0].delivery.data, b"{}");
    bus.stop().await;

    // A quorum queue with a limit: whoever gives a message back too often finds it among the dead.
    let text = |text: &str| AMQPValue::LongString(text.into());
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(3)),
        ("x-dead-letter-exchange", text("callboard.dead")),
    ];
    outside.queue("callboard.outcomes", &arguments).await;
    outside.send("callboard.outcomes", b"poison").await;
    let dead = until("the message among the dead", async || {
        let options = BasicGetOptions { no_ack: false };
        if let Some(message) = outside.channel.basic_get("callboard.outcomes".into(), options).await.unwrap()
        {
            message.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap();
        }
        outside.get("callboard.dead").await
    })
    .await;
    assert_eq!(dead.delivery.data, b"poison");
}

#[tokio::test]
async fn a_queue_that_another_made_otherwise_is_told_and_the_others_go_on() {
    let broker = private_broker().await;
    let (outside, decider) = (Outside::connect(&broker.url()).await, Decider::new());
    outside.quorum_queue("jobs.created").await;
    let settings = RabbitSettings {
        consume: vec![
            InboundQueue::Contract(ContractQueue::Created),
            InboundQueue::Contract(ContractQueue::Failed),
        ],
        ..settings_at(&broker.url())
    };
    let bus = Bus::receiving(settings, Arc::new(Deciding(decider.clone()))).await;
    let why = bus.trouble(CREATED).await;
    assert!(why.starts_with("degraded: the broker's queue jobs.created is not as it should be"), "{why}");
    bus.says("bus/consumers/jobs.failed", |condition| *condition == Condition::Ready).await;
    bus.says(PUBLISHER, |condition| *condition == Condition::Ready).await;
    outside.delete_queue("jobs.created").await;
    bus.says(CREATED, |condition| *condition == Condition::Ready).await;

    // A queue that is deleted under its reader is made again.
    outside.delete_queue("jobs.failed").await;
    until("a queue that is read again", async || {
        outside.queue("jobs.failed", &[]).await;
        outside.send("jobs.failed", b"again").await;
        decider.counts().contains_key("again").then_some(())
    })
    .await;
    bus.stop().await;
}
