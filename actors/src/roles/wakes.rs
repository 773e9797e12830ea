//! The wakes: passes on what other nodes do.

use std::sync::Arc;

use callboard_supervisors::{Actor, Context, StartError};
use tokio::sync::broadcast::error::RecvError;

use super::node::Node;
use crate::edges::store::Wake;

/// Passes on what the store hears of other nodes: producers look for jobs, and attempts that somebody has called off
/// are told. What gets lost on the way is made up for: producers poll, and each renewal of the session tells of the
/// attempts that are to end.
pub(crate) struct Wakes;

impl Actor for Wakes {
    type Args = Arc<Node>;

    async fn start(node: Arc<Node>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(node));
        Ok(Wakes)
    }
}

async fn run(node: Arc<Node>) {
    let mut wakes = node.store.wakes();
    // What came before this generation listened is lost.
    let mut wake = Wake::Everything;
    loop {
        match wake {
            Wake::Available(queue) => node.wake([&queue]),
            Wake::Cancel { lease, queue, session } if *node.session.borrow() == Some(session) => {
                node.call_off(lease, &queue);
            }
            Wake::Signal { job, session } if *node.session.borrow() == Some(session) => {
                node.signals.news(job)
            }
            Wake::Command { node: name } if *name == *node.name => node.standing.ordered.notify_one(),
            // The readers of the log follow its newest place.
            Wake::Cancel { .. } | Wake::Command { .. } | Wake::Signal { .. } | Wake::Log => {}
            Wake::Everything => {
                node.wake_all();
                node.standing.ordered.notify_one();
                node.signals.news_for_all();
            }
        }
        wake = match wakes.recv().await {
            Ok(wake) => wake,
            Err(RecvError::Lagged(_)) => Wake::Everything,
            Err(RecvError::Closed) => return,
        };
    }
}
