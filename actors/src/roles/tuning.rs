//! What of a node's settings can change while it runs.

use std::{sync::Arc, time::Duration};

use callboard_supervisors::{Message, Recipient};
use parking_lot::RwLock;

use super::{
    node::Node,
    settings::{InvalidSetting, RolesConfig},
};
use crate::edges::store::{Operation, StoreError};

/// How long an actor may take to say that it has taken new settings up. One that crashed has them when it is back.
const PATIENCE: Duration = Duration::from_secs(5);

/// To an actor: the node's settings are others. It is answered when the actor works with them.
#[derive(Clone, Copy, Debug, Message)]
pub(crate) struct Retune;

/// Who is told of new settings, and under which path.
pub(crate) type Tuned = (String, Recipient<Retune>);

/// The settings that can change while the node runs. They outlive the actors that work with them.
pub(crate) struct Tuning {
    now: RwLock<Arc<RolesConfig>>,
    /// Those of which the store knows.
    stored: RwLock<Arc<RolesConfig>>,
}

impl Tuning {
    pub(crate) fn new(config: &RolesConfig) -> Self {
        let config = Arc::new(config.clone());
        Tuning { now: RwLock::new(config.clone()), stored: RwLock::new(config) }
    }

    pub(crate) fn now(&self) -> Arc<RolesConfig> {
        self.now.read().clone()
    }

    /// Those of the queues and the job types are in the store.
    pub(crate) fn is_stored(&self, config: Arc<RolesConfig>) {
        *self.stored.write() = config;
    }
}

impl RolesConfig {
    /// Takes from others what can change while the node runs. Queues are neither added nor removed.
    pub(crate) fn take_live(&mut self, from: &RolesConfig) {
        for queue in &mut self.queues {
            if let Some(other) = from.queues.iter().find(|other| other.name == queue.name) {
                *queue = other.clone();
            }
        }
        for queue in &self.queues {
            let mut rules = self.supervision_of(&queue.name).into_owned();
            rules.take_live(&from.supervision_of(&queue.name));
            self.supervision.insert(queue.name.clone(), rules);
        }
        let kept = from
            .queue_payloads
            .iter()
            .filter(|(name, _)| self.queues.iter().any(|queue| queue.name == **name));
        self.queue_payloads = kept.map(|(name, bytes)| (name.clone(), *bytes)).collect();
        self.defaults.max_attempts = from.defaults.max_attempts;
        self.defaults.timeout = from.defaults.timeout;
        self.defaults.retry = from.defaults.retry;
        self.max_payload = from.max_payload;
        self.max_backlog = from.max_backlog;
        self.max_result = from.max_result;
        self.log_limits = from.log_limits;
        self.rescue_interval = from.rescue_interval;
        self.quarantine_after = from.quarantine_after;
        self.schedule_poll = from.schedule_poll;
        self.retention = from.retention;
        self.retention_interval = from.retention_interval;
        self.audit_kept = from.audit_kept;
        self.cron = from.cron.clone();
        self.keys = from.keys.clone();
    }
}

/// The node works with new settings from now on, and its actors are told. Those that have not said in time that they have
/// taken them up.
pub(super) async fn retune(
    node: &Node,
    tuned: &[Tuned],
    from: &RolesConfig,
) -> Result<Vec<String>, InvalidSetting> {
    let mut config = (*node.tuning.now()).clone();
    config.take_live(from);
    config.check(&node.registry)?;
    for settings in &config.queues {
        if let Some(queue) = node.queues.get(&settings.name) {
            queue.set_numbers(settings.concurrency, settings.max_backlog);
            queue.set_supervision(&config.supervision_of(&settings.name));
        }
    }
    *node.tuning.now.write() = Arc::new(config);
    // The store is told of it, too.
    node.standing.ordered.notify_one();
    let mut answers = Vec::with_capacity(tuned.len());
    for (path, actor) in tuned {
        answers
            .push(async move { actor.ask_within(PATIENCE, Retune).await.err().map(|error| (path, error)) });
    }
    let mut late = Vec::new();
    for (path, error) in futures_util::future::join_all(answers).await.into_iter().flatten() {
        tracing::warn!(actor = path, %error, "an actor has not said that it has taken new settings up; it does when it can");
        late.push(path.clone());
    }
    Ok(late)
}

/// Says in the store what the queues and the job types are now, if that has changed.
pub(super) async fn store(node: &Node) -> Result<(), StoreError> {
    let (now, stored) = (node.tuning.now(), node.tuning.stored.read().clone());
    if Arc::ptr_eq(&now, &stored) {
        return Ok(());
    }
    let operations = super::session::known(node, &now);
    for result in node.store.write_all(operations.into()).await? {
        result?;
    }
    node.tuning.is_stored(now);
    Ok(())
}

/// What the store knows of a node's queues and job types.
pub(super) type Known = [Operation; 2];
