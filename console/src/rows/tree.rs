//! The supervision tree, line by line.

use callboard_contracts::{
    Timestamp,
    api::{ActorKind, TreeNode},
};

use crate::{
    filter::{Field, Fields},
    format,
    table::{Cell, Column, Row, SortKey, Tone},
};

/// A line of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeRow {
    /// The node, without its children.
    pub node: TreeNode,
    /// What is drawn before its name.
    pub branch: String,
    /// How many children it has that are not shown, because it is folded.
    pub folded: usize,
    /// Whether it can be folded.
    pub has_children: bool,
}

/// What the state of an actor means.
pub fn tree_tone(state: &str) -> Tone {
    match state {
        "running" => Tone::Done,
        "starting" | "stopping" => Tone::Running,
        "backing_off" => Tone::Retry,
        "failed" | "stuck" => Tone::Dead,
        "suspended" => Tone::Paused,
        _ => Tone::Cancelled,
    }
}

impl TreeRow {
    /// The lines of a tree; the children of the paths for which `folded` holds are left out.
    pub fn lines(root: &TreeNode, folded: &dyn Fn(&str) -> bool) -> Vec<TreeRow> {
        let mut rows = Vec::new();
        // Not by recursion: how deep a tree of a server is, the server says.
        let mut open: Vec<(&TreeNode, String, String)> = vec![(root, String::new(), String::new())];
        while let Some((node, branch, below)) = open.pop() {
            let hidden = folded(&node.path);
            let row = TreeRow {
                node: TreeNode { children: Vec::new(), ..shallow(node) },
                branch,
                folded: if hidden { node.children.len() } else { 0 },
                has_children: !node.children.is_empty(),
            };
            rows.push(row);
            if hidden {
                continue;
            }
            for (place, child) in node.children.iter().enumerate().rev() {
                let last = place + 1 == node.children.len();
                let (own, further) = if last { ("└ ", "  ") } else { ("├ ", "│ ") };
                open.push((child, format!("{below}{own}"), format!("{below}{further}")));
            }
        }
        rows
    }

    /// The name that is shown; the root has none.
    pub fn name(&self) -> &str {
        if self.node.name.is_empty() { "root" } else { &self.node.name }
    }
}

/// A copy of a node without its children.
fn shallow(node: &TreeNode) -> TreeNode {
    TreeNode {
        path: node.path.clone(),
        name: node.name.clone(),
        actor_type: node.actor_type.clone(),
        state: node.state.clone(),
        condition: node.condition.clone(),
        current_message: node.current_message.clone(),
        last_crashes: node.last_crashes.clone(),
        children: Vec::new(),
        ..*node
    }
}

impl Fields for TreeRow {
    fn field(&self, name: &str, _: Timestamp) -> Field<'_> {
        let node = &self.node;
        match name {
            "path" => Field::Text(node.path.as_str().into()),
            "name" => Field::Text(node.name.as_str().into()),
            "state" => Field::Text(node.state.as_str().into()),
            "type" => Field::Text(node.actor_type.as_str().into()),
            "mailbox" => Field::Number(node.mailbox_depth as f64),
            "crashes" => Field::Number(node.crashes as f64),
            "generation" => Field::Number(node.generation as f64),
            "restarts" => Field::Number(f64::from(node.restarts)),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        let TreeNode { path, state, actor_type, condition, .. } = &self.node;
        fits(path) || fits(state) || fits(actor_type) || condition.as_deref().is_some_and(&mut *fits)
    }
}

impl Row for TreeRow {
    type Key = String;

    const COLUMNS: &'static [Column] = &[
        Column::new("ACTOR", 24).grows(2),
        Column::new("STATE", 11),
        Column::new("GEN", 4).right(),
        Column::new("RESTARTS", 8).right(),
        Column::new("MAILBOX", 9).right(),
        Column::new("CRASHES", 7).right(),
        Column::new("HANDLED", 9).right().from(100),
        Column::new("MESSAGE", 18).grows(2).from(110),
        Column::new("TYPE", 20).grows(1).from(150),
        Column::new("SAYS", 4).grows(3),
    ];

    const FIELDS: &'static [&'static str] =
        &["path", "name", "state", "type", "mailbox", "crashes", "generation", "restarts"];

    fn key(&self) -> String {
        self.node.path.clone()
    }

    fn cell(&self, column: usize, _: Timestamp) -> Cell {
        let node = &self.node;
        match column {
            0 => {
                let fold = match (self.folded, node.kind) {
                    (0, ActorKind::Actor) => String::new(),
                    (0, ActorKind::Supervisor) => "/".to_owned(),
                    (0, ActorKind::DynamicSupervisor) => "/*".to_owned(),
                    (folded, _) => format!("/ +{folded}"),
                };
                format!("{}{}{fold}", self.branch, format::clean(self.name())).into()
            }
            1 => Cell::new(format::clean(&node.state), tree_tone(&node.state)),
            2 => node.generation.to_string().into(),
            3 if node.restarts_allowed > 0 => {
                let near = node.restarts > 0 && node.restarts + 1 >= node.restarts_allowed;
                let tone = match node.restarts {
                    0 => Tone::Plain,
                    _ if near => Tone::Dead,
                    _ => Tone::Retry,
                };
                Cell::new(format!("{}/{}", node.restarts, node.restarts_allowed), tone)
            }
            4 => {
                let full = node.mailbox_capacity > 0 && node.mailbox_depth >= node.mailbox_capacity;
                let text = match node.mailbox_capacity {
                    0 => node.mailbox_depth.to_string(),
                    capacity => format!("{}/{capacity}", node.mailbox_depth),
                };
                Cell::new(text, if full { Tone::Dead } else { Tone::Plain })
            }
            5 => {
                Cell::new(node.crashes.to_string(), if node.crashes > 0 { Tone::Retry } else { Tone::Plain })
            }
            6 => format::count(node.handled).into(),
            7 => match (&node.current_message, node.current_message_ms) {
                (Some(message), Some(ms)) => {
                    format!("{} {}", format::millis(ms as f64), last_part(message)).into()
                }
                (message, _) => message.as_deref().map(last_part).unwrap_or_default().into(),
            },
            8 => last_part(&node.actor_type).into(),
            9 => format::first_line(node.condition.as_deref().unwrap_or("")).into(),
            _ => Cell::default(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let node = &self.node;
        let number = |number: u64| SortKey::Number(i64::try_from(number).unwrap_or(i64::MAX));
        match column {
            0 => SortKey::Text(node.path.as_str().into()),
            1 => SortKey::Text(node.state.as_str().into()),
            2 => number(node.generation),
            3 => number(node.restarts.into()),
            4 => number(node.mailbox_depth as u64),
            5 => number(node.crashes),
            6 => number(node.handled),
            7 => SortKey::Text(node.current_message.as_deref().unwrap_or("").into()),
            8 => SortKey::Text(node.actor_type.as_str().into()),
            _ => SortKey::Text(node.condition.as_deref().unwrap_or("").into()),
        }
    }
}

/// The last part of a Rust path, cleaned.
fn last_part(path: &str) -> String {
    // What stands within angle brackets belongs to the last part.
    let head = path.find('<').unwrap_or(path.len());
    let start = path[..head].rfind("::").map_or(0, |at| at + 2);
    format::clean(&path[start..]).into_owned()
}
