//! Secrets that `http` jobs name.

use secrecy::SecretString;

use crate::document::Node;
use crate::table::Table;
use crate::value::{Fault, Setting};

/// One of `http.secrets`: a secret that a header of an `http` job names.
#[derive(Clone, Debug)]
pub struct HttpSecretSettings {
    /// What jobs call it. No two secrets share a name.
    pub name: String,
    /// The secret itself.
    pub value: SecretString,
    /// The origins that it may be sent to, written as those of `http.allow`.
    pub origins: Vec<String>,
}

impl Setting for HttpSecretSettings {
    const SECRET: bool = true;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "a secret", &["name", "value", "origins"], |table| {
            let (name, value, origins) = (table.part("name"), table.part("value"), table.part("origins"));
            Some(Self { name: name?, value: value?, origins: origins? })
        })
    }

    fn render(&self) -> String {
        let Self { name, value, origins } = self;
        format!("{{ name = {}, value = {}, origins = {} }}", name.render(), value.render(), origins.render())
    }
}
