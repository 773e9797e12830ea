//! What of a filter the server can do.

use callboard_client::JobQuery;
use callboard_contracts::{JobState, name};

use super::{Node, Pattern};

/// The part of a filter of jobs that the server can apply: what holds for every job that fits. The rest is applied to the rows
/// that are loaded.
pub fn pushed_down(node: &Node) -> JobQuery {
    let mut query = JobQuery::default();
    gather(node, &mut query);
    query
}

fn gather(node: &Node, query: &mut JobQuery) {
    match node {
        Node::And(left, right) => {
            gather(left, query);
            gather(right, query);
        }
        Node::Is(field, Pattern::Same(words)) => {
            let one = || match words.as_slice() {
                [word] if !word.is_empty() => Some(word.clone()),
                _ => None,
            };
            // The server's comparisons are exact; those here ignore the case. A name is a name in one case only where
            // somebody has typed it as it is, so what is sent is what was typed.
            let name = || one().filter(|word| name::check(word).is_ok());
            match field.as_str() {
                "state" if query.states.is_empty() => {
                    let states = words.iter().map(|word| word.to_ascii_lowercase().parse().ok());
                    query.states = states.collect::<Option<Vec<JobState>>>().unwrap_or_default();
                }
                "queue" if query.queue.is_none() => query.queue = name(),
                "type" | "worker" if query.job_type.is_none() => query.job_type = name(),
                "tag" if query.tag.is_none() => query.tag = one(),
                "cause" if query.cause.is_none() => query.cause = one(),
                _ => {}
            }
        }
        _ => {}
    }
}
