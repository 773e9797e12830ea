//! Why a job waits, in words.

use callboard_contracts::{JobState, Labels};

use super::node::Node;
use crate::edges::store::{
    StoreError,
    record::{JobRecord, Limits, NodeRecord, QueueSettings, QueueTotals, Standing},
};

/// What a job waits for; `None` for one that runs or is finished.
pub(super) async fn reason(node: &Node, job: &JobRecord) -> Result<Option<String>, StoreError> {
    let own = |or: &str| Some(job.wait_reason.clone().unwrap_or_else(|| or.to_owned()));
    Ok(match job.state {
        JobState::Pending => own("a node that handles its type"),
        JobState::Scheduled => Some(format!("its time, {}", job.scheduled_at)),
        JobState::Retryable => {
            Some(format!("the time of its next attempt, {}, after one that failed", job.scheduled_at))
        }
        JobState::Available if job.wait_reason.is_some() => job.wait_reason.clone(),
        JobState::Available => Some(turn(node, job).await?),
        JobState::Executing if job.started_at.is_none() && node.config.outlets.contains_key(&job.queue) => {
            Some("a worker outside to say that it runs".to_owned())
        }
        JobState::Executing if job.started_at.is_none() => {
            Some("a free place on the node that has claimed it".to_owned())
        }
        JobState::Executing | JobState::Completed | JobState::Cancelled | JobState::Discarded => None,
    })
}

/// What an available job waits for.
async fn turn(node: &Node, job: &JobRecord) -> Result<String, StoreError> {
    let queues = node.store.queues().await?;
    let queue = queues.into_iter().find(|(settings, _)| settings.name == job.queue);
    let nodes = node.store.nodes().await?;
    if let Some((_, totals)) = queue.as_ref().filter(|(_, totals)| totals.paused_at.is_none())
        && let Some(missing) = nobody(&job.queue, &totals.labels, &nodes)
    {
        return Ok(missing);
    }
    let nodes = nodes.len();
    let limited = queue.as_ref().is_some_and(|(_, totals)| totals.limits != Limits::default());
    let standing = match limited {
        true => node.store.standing(job.queue.clone(), job.partition_key.clone()).await?,
        false => Standing::default(),
    };
    Ok(in_queue(&job.queue, job.partition_key.as_deref(), queue.as_ref(), standing, nodes))
}

/// Which node is missing, if there are some but none that could run the jobs of this queue.
fn nobody(queue: &str, labels: &Labels, nodes: &[NodeRecord]) -> Option<String> {
    // Of one that says nothing of its queues, since its program is older, it is not known.
    let serves = |node: &&NodeRecord| {
        node.description.roles.is_empty() || node.description.queues.iter().any(|(name, _)| name == queue)
    };
    let serving: Vec<&NodeRecord> = nodes.iter().filter(serves).collect();
    let count =
        |nodes: usize| if nodes == 1 { "the one node".to_owned() } else { format!("the {nodes} nodes") };
    if nodes.is_empty() {
        return None;
    }
    if serving.is_empty() {
        return Some(format!("a node that serves queue {queue:?}: none of {} does", count(nodes.len())));
    }
    if !serving.iter().any(|node| node.labels.fulfil(labels)) {
        let of = count(serving.len());
        let plural = if serving.len() == 1 { "serves" } else { "serve" };
        return Some(format!(
            "a node with the labels {labels}: none of {of} that {plural} queue {queue:?} has them"
        ));
    }
    let works = |node: &NodeRecord| {
        node.labels.fulfil(labels) && !node.description.paused && !node.description.draining
    };
    if !serving.iter().any(|node| works(node)) {
        return Some(
            "a node that claims jobs: those that could run it are paused or on their way out".to_owned(),
        );
    }
    None
}

fn in_queue(
    name: &str,
    key: Option<&str>,
    queue: Option<&(QueueSettings, QueueTotals)>,
    standing: Standing,
    nodes: usize,
) -> String {
    match queue {
        Some((_, QueueTotals { paused_at: Some(at), .. })) => {
            format!("queue {name:?}, which is paused since {at}, to go on")
        }
        None => format!("a node that serves queue {name:?}"),
        Some((QueueSettings { concurrency: 0, .. }, _)) => format!("a node that serves queue {name:?}"),
        Some(_) if nodes == 0 => "a node: none has an open session".to_owned(),
        Some((_, totals)) => match limit(name, key, totals, standing) {
            Some(limit) => limit,
            None => {
                let others = totals.count(JobState::Available).saturating_sub(1);
                let running = totals.count(JobState::Executing);
                format!(
                    "its turn: queue {name:?} has {others} other available {}, and {running} are with a node",
                    if others == 1 { "job" } else { "jobs" }
                )
            }
        },
    }
}

