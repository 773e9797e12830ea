//! Mermaid.

use std::fmt::Write;

use crate::{
    export::{colour, lines},
    meta::{ActorSnapshot, Kind, TreeSnapshot},
};

impl TreeSnapshot {
    /// The tree as a Mermaid flowchart, for pages that draw it where it stands, such as those of most code hosts.
    /// Dashed edges lead from actors to those whose answers they wait for.
    pub fn to_mermaid(&self) -> String {
        let mut chart = String::from("flowchart LR\n");
        for node in self.root.walk() {
            draw(&mut chart, node);
        }
        chart
    }
}

fn draw(chart: &mut String, node: &ActorSnapshot) {
    let id = node.id;
    let label = quoted(&lines(node).join("\n"));
    let (open, close) = if node.kind == Kind::Actor { ("(", ")") } else { ("[[", "]]") };
    // Writing to a string cannot fail.
    let _ = writeln!(chart, "    actor_{id}{open}{label}{close}");
    let _ = writeln!(chart, "    style actor_{id} fill:{}", colour(node.state));
    for child in &node.children {
        let _ = writeln!(chart, "    actor_{id} --> actor_{}", child.id);
    }
    for waiting in &node.waits_for {
        let _ =
            writeln!(chart, "    actor_{id} -. {} .-> actor_{}", quoted(waiting.message_type), waiting.actor);
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
    format!("\"{}\"", escaped.replace('\n', "<br/>"))
}
