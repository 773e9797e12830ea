//! The client library, called directly: as a program would that needs nothing else.

use std::{collections::VecDeque, time::Instant};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Connection, ConnectionProperties, PublisherConfirm,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    },
    types::FieldTable,
};
use uuid::Uuid;

use super::{Task, Times, broken, queue::NAME};
use crate::cli::output::Failure;

/// Messages of one acknowledgement.
const ACK_EVERY: usize = 100;

pub(super) async fn run(task: &Task) -> Result<Times, Failure> {
    let connection = Connection::connect(&task.url, ConnectionProperties::default()).await.map_err(broken)?;
    let channel = connection.create_channel().await.map_err(broken)?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(broken)?;
    let began = Instant::now();
    let mut open = VecDeque::with_capacity(task.window.into());
    for _ in 0..task.messages {
        if open.len() == usize::from(task.window)
            && let Some(oldest) = open.pop_front()
        {
            settled(oldest).await?;
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(Uuid::now_v7().to_string().into())
            .with_correlation_id(Uuid::now_v7().to_string().into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let published = channel.basic_publish("".into(), NAME.into(), options, &task.body, properties);
        open.push_back(published.await.map_err(broken)?);
    }
    for confirm in open {
        settled(confirm).await?;
    }
    let publish = began.elapsed();

    let channel = connection.create_channel().await.map_err(broken)?;
    channel.basic_qos(task.prefetch, BasicQosOptions::default()).await.map_err(broken)?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(NAME.into(), "bare".into(), options, arguments);
    let mut deliveries = consumer.await.map_err(broken)?;
    let mut began = Instant::now();
    let mut taken = 0;
    // Fewer, if fewer may be under way at all.
    let every = ACK_EVERY.min(usize::from(task.prefetch));
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery.map_err(broken)?;
        taken += 1;
        if taken == 1 {
            began = Instant::now();
        }
        if taken % every == 0 || taken == task.messages {
            let options = BasicAckOptions { multiple: true };
            channel.basic_ack(delivery.delivery_tag, options).await.map_err(broken)?;
        }
        if taken == task.messages {
            break;
        }
    }
    let consume = began.elapsed();
    connection.close(200, "done".into()).await.map_err(broken)?;
    Ok(Times { publish, consume })
}

async fn settled(confirm: PublisherConfirm) -> Result<(), Failure> {
    let confirmation = confirm.await.map_err(broken)?;
    match confirmation.is_ack() && confirmation.take_message().is_none() {
        true => Ok(()),
        false => Err(broken("a message was not taken")),
    }
}
