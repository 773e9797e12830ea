//! Graphviz.

use std::fmt::Write;

use crate::{
    export::{colour, lines},
    meta::{ActorSnapshot, Kind, TreeSnapshot},
};

impl TreeSnapshot {
    /// The tree in the language of Graphviz: `dot -Tsvg` draws it. Dashed edges lead from actors to those whose answers
    /// they wait for.
    pub fn to_dot(&self) -> String {
        let mut dot = format!("digraph {} {{\n", quoted(&self.system));
        dot += "    rankdir=LR;\n    node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\"];\n";
        for node in self.root.walk() {
            draw(&mut dot, node);
        }
        dot + "}\n"
    }
}

fn draw(dot: &mut String, node: &ActorSnapshot) {
    let id = node.id;
    let label = quoted(&lines(node).join("\n"));
    let shape = if node.kind == Kind::Actor { "" } else { ", shape=folder" };
    // Writing to a string cannot fail.
    let _ = writeln!(dot, "    actor_{id} [label={label}, fillcolor=\"{}\"{shape}];", colour(node.state));
    for child in &node.children {
        let _ = writeln!(dot, "    actor_{id} -> actor_{};", child.id);
    }
    for waiting in &node.waits_for {
        let label = quoted(waiting.message_type);
        let _ = writeln!(
            dot,
            "    actor_{id} -> actor_{} [style=dashed, constraint=false, label={label}];",
            waiting.actor
        );
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
