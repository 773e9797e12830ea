//! Brokers that are away, come back, or stand still. Each test has one of its own.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::{
    edges::bus::{Publish, PublishError, rabbitmq::RabbitSettings},
    roles::Condition,
};
use callboard_testsupport::PrivateRabbit;
use tokio::{task::spawn_blocking, time::timeout};
use uuid::Uuid;

use super::support::{
    Bus, CONNECTION, Outside, PATIENCE, name, private_broker, settings_at, to_queue, until, with,
};

#[tokio::test]
async fn a_bus_starts_without_a_broker_and_finds_one_when_it_comes() {
    let mut broker = spawn_blocking(PrivateRabbit::prepare).await.unwrap();
    // Of several addresses the first that answers is taken; nobody listens at the others.
    let settings = RabbitSettings {
        addresses: vec!["127.0.0.1:1".into(), format!("localhost:{}", broker.port())],
        ..settings_at("amqp://guest:guest@127.0.0.1:2/%2f")
    };
    let bus = Bus::start(settings).await;
    let why = bus.trouble(CONNECTION).await;
    assert!(why.contains("no broker can be reached: 127.0.0.1:2: "), "{why}");
    assert!(why.contains("; 127.0.0.1:1: ") && !why.contains("guest"), "{why}");
    let results = bus.publish(vec![to_queue("anything", "{}")]).await;
    assert!(matches!(&results[..], [Err(PublishError::NotReady(_))]), "{results:?}");
    assert_eq!(bus.restarts(), 0, "an outage is a state, not a crash");
    (broker, ()) = with(broker, PrivateRabbit::start_again).await;
    bus.ready().await;
    assert_eq!(bus.restarts(), 0);
    bus.stop().await;
    drop(broker);
}

#[tokio::test]
async fn nothing_is_lost_when_the_broker_is_killed_in_the_middle() {
    let mut broker = private_broker().await;
    let (outside, queue) = (Outside::connect(&broker.url()).await, name("queue"));
    // Of a single broker that is killed a quorum queue may forget that it has members; a classic queue survives that.
    outside.queue(&queue, &[]).await;
    let bus = Bus::start(RabbitSettings { window: 50, ..settings_at(&broker.url()) }).await;
    bus.ready().await;
    let enough = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish_until(bus.publisher.clone(), queue.clone(), enough.clone()));
    until("messages in the queue", async || (outside.waiting(&queue).await > 200).then_some(())).await;
    drop(outside);
    (broker, ()) = with(broker, PrivateRabbit::kill).await;
    let why = bus.trouble(CONNECTION).await;
    assert!(why.starts_with("degraded: "), "{why}");
    (broker, ()) = with(broker, PrivateRabbit::start_again).await;
    bus.ready().await;
    let outside = Outside::connect(&broker.url()).await;
    let before = outside.waiting(&queue).await;
    until("messages after the outage", async || (outside.waiting(&queue).await > before + 200).then_some(()))
        .await;
    enough.store(true, SeqCst);
    let confirmed = timeout(PATIENCE, publishing).await.unwrap().unwrap();
    let waiting = outside.waiting(&queue).await as usize;
    let mut taken = BTreeSet::new();
    for message in outside.take(&queue, waiting).await {
        taken.insert(message.delivery.properties.message_id().as_ref().unwrap().as_str().parse().unwrap());
    }
    let lost: Vec<_> = confirmed.difference(&taken).collect();
    assert!(lost.is_empty(), "{} of {} were confirmed and are lost", lost.len(), confirmed.len());
    // Each was sent until it was confirmed, so there is none that was not.
    assert_eq!(taken, confirmed);
    // One loss of the connection is one restart of the stack.
    assert!(bus.restarts() <= 4, "{}", bus.restarts());
    bus.stop().await;
}

