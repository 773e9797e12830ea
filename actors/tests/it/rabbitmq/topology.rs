//! Exchanges and queues: made, looked at, left alone.

use callboard_actors::edges::bus::{
    Outward, PublishError,
    rabbitmq::{Declare, RabbitSettings},
};
use callboard_testsupport::rabbitmq_url;
use lapin::ExchangeKind;

use super::support::{Bus, Outside, PUBLISHER, name, settings, to_topic};

fn telling(exchange: &str, declare: Declare) -> RabbitSettings {
    let outward = Outward { exchange: Some(exchange.to_owned()), queues: Vec::new() };
    RabbitSettings { outward, declare, ..settings() }
}

#[tokio::test]
async fn what_is_missing_is_made() {
    let (outside, exchange, queue) =
        (Outside::connect(&rabbitmq_url()).await, name("exchange"), name("queue"));
    let bus = Bus::start(telling(&exchange, Declare::Declare)).await;
    bus.ready().await;
    outside.quorum_queue(&queue).await;
    outside.bind(&queue, &exchange, "job.#").await;
    assert!(bus.publish(vec![to_topic(&exchange, "job.created", "{}")]).await[0].is_ok());
    let taken = outside.take(&queue, 1).await;
    assert_eq!(taken[0].delivery.routing_key.to_string(), "job.created");
    // Whoever comes next finds it as it should be.
    outside.exchange(&exchange, ExchangeKind::Topic).await;
    outside.delete_queue(&queue).await;
    outside.delete_exchange(&exchange).await;
    bus.stop().await;
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_told_and_crashes_nothing() {
    let (outside, exchange) = (Outside::connect(&rabbitmq_url()).await, name("exchange"));
    outside.exchange(&exchange, ExchangeKind::Direct).await;
    let bus = Bus::start(telling(&exchange, Declare::Declare)).await;
    let why = bus.trouble(PUBLISHER).await;
    let expected = format!("degraded: the broker's exchange {exchange} is not as it should be");
    assert!(why.starts_with(&expected) && why.contains("inequivalent arg 'type'"), "{why}");
    // Whoever wants to publish hears it at once.
    let results = bus.publish(vec![to_topic(&exchange, "job.created", "{}")]).await;
    assert!(
        matches!(&results[..], [Err(PublishError::NotReady(why))] if why.contains("not as it should be"))
    );
    assert_eq!(bus.restarts(), 0);
    outside.delete_exchange(&exchange).await;
    bus.ready().await;
    assert_eq!(bus.restarts(), 0);
    outside.delete_exchange(&exchange).await;
    bus.stop().await;
}

#[tokio::test]
async fn what_is_only_looked_at_is_waited_for() {
    let (outside, exchange) = (Outside::connect(&rabbitmq_url()).await, name("exchange"));
    let bus = Bus::start(telling(&exchange, Declare::Check)).await;
    let why = bus.trouble(PUBLISHER).await;
    assert!(why.starts_with(&format!("degraded: the broker has no exchange {exchange}")), "{why}");
    outside.exchange(&exchange, ExchangeKind::Topic).await;
    bus.ready().await;
    outside.delete_exchange(&exchange).await;
    bus.stop().await;
}

#[tokio::test]
async fn what_is_left_alone_is_not_asked_for() {
    let exchange = name("exchange");
    let bus = Bus::start(telling(&exchange, Declare::None)).await;
    bus.ready().await;
    bus.stop().await;
}
