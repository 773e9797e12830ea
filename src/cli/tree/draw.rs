//! The tree as lines.

use callboard::contracts::api::{ActorKind, TreeNode};

use super::super::{
    output::{Printer, clean, first_line},
    style,
};

/// Characters of a crash's reason that are shown.
const REASON: usize = 80;

/// What stands before a child: in between, as a bar beside its children, and for the last one.
type Branches = [&'static str; 3];

pub(super) fn lines(root: &TreeNode, ascii: bool, printer: Printer) -> Vec<String> {
    let mut lines = vec![label(root, printer)];
    let branches = if ascii { ["+- ", "|  ", "`- "] } else { ["├─ ", "│  ", "└─ "] };
    below(root, "", branches, printer, &mut lines);
    lines
}

fn below(node: &TreeNode, indent: &str, branches: Branches, printer: Printer, lines: &mut Vec<String>) {
    let [branch, bar, last] = branches;
    for (index, child) in node.children.iter().enumerate() {
        let is_last = index + 1 == node.children.len();
        let before = if is_last { last } else { branch };
        lines.push(format!("{indent}{before}{}", label(child, printer)));
        let deeper = format!("{indent}{}", if is_last { "   " } else { bar });
        below(child, &deeper, branches, printer, lines);
    }
}

fn label(node: &TreeNode, printer: Printer) -> String {
    let condition = node.condition.as_deref().unwrap_or(&node.state);
    let colour = match node.state.as_str() {
        "running" if matches!(condition, "running" | "ready") => style::GOOD,
        "failed" | "stuck" => style::BAD,
        _ => style::WAITS,
    };
    let mut text = format!("{} ({})", clean(&node.name), printer.paint(colour, &clean(condition)));
    let mut add = |part: &str| {
        text.push_str("  ");
        text.push_str(part);
    };
    match node.kind {
        ActorKind::Actor => {
            add(&format!("mailbox {}/{}", node.mailbox_depth, node.mailbox_capacity));
            add(&format!("handled {}", node.handled));
            if node.refused > 0 {
                add(&format!("refused {}", node.refused));
            }
        }
        ActorKind::Supervisor | ActorKind::DynamicSupervisor => {
            add(&format!("restarts {}/{}", node.restarts, node.restarts_allowed));
        }
    }
    if node.generation > 0 {
        add(&format!("generation {}", node.generation));
    }
    if node.crashes > 0 {
        add(&printer.paint(style::BAD, &format!("crashes {}", node.crashes)));
    }
    if let Some(crash) = node.last_crashes.first() {
        add(&format!("last: {}", first_line(&crash.reason, REASON)));
    }
    text
}

#[cfg(test)]
pub(in super::super) mod tests {
    use callboard::contracts::{Timestamp, api::CrashView};

    use super::*;

    fn node(path: &str, kind: ActorKind, children: Vec<TreeNode>) -> TreeNode {
        TreeNode {
            path: path.to_owned(),
            name: path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("root").to_owned(),
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
            current_message_ms: None,
            last_crashes: Vec::new(),
            children,
        }
    }

    /// A small one, in which something has crashed.
    pub(in super::super) fn tree() -> TreeNode {
        let mut producer = node("queues/producer", ActorKind::Actor, Vec::new());
        producer.generation = 2;
        producer.crashes = 2;
        producer.last_crashes = vec![CrashView {
            at: Timestamp::MIN,
            actor: "queues/producer".to_owned(),
            generation: 1,
            message_type: None,
            reason: "panicked: \u{1b}[31mno\nreally".to_owned(),
            backtrace: None,
        }];
        let mut gateway = node("gateway", ActorKind::Actor, Vec::new());
        gateway.condition = Some("degraded: the store is full".to_owned());
        gateway.refused = 3;
        let queues = node("queues", ActorKind::Supervisor, vec![producer]);
        node("", ActorKind::Supervisor, vec![queues, gateway])
    }

    const PLAIN: Printer = Printer { json: false, quiet: false, colours: false };

    #[test]
    fn branches_are_drawn() {
        let expected = [
            "root (running)  restarts 0/8",
            "+- queues (running)  restarts 0/8",
            "|  `- producer (running)  mailbox 1/1024  handled 7  generation 2  crashes 2  last: panicked: \u{fffd}[31mno",
            "`- gateway (degraded: the store is full)  mailbox 1/1024  handled 7  refused 3",
        ];
        assert_eq!(lines(&tree(), true, PLAIN), expected);
        let unicode = lines(&tree(), false, PLAIN);
        assert!(unicode[2].starts_with("│  └─ producer"), "{unicode:?}");
    }

    #[test]
    fn states_have_their_colours() {
        let coloured = lines(&tree(), true, Printer { colours: true, ..PLAIN });
        assert!(coloured[0].starts_with("root (\u{1b}[32mrunning\u{1b}[0m)"), "{coloured:?}");
        assert!(coloured[3].contains("(\u{1b}[33mdegraded"), "{coloured:?}");
    }
}
