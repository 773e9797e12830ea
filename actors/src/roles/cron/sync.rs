//! The cron table as the configuration has it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_contracts::api::CronDefinition;

use super::{
    super::{node::Node, settings::RolesConfig},
    secrets,
};
use crate::encryption::vault::WasSealed;
use crate::{
    cron,
    edges::store::{
        Operation, Outcome, StoreError,
        cron::{CronOperation, CronOutcome, NewCron},
    },
};

/// How often it is tried again to put entries in whose names others have.
const AGAIN: Duration = Duration::from_secs(60);

/// What was put into the table last, and under which leadership.
#[derive(Default)]
pub(super) struct Synced(Option<Last>);

struct Last {
    leader: u64,
    config: Arc<RolesConfig>,
    at: Instant,
    refused: Vec<String>,
}

impl Synced {
    /// Makes the entries of the configuration what they are to be, if that is not known to be done. Whether this node still
    /// leads.
    pub(super) async fn look(&mut self, node: &Node, leader: u64) -> Result<bool, StoreError> {
        let config = node.tuned();
        let is_done = |last: &&Last| {
            last.leader == leader
                && last.config.cron == config.cron
                && (last.refused.is_empty() || last.at.elapsed() < AGAIN)
        };
        if self.0.as_ref().filter(is_done).is_some() {
            return Ok(true);
        }
        // What the configuration has had while this node led, and has no more, is to go, whoever put it in.
        let had = |last: &Last| last.leader == leader && !last.config.cron.is_empty();
        let had = self.0.as_ref().is_some_and(had);
        let entries = entries(node, &config);
        let all = node.config.sole_owner || had || !entries.is_empty();
        let operation = CronOperation::Sync { entries, node: node.name.to_string(), all, leader };
        match node.store.write(Operation::Cron(operation)).await? {
            Outcome::Cron(CronOutcome::Synced { changed, taken_out, refused }) => {
                if changed > 0 || !taken_out.is_empty() {
                    tracing::info!(changed, ?taken_out, "the cron table is what the configuration says");
                }
                let known = self.0.as_ref().map(|last| &last.refused);
                if !refused.is_empty() && known != Some(&refused) {
                    tracing::warn!(
                        entries = ?refused,
                        "entries of the configuration are not in the cron table: requests have made entries of their names, or \
                         there are too many; take those out (callboard cron delete NAME), or choose other names"
                    );
                }
                self.0 = Some(Last { leader, config, at: Instant::now(), refused });
                Ok(true)
            }
            Outcome::NotLeader => {
                node.leads.ended(leader);
                Ok(false)
            }
            other => Err(other.unexpected()),
        }
    }
}

/// What the configuration has. It was checked when it was read.
fn entries(node: &Node, config: &RolesConfig) -> Vec<NewCron> {
    let (now, vault) = (node.store.now(), node.vault());
    let entry = |(name, definition): (&String, &CronDefinition)| {
        let schedule = cron::check(name, definition).ok()?;
        let next = schedule.next(name, definition, now);
        let mut definition = CronDefinition::clone(definition);
        if let Err(error) = secrets::seal(&vault, &mut definition, &WasSealed::default()) {
            // That there is a key was checked at the start.
            tracing::error!(entry = name, %error, "an entry of the configuration cannot be encrypted, and is left out");
            return None;
        }
        Some(NewCron { name: name.clone(), definition, next })
    };
    config.cron.iter().chain(&config.cron_of_program).filter_map(entry).collect()
}
