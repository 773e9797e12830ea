//! Cron: stores the jobs of the cron table at their times, and changes the table.

mod entries;
mod firing;
mod secrets;
mod sync;
mod view;

use std::{sync::Arc, time::Duration};

use callboard_contracts::Timestamp;
use callboard_supervisors::{Actor, Context, PlainHandler, StartError};
use tokio::{sync::Notify, time::sleep};

use super::{backoff::Backoff, condition::Condition, node::Node, tuning::Retune};
use crate::edges::store::StoreError;

pub(super) use entries::{delete, pause, put, run as run_now};
pub(super) use view::{find, list, preview};

/// Stores the jobs of the cron table at their times, and makes the table what the configuration says, if this node leads. It sleeps
/// until the next time, until the table is changed here, or until the poll interval is over.
pub(crate) struct Cron {
    retuned: Arc<Notify>,
}

impl Actor for Cron {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let retuned = Arc::<Notify>::default();
        cx.spawn(run(node, cx.path(), retuned.clone()));
        Ok(Cron { retuned })
    }
}

impl PlainHandler<Retune> for Cron {
    type Reply = ();

    fn handle(&mut self, _: Retune, _: &mut Context<Self>) {
        self.retuned.notify_one();
    }
}

async fn run(node: Arc<Node>, path: String, retuned: Arc<Notify>) {
    let mut backoff = Backoff::default();
    let (mut synced, mut firings) = (sync::Synced::default(), firing::Firings::default());
    loop {
        let Some(leader) = node.leads.now() else {
            node.conditions.set(&path, Condition::Standby);
            node.leads.begun().await;
            continue;
        };
        match tick(&node, leader, &mut synced, &mut firings).await {
            Ok(next) => {
                backoff.reset();
                node.conditions.set(&path, Condition::Ready);
                tokio::select! {
                    () = wait(&node, next) => {}
                    () = retuned.notified() => {}
                    () = node.cron_changed.notified() => {}
                    () = node.leads.changed() => {}
                }
            }
            Err(error) => {
                node.conditions.set(&path, Condition::Degraded(error.to_string()));
                backoff.pause().await;
            }
        }
    }
}

/// Does what there is to do. When there is more.
async fn tick(
    node: &Node,
    leader: u64,
    synced: &mut sync::Synced,
    firings: &mut firing::Firings,
) -> Result<Option<Timestamp>, StoreError> {
    if synced.look(node, leader).await? { firings.fire_due(node, leader).await } else { Ok(None) }
}

async fn wait(node: &Node, next: Option<Timestamp>) {
    let longest = node.tuned().schedule_poll;
    let next = next.unwrap_or(Timestamp::MAX).saturating_since(node.store.now());
    sleep(next.min(longest).max(Duration::from_millis(1))).await;
}
