//! How large a job may be.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::settings::RolesConfig;
use crate::jobs::JobOptions;

/// What the configuration says of the jobs of one type, whether a node handles it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeBounds {
    /// The largest payload of a job, with its metadata, in bytes.
    pub max_payload: Option<usize>,
}

/// Whose limit of payloads it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadLimit {
    /// Every job's.
    #[default]
    Server,
    /// That of the jobs of this queue.
    Queue(String),
    /// That of the jobs of this type.
    JobType(String),
}

impl fmt::Display for PayloadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadLimit::Server => f.write_str("are allowed"),
            PayloadLimit::Queue(queue) => write!(f, "are allowed in queue {queue:?}"),
            PayloadLimit::JobType(job_type) => write!(f, "are allowed for job type {job_type:?}"),
        }
    }
}

/// The smallest limit on the payload of a job, and whose it is.
pub(super) fn max_payload(
    config: &RolesConfig,
    job_type: &str,
    options: Option<&JobOptions>,
    queue: &str,
) -> (usize, PayloadLimit) {
    let of_queue = config.queue_payloads.get(queue).copied();
    let configured = config.job_types.get(job_type).and_then(|bounds| bounds.max_payload);
    let of_type = options.and_then(|options| options.max_payload).into_iter().chain(configured).min();
    let queue = of_queue.map(|most| (most, PayloadLimit::Queue(queue.to_owned())));
    let job_type = of_type.map(|most| (most, PayloadLimit::JobType(job_type.to_owned())));
    let server = (config.max_payload, PayloadLimit::Server);
    [queue, job_type]
        .into_iter()
        .flatten()
        .fold(server, |least, next| if next.0 < least.0 { next } else { least })
}

/// The bounds of job types by their names.
pub type BoundsByType = BTreeMap<String, TypeBounds>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_holds_and_is_named() {
        let mut config = RolesConfig { max_payload: 100, ..RolesConfig::default() };
        let options = JobOptions::new().max_payload(90);
        let of = |config: &RolesConfig, options| max_payload(config, "mail", options, "slow");
        assert_eq!(of(&config, None), (100, PayloadLimit::Server));
        assert_eq!(of(&config, Some(&options)), (90, PayloadLimit::JobType("mail".to_owned())));
        config.queue_payloads.insert("slow".to_owned(), 80);
        assert_eq!(of(&config, Some(&options)), (80, PayloadLimit::Queue("slow".to_owned())));
        let bounds = TypeBounds { max_payload: Some(70) };
        config.job_types.insert("mail".to_owned(), bounds);
        assert_eq!(of(&config, Some(&options)), (70, PayloadLimit::JobType("mail".to_owned())));
        assert_eq!(max_payload(&config, "other", None, "other"), (100, PayloadLimit::Server));
        config.max_payload = 10;
        assert_eq!(of(&config, Some(&options)), (10, PayloadLimit::Server));
    }
}
