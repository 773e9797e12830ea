//! Messages on their way out.

use callboard_actors::edges::bus::{PublishError, rabbitmq::RabbitSettings};
use callboard_testsupport::rabbitmq_url;
use lapin::ExchangeKind;

use super::support::{Bus, Outside, name, settings, to_queue, to_topic};

#[tokio::test]
async fn messages_are_confirmed_and_arrive_in_order_as_they_were_sent() {
    let (outside, queue) = (Outside::connect(&rabbitmq_url()).await, name("queue"));
    outside.quorum_queue(&queue).await;
    let bus = Bus::start(RabbitSettings { window: 100, ..settings() }).await;
    bus.ready().await;
    // More than the window has room for, several times.
    let sent: Vec<_> = (0..750).map(|number| to_queue(&queue, format!("{{\"number\":{number}}}"))).collect();
    let results = bus.publish(sent.clone()).await;
    assert_eq!(results.len(), 750);
    assert_eq!(
        results.iter().filter_map(|result| result.as_ref().err()).map(ToString::to_string).next(),
        None
    );
    let taken = outside.take(&queue, 750).await;
    for (sent, taken) in sent.iter().zip(&taken) {
        assert_eq!(sent.body, taken.delivery.data);
        let properties = &taken.delivery.properties;
        let text = |text: &Option<lapin::types::ShortString>| text.as_ref().unwrap().to_string();
        assert_eq!(text(properties.message_id()), sent.id.to_string());
        assert_eq!(text(properties.correlation_id()), sent.correlation_id.to_string());
        assert_eq!(text(properties.content_type()), "application/json");
        assert_eq!(*properties.delivery_mode(), Some(2));
    }
    assert_eq!(bus.publish(Vec::new()).await.len(), 0);
    outside.delete_queue(&queue).await;
    bus.stop().await;
}

#[tokio::test]
async fn a_message_for_a_queue_that_is_not_there_comes_back_and_the_others_arrive() {
    let (outside, queue, gone) = (Outside::connect(&rabbitmq_url()).await, name("queue"), name("gone"));
    let exchange = name("exchange");
    outside.quorum_queue(&queue).await;
    outside.exchange(&exchange, ExchangeKind::Topic).await;
    let bus = Bus::start(settings()).await;
    bus.ready().await;
    let messages = (0..300).map(|number| match number % 3 {
        0 => to_queue(&queue, "{}"),
        1 => to_queue(&gone, "{}"),
        // Nobody listens, which is nobody's fault.
        _ => to_topic(&exchange, "job.created", "{}"),
    });
    for (number, result) in bus.publish(messages.collect()).await.into_iter().enumerate() {
        match (number % 3, result) {
            (1, Err(PublishError::NoQueue(queue))) => assert_eq!(queue, gone),
            (0 | 2, Ok(())) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outside.take(&queue, 100).await.len(), 100);
    assert_eq!(bus.restarts(), 0);
    outside.delete_queue(&queue).await;
    outside.delete_exchange(&exchange).await;
    bus.stop().await;
}

#[tokio::test]
async fn many_publish_at_once_and_each_hears_of_his_own() {
    let (outside, queue, gone) = (Outside::connect(&rabbitmq_url()).await, name("queue"), name("gone"));
    outside.quorum_queue(&queue).await;
    let bus = Bus::start(RabbitSettings { window: 10, ..settings() }).await;
    bus.ready().await;
    let publishing = (0..40).map(|number| {
        let to = if number % 2 == 0 { &queue } else { &gone };
        let messages = (0..7).map(|_| to_queue(to, "{}")).collect();
        let published = bus.publish(messages);
        async move { (number, published.await) }
    });
    for (number, results) in futures_util::future::join_all(publishing).await {
        assert_eq!(results.len(), 7);
        assert!(results.iter().all(|result| result.is_ok() == (number % 2 == 0)), "{number}: {results:?}");
    }
    assert_eq!(outside.take(&queue, 140).await.len(), 140);
    outside.delete_queue(&queue).await;
    bus.stop().await;
}

#[tokio::test]
async fn a_channel_that_dies_is_opened_anew_and_only_what_killed_it_is_not_told() {
    let (outside, queue, missing) = (Outside::connect(&rabbitmq_url()).await, name("queue"), name("missing"));
    outside.quorum_queue(&queue).await;
    let bus = Bus::start(settings()).await;
    bus.ready().await;
    // An exchange that is not there is the end of the channel.
    let results = bus.publish(vec![to_topic(&missing, "job.created", "{}")]).await;
    assert!(matches!(&results[..], [Err(PublishError::NotReady(_))]), "{results:?}");
    super::support::until("the next channel", async || {
        bus.publish(vec![to_queue(&queue, "{}")]).await[0].is_ok().then_some(())
    })
    .await;
    // The publisher was started anew, and nobody before it.
    assert_eq!(bus.restarts(), 1);
    outside.delete_queue(&queue).await;
    bus.stop().await;
}
