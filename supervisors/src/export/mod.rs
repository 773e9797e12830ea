//! A snapshot in the languages of other tools.

mod dot;
#[cfg(feature = "json")]
mod json;
mod mermaid;

use crate::meta::{ActorSnapshot, Kind, State};

/// What a drawing says of a node, line by line.
fn lines(node: &ActorSnapshot) -> Vec<String> {
    let mut lines = vec![node.name.to_string(), short(node.type_name).to_owned()];
    let mut state = node.state.as_str().to_owned();
    if node.generation > 0 {
        state += &format!(", generation {}", node.generation);
    }
    lines.push(state);
    if node.kind == Kind::Actor && (node.depth > 0 || node.handled > 0) {
        lines.push(format!("{} handled, {} waiting", node.handled, node.depth));
    }
    if let Some(supervision) = &node.supervision {
        let unlisted = supervision.child_count.saturating_sub(node.children.len());
        if unlisted > 0 {
            lines.push(format!("and {unlisted} more children"));
        }
    }
    lines
}

/// A type's name without the modules.
fn short(type_name: &str) -> &str {
    let end = type_name.find('<').unwrap_or(type_name.len());
    let head = type_name.get(..end).unwrap_or(type_name);
    head.rsplit("::").next().unwrap_or(head)
}

/// How a drawing shows the state.
fn colour(state: State) -> &'static str {
    match state {
        State::Running => "#d7f0d9",
        State::Idle | State::Starting => "#eeeeee",
        State::Suspended | State::Stopping => "#fdf0c4",
        State::Crashed | State::Stuck => "#f8d0cc",
        State::Stopped => "#cccccc",
    }
}
