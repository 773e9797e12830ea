//! Labels: names with a value each.

use std::collections::BTreeMap;

use crate::document::{Node, Value};
use crate::value::{Fault, Setting, text, typed};

/// Names with a value each, written as a table (`{ gpu = "yes" }`), or as text with commas (`gpu=yes,zone=eu`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSettings(pub BTreeMap<String, String>);

impl Setting for LabelSettings {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let table = typed(node);
        if let Value::Table(members) = &table.value {
            let mut labels = BTreeMap::new();
            let mut faults = Vec::new();
            for member in members {
                match String::read(&member.node) {
                    Ok(value) => drop(labels.insert(member.key.clone(), value)),
                    Err(more) => faults.extend(more),
                }
            }
            return if faults.is_empty() { Ok(Self(labels)) } else { Err(faults) };
        }
        let fault = || {
            Fault::new("expected a table such as { gpu = \"yes\" }, or text such as gpu=yes,zone=eu", node)
        };
        let text = text(node).ok_or_else(fault)?;
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let labels = parts.map(|part| {
            let (name, value) = part.split_once('=').ok_or_else(fault)?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        });
        labels.collect::<Result<_, Fault>>().map(Self).map_err(Into::into)
    }

    fn render(&self) -> String {
        let labels: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name} = {}", crate::key::quoted(value))).collect();
        if labels.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", labels.join(", ")) }
    }
}