/// Publishes batches, each until it is confirmed; the ids of all.
async fn publish_until(
    publisher: Arc<dyn Publish>,
    queue: String,
    enough: Arc<AtomicBool>,
) -> BTreeSet<Uuid> {
    let mut confirmed = BTreeSet::new();
    while !enough.load(SeqCst) {
        let mut open: Vec<_> = (0..100).map(|_| to_queue(&queue, "{}")).collect();
        while !open.is_empty() {
            let results = publisher.publish(open.clone()).await;
            let mut results = results.into_iter();
            open.retain(|message| match results.next().unwrap() {
                Ok(()) => {
                    confirmed.insert(message.id);
                    false
                }
                Err(PublishError::NotReady(_) | PublishError::TimedOut(_)) => true,
                Err(error) => panic!("{error}"),
            });
            tokio::task::yield_now().await;
        }
    }
    confirmed
}

#[tokio::test]
async fn a_broker_is_talked_to_over_tls_if_its_authority_is_trusted() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let ca_file = files.join("ca.pem");
    let broker = spawn_blocking(move || PrivateRabbit::start_with_tls(&files)).await.unwrap();
    let trusting = RabbitSettings { ca_file: Some(ca_file), ..settings_at(&broker.encrypted_url()) };
    let bus = Bus::start(trusting).await;
    bus.ready().await;
    let results = bus.publish(vec![to_queue("nowhere", "{}")]).await;
    assert!(matches!(&results[..], [Err(PublishError::NoQueue(_))]), "{results:?}");
    bus.stop().await;
    let bus = Bus::start(settings_at(&broker.encrypted_url())).await;
    let why = bus.trouble(CONNECTION).await;
    assert!(why.contains("certificate"), "{why}");
    bus.stop().await;
}

#[tokio::test]
async fn a_broker_that_takes_nothing_is_a_state_and_passes() {
    let mut broker = private_broker().await;
    let (outside, queue) = (Outside::connect(&broker.url()).await, name("queue"));
    outside.quorum_queue(&queue).await;
    let settings = RabbitSettings { confirm_timeout: Duration::from_secs(2), ..settings_at(&broker.url()) };
    let bus = Bus::start(settings).await;
    bus.ready().await;
    let low = |watermark: &'static str| {
        move |broker: &mut PrivateRabbit| broker.ctl(&["set_vm_memory_high_watermark", watermark])
    };
    (broker, _) = with(broker, low("0")).await;
    // The broker says it to whoever publishes.
    let results = bus.publish(vec![to_queue(&queue, "1")]).await;
    assert!(
        matches!(&results[..], [Err(PublishError::NotReady(_) | PublishError::TimedOut(_))]),
        "{results:?}"
    );
    let why = bus.trouble(CONNECTION).await;
    assert!(why.starts_with("degraded: the broker takes no messages: "), "{why}");
    let results = bus.publish(vec![to_queue(&queue, "2")]).await;
    assert!(matches!(&results[..], [Err(PublishError::NotReady(why))] if why.contains("takes no messages")));
    (broker, _) = with(broker, low("0.8")).await;
    bus.ready().await;
    until("a message that is taken", async || {
        bus.publish(vec![to_queue(&queue, "3")]).await[0].is_ok().then_some(())
    })
    .await;
    assert_eq!(bus.restarts(), 0, "an alarm is a state, not a crash");
    bus.stop().await;
    drop(broker);
}

#[tokio::test]
async fn a_broker_that_stands_still_is_found_out_and_found_again() {
    let broker = private_broker().await;
    let (outside, queue) = (Outside::connect(&broker.url()).await, name("queue"));
    outside.quorum_queue(&queue).await;
    let settings = RabbitSettings { confirm_timeout: Duration::from_secs(1), ..settings_at(&broker.url()) };
    let bus = Bus::start(settings).await;
    bus.ready().await;
    broker.freeze();
    let results = bus.publish(vec![to_queue(&queue, "1")]).await;
    assert!(
        matches!(&results[..], [Err(PublishError::NotReady(_) | PublishError::TimedOut(_))]),
        "{results:?}"
    );
    // By its silence, though the connection stays open.
    bus.trouble(CONNECTION).await;
    broker.thaw();
    bus.says(CONNECTION, |condition| *condition == Condition::Ready).await;
    until("a message that is taken", async || {
        bus.publish(vec![to_queue(&queue, "2")]).await[0].is_ok().then_some(())
    })
    .await;
    bus.stop().await;
}
