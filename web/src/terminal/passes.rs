//! Tokens by which the consoles of sessions use the interface, each as long as its session.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    link::About,
    settings::Scope,
    ticket::{Hashed, secret},
};
use crate::settings::Role;

/// The tokens of the sessions that there are.
#[derive(Debug, Default)]
pub(crate) struct Passes(RwLock<BTreeMap<Uuid, Pass>>);

#[derive(Debug)]
struct Pass {
    token: Hashed,
    name: String,
    role: Role,
}

impl Passes {
    /// A token for a session: with the role of whoever opened it, and only a viewer's if it is to be read only.
    pub(super) fn issue(&self, about: &Arc<About>) -> Option<SecretString> {
        let token = secret()?;
        let role = match about.scope {
            Scope::Read => Role::Viewer,
            Scope::Write => about.owner.role.unwrap_or(Role::Viewer),
        };
        let name = format!("{} (terminal)", about.owner.who.name);
        self.0.write().insert(about.id, Pass { token: Hashed::of(&token), name, role });
        Some(token.into())
    }

    pub(super) fn forget(&self, session: Uuid) {
        self.0.write().remove(&session);
    }

    /// Whose token this is, and his role. All are compared: the time taken says nothing.
    pub(crate) fn find(&self, token: &str) -> Option<(String, Role)> {
        let given = Hashed::of(token);
        let mut found = None;
        for pass in self.0.read().values() {
            if given.is(&pass.token) {
                found = Some((pass.name.clone(), pass.role));
            }
        }
        found
    }
}
