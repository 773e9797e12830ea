//! Reads a setting that is a table of its own.

use crate::document::{Member, Node, Value};
use crate::key::shortened;
use crate::schema::nearest;
use crate::value::{Fault, Setting, typed};

/// A table in a list, such as one of `web.tokens`.
pub(crate) struct Table<'a> {
    what: &'static str,
    node: &'a Node,
    members: &'a [Member],
    faults: Vec<Fault>,
}

impl<'a> Table<'a> {
    /// The table in `node`, which is called `what` (with its article: `a token`) and has these keys alone. `read` takes them;
    /// what is wrong with one makes it `None`.
    pub(crate) fn read<T>(
        node: &Node,
        what: &'static str,
        keys: &[&'static str],
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Result<T, Vec<Fault>> {
        let node = typed(node);
        let Value::Table(members) = &node.value else {
            let (last, first) = keys.split_last().unwrap_or((&"", &[]));
            let expected = format!("{} and {last}", first.join(", "));
            let message = format!("expected a table of {expected}, found {}", node.value.type_name());
            return Err(Fault::new(message, &node).into());
        };
        let unknown =
            members.iter().filter(|member| !keys.contains(&member.key.as_str())).map(|member| Fault {
                message: format!("{what} has no key `{}`", shortened(&member.key)),
                help: nearest(&member.key, keys.iter().copied())
                    .map(|near| format!("did you mean `{near}`?")),
                span: member.key_span.clone(),
            });
        let mut table = Table { what, node: &node, members, faults: unknown.collect() };
        match read(&mut table) {
            Some(value) if table.faults.is_empty() => Ok(value),
            _ => Err(table.faults),
        }
    }

    /// The value of a key that may be missing.
    pub(crate) fn optional<T: Setting + Default>(&mut self, key: &str) -> Option<T> {
        if self.members.iter().any(|member| member.key == key) { self.part(key) } else { Some(T::default()) }
    }

    /// The value of a key, and this one if it is missing.
    pub(crate) fn or<T: Setting>(&mut self, key: &str, missing: T) -> Option<T> {
        if self.members.iter().any(|member| member.key == key) { self.part(key) } else { Some(missing) }
    }

    /// The value of a key, which must be there.
    pub(crate) fn part<T: Setting>(&mut self, key: &str) -> Option<T> {
        let Some(member) = self.members.iter().find(|member| member.key == key) else {
            let what = self.what.split_once(' ').map_or(self.what, |(_, what)| what);
            self.faults.push(Fault::new(format!("the {what} has no `{key}`"), self.node));
            return None;
        };
        T::read(&member.node).map_err(|more| self.faults.extend(more)).ok()
    }
}
