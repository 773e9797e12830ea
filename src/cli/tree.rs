//! `callboard tree`.

use std::process::ExitCode;

use callboard::{
    client::Client,
    contracts::api::{ActorKind, TreeNode},
};
use clap::Args;

use super::output::{Failure, Printer, line};

/// How the tree is drawn.
#[derive(Debug, Args)]
pub(super) struct TreeArgs {
    /// Draw with ASCII characters alone.
    #[arg(long)]
    ascii: bool,
}

pub(super) async fn run(client: &Client, args: &TreeArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let tree = client.tree().await?;
    if printer.json {
        printer.document(&tree);
        return Ok(ExitCode::SUCCESS);
    }
    draw(&tree, args.ascii).iter().for_each(|text| line(text));
    Ok(ExitCode::SUCCESS)
}

fn draw(root: &TreeNode, ascii: bool) -> Vec<String> {
    let mut lines = vec![label(root)];
    below(root, "", if ascii { ["+- ", "|  ", "`- "] } else { ["├─ ", "│  ", "└─ "] }, &mut lines);
    lines
}

fn below(node: &TreeNode, indent: &str, [branch, bar, last]: [&str; 3], lines: &mut Vec<String>) {
    for (index, child) in node.children.iter().enumerate() {
        let is_last = index + 1 == node.children.len();
        lines.push(format!("{indent}{}{}", if is_last { last } else { branch }, label(child)));
        let deeper = format!("{indent}{}", if is_last { "   " } else { bar });
        below(child, &deeper, [branch, bar, last], lines);
    }
}

fn label(node: &TreeNode) -> String {
    let mut text = format!("{} ({})", node.name, node.condition.as_deref().unwrap_or(&node.state));
    let mut add = |part: String| {
        text.push_str("  ");
        text.push_str(&part);
    };
    match node.kind {
        ActorKind::Actor => {
            add(format!("mailbox {}/{}", node.mailbox_depth, node.mailbox_capacity));
            add(format!("handled {}", node.handled));
        }
        ActorKind::Supervisor | ActorKind::DynamicSupervisor => {
            add(format!("restarts {}/{}", node.restarts, node.restarts_allowed));
        }
    }
    if node.generation > 0 {
        add(format!("generation {}", node.generation));
    }
    if node.crashes > 0 {
        add(format!("crashes {}", node.crashes));
    }
    if let Some(crash) = node.last_crashes.first() {
        let reason: String = crash.reason.chars().take(80).collect();
        add(format!("last: {reason}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, kind: ActorKind, children: Vec<TreeNode>) -> TreeNode {
        TreeNode {
            path: name.to_owned(),
            name: name.to_owned(),
            kind,
            actor_type: String::new(),
            state: "running".to_owned(),
            condition: None,
            generation: 0,
            restarts: 0,
            restarts_allowed: 8,
            mailbox_depth: 1,
            mailbox_capacity: 1024,
            refused: 0,
            handled: 7,
            crashes: 0,
            current_message: None,
            last_crashes: Vec::new(),
            children,
        }
    }

    #[test]
    fn branches_are_drawn() {
        let leaf = |name| node(name, ActorKind::Actor, Vec::new());
        let inner = node("queues", ActorKind::Supervisor, vec![leaf("producer")]);
        let tree = node("root", ActorKind::Supervisor, vec![inner, leaf("gateway")]);
        assert_eq!(
            draw(&tree, true),
            [
                "root (running)  restarts 0/8",
                "+- queues (running)  restarts 0/8",
                "|  `- producer (running)  mailbox 1/1024  handled 7",
                "`- gateway (running)  mailbox 1/1024  handled 7",
            ]
        );
    }
}
