//! What holds for the jobs of a type or a queue: how large they may be, and what they need.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::settings::RolesConfig;
use crate::jobs::JobOptions;

/// What the configuration says of the jobs of one type, whether a node handles it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeBounds {
    /// The largest payload of a job, with its metadata, in bytes.
    pub max_payload: Option<usize>,
    /// The edges that its jobs need, beside those that the type itself names.
    pub needs: Vec<String>,
    /// The queue that its jobs go to, unless whoever submits one names another.
    pub queue: Option<String>,
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
    let of_type = type_payload(config, job_type, options);
    let queue = of_queue.map(|most| (most, PayloadLimit::Queue(queue.to_owned())));
    let job_type = of_type.map(|most| (most, PayloadLimit::JobType(job_type.to_owned())));
    let server = (config.max_payload, PayloadLimit::Server);
    [queue, job_type]
        .into_iter()
        .flatten()
        .fold(server, |least, next| if next.0 < least.0 { next } else { least })
}

/// The limit on payloads that a type itself and its configuration give it.
pub(super) fn type_payload(
    config: &RolesConfig,
    job_type: &str,
    options: Option<&JobOptions>,
) -> Option<usize> {
    let configured = config.job_types.get(job_type).and_then(|bounds| bounds.max_payload);
    options.and_then(|options| options.max_payload).into_iter().chain(configured).min()
}

/// The edges that a job of this type needs, sorted.
pub(super) fn needs(config: &RolesConfig, job_type: &str, options: Option<&JobOptions>) -> Vec<String> {
    let own = options.map(|options| options.needs.as_slice()).unwrap_or_default();
    let configured = config.job_types.get(job_type).map(|bounds| bounds.needs.as_slice()).unwrap_or_default();
    let all: BTreeSet<&String> = own.iter().chain(configured).collect();
    all.into_iter().cloned().collect()
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
        let bounds = TypeBounds {
            max_payload: Some(70),
            needs: vec!["smtp".to_owned(), "db".to_owned()],
            queue: None,
        };
        config.job_types.insert("mail".to_owned(), bounds);
        assert_eq!(of(&config, Some(&options)), (70, PayloadLimit::JobType("mail".to_owned())));
        assert_eq!(max_payload(&config, "other", None, "other"), (100, PayloadLimit::Server));
        let needing = JobOptions::new().needs(["smtp", "api"]);
        assert_eq!(needs(&config, "mail", Some(&needing)), ["api", "db", "smtp"]);
        assert_eq!(needs(&config, "other", None), [""; 0]);
        config.max_payload = 10;
        assert_eq!(of(&config, Some(&options)), (10, PayloadLimit::Server));
    }
}
