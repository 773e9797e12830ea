//! Keys that payloads are encrypted with, and what of them is secret.

use std::path::PathBuf;

use crate::document::Node;
use crate::table::Table;
use crate::value::{Fault, Setting};

/// One of `encryption.keys`: where a key is. The key itself never stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionKeySettings {
    /// What it is called; stored with what it encrypts. No two keys share a name.
    pub name: String,
    /// The file that holds it, which others than its owner and its group may not read.
    pub file: Option<PathBuf>,
    /// The variable of the environment that holds it, if no file does.
    pub env: Option<String>,
}

impl Setting for EncryptionKeySettings {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "a key", &["name", "file", "env"], |table| {
            let (name, file, env) = (table.part("name"), table.optional("file"), table.optional("env"));
            Some(Self { name: name?, file: file?, env: env? })
        })
    }

    fn render(&self) -> String {
        let Self { name, file, env } = self;
        match (file, env) {
            (Some(file), _) => format!("{{ name = {}, file = {} }}", name.render(), file.render()),
            (None, env) => format!("{{ name = {}, env = {} }}", name.render(), env.render()),
        }
    }
}

/// One of `encryption.types`: what is secret in the jobs of one type, beside what the type itself marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretTypeSettings {
    /// The type. No two tables have the same.
    pub name: String,
    /// Secret values of its payloads: JSON Pointers such as `/recipients/*/email`, or `*` for everything.
    pub fields: Vec<String>,
    /// The same of its results.
    pub results: Vec<String>,
    /// Whether its jobs are taken only if there is a key.
    pub required: bool,
    /// Whether its jobs may go to workers outside, who are given them in the clear.
    pub outside: bool,
}

impl Setting for SecretTypeSettings {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let keys = ["name", "fields", "results", "required", "outside"];
        Table::read(node, "a type with secrets", &keys, |table| {
            let (name, fields, results) =
                (table.part("name"), table.optional("fields"), table.optional("results"));
            let (required, outside) = (table.optional("required"), table.optional("outside"));
            Some(Self {
                name: name?,
                fields: fields?,
                results: results?,
                required: required?,
                outside: outside?,
            })
        })
    }

    fn render(&self) -> String {
        let Self { name, fields, results, required, outside } = self;
        format!(
            "{{ name = {}, fields = {}, results = {}, required = {}, outside = {} }}",
            name.render(),
            fields.render(),
            results.render(),
            required.render(),
            outside.render()
        )
    }
}
