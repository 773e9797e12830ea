//! Bearer tokens with a name and a role.

use secrecy::SecretString;

use crate::choice::TokenRole;
use crate::document::Node;
use crate::table::Table;
use crate::value::{Fault, Setting};

/// One of `web.tokens`: a bearer token with a name and a role.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Who it is; shown in logs and audits. No two tokens share a name.
    pub name: String,
    /// What it allows.
    pub role: TokenRole,
    /// The secret itself.
    pub token: SecretString,
}

impl Setting for TokenSettings {
    const SECRET: bool = true;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "a token", &["name", "role", "token"], |table| {
            let (name, role, token) = (table.part("name"), table.part("role"), table.part("token"));
            Some(Self { name: name?, role: role?, token: token? })
        })
    }

    fn render(&self) -> String {
        let Self { name, role, token } = self;
        format!("{{ name = {}, role = {}, token = {} }}", name.render(), role.render(), token.render())
    }
}