/// The limit that holds a job back now: the one that stands above the others first.
fn limit(name: &str, key: Option<&str>, totals: &QueueTotals, standing: Standing) -> Option<String> {
    let Limits { max_running, max_running_per_key, rate, rate_per_key } = totals.limits;
    let running = totals.count(JobState::Executing);
    if let Some(most) = max_running.filter(|most| running >= u64::from(*most)) {
        return Some(format!(
            "a free place: queue {name:?} may have {most} at once on all nodes, and has {running}"
        ));
    }
    if let (Some(rate), Some(at)) = (rate, standing.rate_free_at) {
        return Some(format!(
            "its time by the rate of queue {name:?}, which may claim {rate}: the next one at {at}"
        ));
    }
    let key = key?;
    if let Some(most) = max_running_per_key.filter(|most| standing.executing >= u64::from(*most)) {
        let running = standing.executing;
        return Some(format!(
            "a free place of its key {key:?}: queue {name:?} may have {most} of a key at once, and has {running}"
        ));
    }
    let (rate, at) = (rate_per_key?, standing.key_free_at?);
    Some(format!(
        "its time by the rate of its key {key:?}: queue {name:?} may claim {rate} of a key, the next one at {at}"
    ))
}

#[cfg(test)]
mod tests {
    use callboard_contracts::Timestamp;

    use super::*;

    const NONE: Standing = Standing { executing: 0, rate_free_at: None, key_free_at: None };

    #[test]
    fn the_first_thing_in_the_way_is_named() {
        let settings = |concurrency| QueueSettings { name: "q".to_owned(), concurrency, max_backlog: 1 };
        let totals = |paused_at| QueueTotals {
            queue: "q".to_owned(),
            counts: [0, 0, 3, 7, 0, 0, 0, 0],
            paused_at,
            ..QueueTotals::default()
        };
        let since = Some(Timestamp::from_micros(0));
        let paused = in_queue("q", None, Some(&(settings(5), totals(since))), NONE, 0);
        assert_eq!(paused, "queue \"q\", which is paused since 1970-01-01T00:00:00.000000Z, to go on");
        assert_eq!(in_queue("q", None, None, NONE, 1), "a node that serves queue \"q\"");
        assert_eq!(
            in_queue("q", None, Some(&(settings(0), totals(None))), NONE, 1),
            "a node that serves queue \"q\""
        );
        assert_eq!(
            in_queue("q", None, Some(&(settings(5), totals(None))), NONE, 0),
            "a node: none has an open session"
        );
        let limits = Limits { max_running: Some(7), ..Limits::default() };
        let full = QueueTotals { limits, ..totals(None) };
        let free = "a free place: queue \"q\" may have 7 at once on all nodes, and has 7";
        assert_eq!(in_queue("q", None, Some(&(settings(5), full)), NONE, 1), free);
        let turn = "its turn: queue \"q\" has 2 other available jobs, and 7 are with a node";
        assert_eq!(in_queue("q", None, Some(&(settings(5), totals(None))), NONE, 1), turn);
    }

    #[test]
    fn the_limit_in_the_way_is_named() {
        let limits = Limits {
            max_running: Some(9),
            max_running_per_key: Some(2),
            rate: Some("5/1m".parse().unwrap()),
            rate_per_key: Some("1/1m".parse().unwrap()),
        };
        let totals = QueueTotals { limits, counts: [0, 0, 3, 7, 0, 0, 0, 0], ..QueueTotals::default() };
        let at = Timestamp::from_micros(0);
        let by = |key, standing| limit("q", key, &totals, standing);
        let all = Standing { executing: 2, rate_free_at: Some(at), key_free_at: Some(at) };
        let queue = "its time by the rate of queue \"q\", which may claim 5/1m: the next one at 1970-01-01T00:00:00.000000Z";
        assert_eq!(by(Some("k"), all).as_deref(), Some(queue));
        assert_eq!(by(None, all).as_deref(), Some(queue));
        let of_key = Standing { rate_free_at: None, ..all };
        let place = "a free place of its key \"k\": queue \"q\" may have 2 of a key at once, and has 2";
        assert_eq!(by(Some("k"), of_key).as_deref(), Some(place));
        assert_eq!(by(None, of_key), None, "without a key there are no limits by key");
        let rate = "its time by the rate of its key \"k\": queue \"q\" may claim 1/1m of a key, the next one at \
                    1970-01-01T00:00:00.000000Z";
        assert_eq!(by(Some("k"), Standing { executing: 1, ..of_key }).as_deref(), Some(rate));
        assert_eq!(by(Some("k"), NONE), None);
    }
}
