//! Why a job waits, in words.

use callboard_contracts::JobState;

use super::node::Node;
use crate::edges::store::{
    StoreError,
    record::{JobRecord, QueueSettings, QueueTotals},
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
    let nodes = node.store.open_sessions().await?.len();
    Ok(in_queue(&job.queue, queue.as_ref(), nodes))
}

fn in_queue(name: &str, queue: Option<&(QueueSettings, QueueTotals)>, nodes: usize) -> String {
    match queue {
        Some((_, QueueTotals { paused_at: Some(at), .. })) => {
            format!("queue {name:?}, which is paused since {at}, to go on")
        }
        None => format!("a node that serves queue {name:?}"),
        Some((QueueSettings { concurrency: 0, .. }, _)) => format!("a node that serves queue {name:?}"),
        Some(_) if nodes == 0 => "a node: none has an open session".to_owned(),
        Some((_, totals @ QueueTotals { max_running: Some(most), .. }))
            if totals.count(JobState::Executing) >= u64::from(*most) =>
        {
            let running = totals.count(JobState::Executing);
            format!("a free place: queue {name:?} may have {most} at once on all nodes, and has {running}")
        }
        Some((_, totals)) => {
            let others = totals.count(JobState::Available).saturating_sub(1);
            let running = totals.count(JobState::Executing);
            format!(
                "its turn: queue {name:?} has {others} other available {}, and {running} are with a node",
                if others == 1 { "job" } else { "jobs" }
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard_contracts::Timestamp;

    use super::*;

    #[test]
    fn the_first_thing_in_the_way_is_named() {
        let settings = |concurrency| QueueSettings { name: "q".to_owned(), concurrency, max_backlog: 1 };
        let totals = |paused_at| QueueTotals {
            queue: "q".to_owned(),
            counts: [0, 0, 3, 7, 0, 0, 0, 0],
            oldest_available_at: None,
            paused_at,
            max_running: None,
        };
        let since = Some(Timestamp::from_micros(0));
        let paused = in_queue("q", Some(&(settings(5), totals(since))), 0);
        assert_eq!(paused, "queue \"q\", which is paused since 1970-01-01T00:00:00.000000Z, to go on");
        assert_eq!(in_queue("q", None, 1), "a node that serves queue \"q\"");
        assert_eq!(in_queue("q", Some(&(settings(0), totals(None))), 1), "a node that serves queue \"q\"");
        assert_eq!(in_queue("q", Some(&(settings(5), totals(None))), 0), "a node: none has an open session");
        let full = QueueTotals { max_running: Some(7), ..totals(None) };
        let free = "a free place: queue \"q\" may have 7 at once on all nodes, and has 7";
        assert_eq!(in_queue("q", Some(&(settings(5), full)), 1), free);
        let turn = "its turn: queue \"q\" has 2 other available jobs, and 7 are with a node";
        assert_eq!(in_queue("q", Some(&(settings(5), totals(None))), 1), turn);
    }
}
