//! The queue that is measured on.

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use super::broken;
use crate::cli::output::Failure;

/// Its name: one that our edge reads.
pub(super) const NAME: &str = "callboard.outcomes";
/// Where our edge has messages put that were delivered too often.
const DEAD: &str = "callboard.dead";

/// The queue, which was not there before.
pub(super) struct BenchQueue {
    connection: Connection,
}

impl BenchQueue {
    /// Makes sure that there is none of somebody else.
    pub(super) async fn claim(url: &str) -> Result<Self, Failure> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.map_err(broken)?;
        for name in [NAME, DEAD] {
            let channel = connection.create_channel().await.map_err(broken)?;
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            if channel.queue_declare(name.into(), passive, FieldTable::default()).await.is_ok() {
                let message =
                    format!("there is a queue {name} in this virtual host; measure in one of its own");
                return Err(Failure::failed(message));
            }
        }
        Ok(BenchQueue { connection })
    }

    async fn channel(&self) -> Result<Channel, Failure> {
        self.connection.create_channel().await.map_err(broken)
    }

    /// Makes it anew, as our edge declares it.
    pub(super) async fn renew(&self) -> Result<(), Failure> {
        self.delete().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(20));
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(DEAD.into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let channel = self.channel().await?;
        channel.queue_declare(NAME.into(), options, arguments).await.map_err(broken)?;
        Ok(())
    }

    pub(super) async fn delete(&self) -> Result<(), Failure> {
        let channel = self.channel().await?;
        for name in [NAME, DEAD] {
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.map_err(broken)?;
        }
        channel.exchange_delete(DEAD.into(), ExchangeDeleteOptions::default()).await.map_err(broken)
    }
}
