//! What the actors of the stack share. It outlives their generations.

use std::sync::Arc;

use lapin::Connection;
use tokio::sync::{Notify, watch};

use super::{super::BusNumbers, RabbitSettings};
use crate::roles::condition::{Condition, Conditions};

/// What the actors of the stack share.
pub(super) struct Link {
    pub(super) settings: RabbitSettings,
    pub(super) conditions: Conditions,
    pub(super) numbers: BusNumbers,
    /// The connection, while there is one.
    connection: watch::Sender<Option<Arc<Connection>>>,
    /// Why the broker takes no messages, while it takes none.
    blocked: watch::Sender<Option<String>>,
    /// Somebody's channel has died, and perhaps the connection with it.
    suspicion: Notify,
}

impl Link {
    pub(super) fn new(settings: RabbitSettings, conditions: Conditions, numbers: BusNumbers) -> Self {
        Link {
            settings,
            conditions,
            numbers,
            connection: watch::Sender::new(None),
            blocked: watch::Sender::new(None),
            suspicion: Notify::new(),
        }
    }

    /// There is a connection.
    pub(super) fn connected(&self, connection: Arc<Connection>) {
        self.numbers.connections.inc();
        self.numbers.connected.set(1);
        self.connection.send_replace(Some(connection));
    }

    /// There is none any more; what it was.
    pub(super) fn disconnected(&self) -> Option<Arc<Connection>> {
        self.numbers.connected.set(0);
        self.set_blocked(None);
        self.connection.send_replace(None)
    }

    /// Waits until there is a connection.
    pub(super) async fn connection(&self) -> Arc<Connection> {
        let mut connection = self.connection.subscribe();
        loop {
            if let Some(connection) = &*connection.borrow_and_update() {
                return connection.clone();
            }
            if connection.changed().await.is_err() {
                // The sender is in `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn set_blocked(&self, why: Option<String>) {
        self.numbers.blocked.set(i64::from(why.is_some()));
        self.blocked.send_if_modified(|blocked| {
            let changed = *blocked != why;
            *blocked = why;
            changed
        });
    }

    /// Why the broker takes no messages, if it takes none.
    pub(super) fn blocked(&self) -> watch::Receiver<Option<String>> {
        self.blocked.subscribe()
    }

    /// Somebody's channel has died: let the connection be looked at.
    pub(super) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    pub(super) async fn suspected(&self) {
        self.suspicion.notified().await;
    }

    /// Posts what an actor says, and tells the log of a change.
    pub(super) fn say(&self, actor: &str, condition: Condition) {
        let trouble = match &condition {
            Condition::Degraded(why) => Some(why.clone()),
            _ => None,
        };
        // Jobs are taken in and done without it.
        self.conditions.make_optional(actor);
        if self.conditions.set(actor, condition)
            && let Some(why) = trouble
        {
            tracing::warn!(actor, why, "the bus does not do all that it is there for");
        }
    }
}
