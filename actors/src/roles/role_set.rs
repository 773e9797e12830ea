//! [`RoleSet`]: what a node does.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// Something that a node may do, or leave to others.
///
/// Every node has, whatever its roles: the store's edge, its session, the commands that it is given, and its own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes jobs in, calls them off, runs them again, and changes queues, edges and nodes.
    Gateway,
    /// Runs the jobs of its queues.
    Processor,
    /// Answers questions about jobs, queues, events and nodes.
    ReadModel,
    /// May lead: of all nodes that may, one does what is done once for all. It makes jobs due, lets workflows go on, gives the jobs of dead nodes to
    /// others, deletes what is old, and tells outside sinks (of the original system, the metrics engine).
    Leader,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::Gateway, Role::Processor, Role::ReadModel, Role::Leader];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Processor => "processor",
            Role::ReadModel => "read-model",
            Role::Leader => "leader",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles of a node, at least one. Default: all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSet(BTreeSet<Role>);

/// Roles that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoles {
    /// There is no such role.
    #[error(
        "there is no role {0:?}; there are gateway, processor, read-model and leader (which metrics-engine is \
         another word for)"
    )]
    Unknown(String),
    /// None is named.
    #[error(
        "a node without roles would do nothing: name at least one of gateway, processor, read-model and leader"
    )]
    None,
    /// Nobody else could do what is left out.
    #[error(
        "the role {0} cannot be left out: the store is an SQLite file, which one process uses, so nobody else could do \
         that; set store.backend to \"postgres\" to share the work"
    )]
    NotShared(Role),
}

impl Default for RoleSet {
    fn default() -> Self {
        RoleSet(Role::ALL.into())
    }
}

impl RoleSet {
    /// These roles.
    ///
    /// # Errors
    /// [`InvalidRoles::None`] without any.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Result<Self, InvalidRoles> {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        if roles.is_empty() { Err(InvalidRoles::None) } else { Ok(RoleSet(roles)) }
    }

    /// Those of a worker: it runs jobs, and may lead, so that a fleet whose servers are gone loses nothing.
    pub fn worker() -> Self {
        RoleSet([Role::Processor, Role::Leader].into())
    }

    /// Whether this is one of them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Role> {
        self.0.iter().copied()
    }

    /// Checks them against a store: of one that is not `shared`, the node that has it must do everything.
    ///
    /// # Errors
    /// [`InvalidRoles::NotShared`] names the first that is missing.
    pub fn check(&self, shared: bool) -> Result<(), InvalidRoles> {
        match Role::ALL.into_iter().find(|role| !shared && !self.has(*role)) {
            Some(missing) => Err(InvalidRoles::NotShared(missing)),
            None => Ok(()),
        }
    }
}

impl FromStr for RoleSet {
    type Err = InvalidRoles;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let roles = names.map(|name| match name {
            "metrics-engine" => Ok(Role::Leader),
            name => Role::ALL
                .into_iter()
                .find(|role| role.as_str() == name)
                .ok_or_else(|| InvalidRoles::Unknown(name.chars().take(64).collect())),
        });
        RoleSet::new(roles.collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Role::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_and_what_cannot_be_says_why() {
        let of = |text: &str| text.parse::<RoleSet>();
        assert_eq!(of("processor, gateway").unwrap().to_string(), "gateway,processor");
        assert_eq!(of("metrics-engine").unwrap(), RoleSet::new([Role::Leader]).unwrap());
        assert_eq!(of("gateway,processor,read-model,leader").unwrap(), RoleSet::default());
        assert_eq!(of(" , "), Err(InvalidRoles::None));
        assert!(of("gateway,waiter").unwrap_err().to_string().contains("no role \"waiter\""));
        assert_eq!(RoleSet::default().check(false), Ok(()));
        assert_eq!(RoleSet::worker().check(true), Ok(()));
        assert_eq!(RoleSet::worker().check(false), Err(InvalidRoles::NotShared(Role::Gateway)));
    }
}
