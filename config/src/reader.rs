//! Reads sections out of the layers, and notes what each value is and where it comes from.

use std::collections::BTreeSet;
use std::fmt;

use crate::document::{Node, Value};
use crate::key::Key;
use crate::layers::{Entry, Layers};
use crate::problem::{Problem, Problems};
use crate::schema::{QUEUE_DEFAULTS, QUEUES};
use crate::source::Source;
use crate::value::{Fault, Setting};

/// A struct whose fields are the keys of a table.
pub(crate) trait Section {
    /// Reads every field; a value that cannot be read is reported, and its default stands in for it.
    fn read(reader: &mut Reader<'_>, section: &Key) -> Self;

    /// Lists every field with its key, its value, and that as text.
    fn list(&self, section: &Key, to: &mut dyn FnMut(Key, Node, String));

    /// Takes those fields of another that are chosen by their keys.
    fn take(&mut self, from: &Self, section: &Key, chosen: &mut dyn FnMut(&Key) -> bool);
}

/// A key with its value as text.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) source: Source,
    /// What stands behind a value that is masked.
    pub(crate) secret: Option<Hidden>,
}

impl Effective {
    /// Whether the value is the same as another.
    pub(crate) fn is_same(&self, other: &Effective) -> bool {
        self.value == other.value && self.secret == other.secret
    }
}

/// A value that is never shown.
#[derive(Clone, PartialEq)]
pub(crate) struct Hidden(Node);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads settings from layers.
pub(crate) struct Reader<'a> {
    layers: &'a Layers,
    defaults: &'a Layers,
    problems: &'a mut Problems,
    effective: Vec<Effective>,
    unread: BTreeSet<Key>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(layers: &'a Layers, defaults: &'a Layers, problems: &'a mut Problems) -> Self {
        Self { layers, defaults, problems, effective: Vec::new(), unread: BTreeSet::new() }
    }

    /// Reads a section of its own.
    pub(crate) fn section<S: Section>(&mut self, name: &str) -> S {
        S::read(self, &Key::from([name]))
    }

    /// Reads every table of the queues.
    pub(crate) fn queues<S: Section, C: FromIterator<(String, S)>>(&mut self) -> C {
        let layers = self.layers;
        layers.queues().map(|name| (name.to_owned(), S::read(self, &Key::from([QUEUES, name])))).collect()
    }

    /// Reads one value.
    pub(crate) fn value<T: Setting>(&mut self, section: &Key, name: &str) -> T {
        let key = section.join(name);
        let (own, entry) = self.entry(&key);
        match read::<T>(&entry.node) {
            Ok(value) => {
                let source = entry.origin.source(&entry.node.span);
                let secret = T::SECRET.then(|| Hidden(entry.node.clone()));
                self.effective.push(Effective {
                    key: key.to_string(),
                    value: value.render(),
                    source,
                    secret,
                });
                value
            }
            Err(faults) => {
                // What a queue has from the defaults of queues was reported there.
                if own {
                    for fault in faults {
                        self.problems.push(|| invalid(&key, entry, fault, T::SECRET));
                    }
                }
                self.unread.insert(key.clone());
                let default = default_key(&key);
                let entry = self.defaults.get(&default).expect("a test reads every key from default.toml");
                T::read(&entry.node).ok().expect("a test reads every default")
            }
        }
    }

    /// The value of a key, and whether it is its own: a queue's may be that of the defaults of queues.
    fn entry(&self, key: &Key) -> (bool, &'a Entry) {
        match self.layers.get(key) {
            Some(entry) => (true, entry),
            None => {
                let entry = self.layers.get(&default_key(key));
                (false, entry.expect("a test reads every key from default.toml"))
            }
        }
    }

    /// What was read, and the keys that could not be.
    pub(crate) fn finish(self) -> (Vec<Effective>, BTreeSet<Key>) {
        (self.effective, self.unread)
    }
}

/// Reads a value, or takes it as a program has made it.
fn read<T: Setting>(node: &Node) -> Result<T, Vec<Fault>> {
    match &node.value {
        Value::Made(made) => {
            Ok(made.downcast_ref::<T>().expect("it was made from the field that it is read to").clone())
        }
        _ => T::read(node),
    }
}

/// The key whose default a key has.
fn default_key(key: &Key) -> Key {
    match key.segments()[..] {
        [QUEUES, _, name] => Key::from([QUEUE_DEFAULTS, name]),
        _ => key.clone(),
    }
}

fn invalid(key: &Key, entry: &Entry, fault: Fault, secret: bool) -> Problem {
    let problem =
        Problem::new(format!("invalid value for `{key}`: {}", fault.message)).with_key(key.to_string());
    let problem = match fault.help {
        Some(help) => problem.with_help(format!("help: {help}")),
        None => problem,
    };
    // The line of a secret is not shown.
    if secret {
        return problem.with_source(entry.origin.source(&fault.span));
    }
    entry.origin.locate(problem, &fault.span, false)
}
