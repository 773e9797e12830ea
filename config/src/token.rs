//! Bearer tokens with a name and a role.

use secrecy::SecretString;

use crate::choice::TokenRole;
use crate::document::{Member, Node, Value};
use crate::key::shortened;
use crate::schema::nearest;
use crate::value::{Fault, Setting, typed};

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
        const KEYS: [&str; 3] = ["name", "role", "token"];
        let node = typed(node);
        let Value::Table(members) = &node.value else {
            let message =
                format!("expected a table of name, role and token, found {}", node.value.type_name());
            return Err(Fault::new(message, &node).into());
        };
        let mut faults = Vec::new();
        for member in members.iter().filter(|member| !KEYS.contains(&member.key.as_str())) {
            let fault = Fault {
                message: format!("a token has no key `{}`", shortened(&member.key)),
                help: nearest(&member.key, KEYS.into_iter()).map(|near| format!("did you mean `{near}`?")),
                span: member.key_span.clone(),
            };
            faults.push(fault);
        }
        let name = token_part(&node, members, "name", &mut faults);
        let role = token_part(&node, members, "role", &mut faults);
        let token = token_part(&node, members, "token", &mut faults);
        match (name, role, token) {
            (Some(name), Some(role), Some(token)) if faults.is_empty() => Ok(Self { name, role, token }),
            _ => Err(faults),
        }
    }

    fn render(&self) -> String {
        let Self { name, role, token } = self;
        format!("{{ name = {}, role = {}, token = {} }}", name.render(), role.render(), token.render())
    }
}

/// Reads one key of a token's table.
fn token_part<T: Setting>(table: &Node, members: &[Member], key: &str, faults: &mut Vec<Fault>) -> Option<T> {
    let Some(member) = members.iter().find(|member| member.key == key) else {
        faults.push(Fault::new(format!("the token has no `{key}`"), table));
        return None;
    };
    T::read(&member.node).map_err(|more| faults.extend(more)).ok()
}
