//! The layers of values: defaults, files, environment variables and flags, the later above the earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Range;
use std::sync::Arc;

use crate::document::{self, Member, Node, Value};
use crate::key::{Key, shortened};
use crate::problem::{Problem, Problems};
use crate::schema::{Place, QUEUES, Schema};
use crate::source::Source;
use crate::text::{Position, SourceText};

/// What the names of our environment variables begin with.
pub(crate) const PREFIX: &str = "CALLBOARD__";

/// The place of what is in no file.
const NOWHERE: Range<usize> = 0..0;

/// Where values were read.
#[derive(Clone)]
pub(crate) enum Origin {
    Default,
    Code,
    File(Arc<SourceText>),
    Environment(Arc<str>),
    Flag(Arc<str>),
    Request(Arc<str>),
}

/// A value that a layer sets.
pub(crate) struct Entry {
    pub(crate) node: Node,
    pub(crate) origin: Origin,
}

/// All layers as one: the topmost value of each key.
pub(crate) struct Layers {
    schema: Schema,
    values: BTreeMap<Key, Entry>,
    queues: BTreeSet<String>,
}

impl Origin {
    /// The source of what stands at a place of this origin.
    pub(crate) fn source(&self, span: &Range<usize>) -> Source {
        match self {
            Self::Default => Source::Default,
            Self::Code => Source::Code,
            Self::File(text) => {
                let Position { line, column } = text.position(span.start);
                Source::File { path: text.path.clone(), line, column }
            }
            Self::Environment(variable) => Source::Environment { variable: variable.clone() },
            Self::Flag(flag) => Source::Flag { flag: flag.clone() },
            Self::Request(by) => Source::Request { by: by.clone() },
        }
    }

    /// Says in a problem where it is; `only_to_end` leaves out what follows the place in its line.
    pub(crate) fn locate(&self, problem: Problem, span: &Range<usize>, only_to_end: bool) -> Problem {
        let problem = problem.with_source(self.source(span));
        match self {
            Self::File(text) => problem.with_excerpt(text, span, only_to_end),
            _ => problem,
        }
    }
}

impl Layers {
    /// The lowest layer alone.
    pub(crate) fn new(defaults: Vec<Member>) -> Self {
        let mut layers =
            Self { schema: Schema::new(&defaults), values: BTreeMap::new(), queues: BTreeSet::new() };
        // The schema was made of it, so that nothing in it is unknown.
        layers.add_tables(&Key(Vec::new()), defaults, &Origin::Default, &mut Problems::default());
        layers
    }

    /// The topmost value of a key.
    pub(crate) fn get(&self, key: &Key) -> Option<&Entry> {
        self.values.get(key)
    }

    /// The names of the queues that have a table.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(String::as_str)
    }

    /// What is wrong with a key that there is not; `None` of one that there is.
    pub(crate) fn unknown_key(key: &Key) -> Option<Problem> {
        let layers = Layers::new(crate::defaults::members());
        let known = layers.schema.place(&key.segments()) != Place::Unknown;
        (!known).then(|| layers.unknown("key", key, &Origin::Code))
    }

    /// Adds what a program has made itself, with the names of its queues, which are all that there are below files.
    pub(crate) fn add_code(&mut self, values: &[(Key, Node)], queues: impl Iterator<Item = String>) {
        for (key, node) in values {
            self.values.insert(key.clone(), Entry { node: node.clone(), origin: Origin::Code });
        }
        self.queues = queues.collect();
    }

    /// Adds a queue whose table may say nothing.
    pub(crate) fn add_queue(&mut self, name: &str, origin: &Origin, problems: &mut Problems) {
        if is_queue_name(name) {
            self.queues.insert(name.to_owned());
        } else {
            problems.push(|| origin.locate(no_queue_name(&Key::from([QUEUES, name]), name), &NOWHERE, false));
        }
    }

    /// Adds a file. Returns whether it is TOML at all.
    pub(crate) fn add_file(&mut self, text: SourceText, problems: &mut Problems) -> bool {
        let text = Arc::new(text);
        let origin = Origin::File(text.clone());
        match document::parse(&text.text) {
            Ok(members) => {
                self.add_tables(&Key(Vec::new()), members, &origin, problems);
                true
            }
            Err(errors) => {
                let mut last_line = 0;
                for error in errors {
                    // What follows on the same line is most often the same mistake again.
                    let line = text.line_number(error.span.start);
                    if line != last_line {
                        let problem = || Problem::new(format!("this is no TOML: {}", error.message));
                        problems.push(|| origin.locate(problem(), &error.span, false));
                    }
                    last_line = line;
                }
                false
            }
        }
    }

    /// Adds those of the variables whose names begin with [`PREFIX`].
    pub(crate) fn add_environment(&mut self, variables: &[(OsString, OsString)], problems: &mut Problems) {
        let mut ours: Vec<_> = variables
            .iter()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
            .collect();
        ours.sort();
        for (name, value) in ours {
            let shown = name.to_string_lossy();
            let origin = Origin::Environment(Arc::from(shown.as_ref()));
            let problem = match (name.to_str().and_then(|name| name.strip_prefix(PREFIX)), value.to_str()) {
                (None, _) => Problem::new("the name of this variable is not UTF-8"),
                (Some(_), None) => Problem::new("the value of this variable is not UTF-8"),
                (Some(path), Some(value)) => {
                    let key = Key(path.split("__").map(str::to_ascii_lowercase).collect());
                    let known = self.schema.place(&key.segments()) == Place::Setting;
                    if !known || variable(&key) == shown {
                        self.add_value(key, Node::untyped(value.to_owned()), origin, problems);
                        continue;
                    }
                    Problem::new("variables for settings are written in upper case")
                        .with_key(key.to_string())
                        .with_help(format!("help: did you mean `{}`?", variable(&key)))
                }
            };
            problems.push(|| origin.locate(problem, &NOWHERE, false));
        }
    }

    /// Adds the value of one key, as a variable or flag sets it.
    pub(crate) fn add_value(&mut self, key: Key, node: Node, origin: Origin, problems: &mut Problems) {
        let segments = key.segments();
        let problem = match self.schema.place(&segments) {
            Place::Setting => match segments[..] {
                [QUEUES, name, _] if !is_queue_name(name) => no_queue_name(&key, name),
                _ => {
                    if let [QUEUES, name, _] = segments[..] {
                        self.queues.insert(name.to_owned());
                    }
                    self.values.insert(key, Entry { node, origin });
                    return;
                }
            },
            Place::Section => {
                let problem = Problem::new(format!("`{}` is a section, not a setting", shown(&key)));
                let problem = problem.with_key(shown(&key));
                match self.schema.keys(&segments).next() {
                    Some(first) => {
                        let first = origin.spell(&key.join(first));
                        problem.with_help(format!("help: set one of its keys, such as {first}"))
                    }
                    None => problem,
                }
            }
            Place::Unknown => self.unknown("key", &key, &origin),
        };
        problems.push(|| origin.locate(problem, &NOWHERE, false));
    }

    fn add_tables(&mut self, parent: &Key, members: Vec<Member>, origin: &Origin, problems: &mut Problems) {
        for Member { key: name, key_span, node } in members {
            let key = parent.join(&name);
            let segments = key.segments();
            match (self.schema.place(&segments), node.value) {
                (Place::Setting, value) => {
                    let node = Node { value, span: node.span };
                    self.values.insert(key, Entry { node, origin: origin.clone() });
                }
                (Place::Section, Value::Table(members)) => {
                    if let [QUEUES, name] = segments[..] {
                        if !is_queue_name(name) {
                            problems.push(|| origin.locate(no_queue_name(&key, name), &key_span, true));
                            continue;
                        }
                        self.queues.insert(name.to_owned());
                    }
                    self.add_tables(&key, members, origin, problems);
                }
                (Place::Section, value) => {
                    problems.push(|| origin.locate(no_table(&key, &value), &key_span, true));
                }
                (Place::Unknown, value) => problems.push(|| {
                    let is_table = matches!(value, Value::Table(_));
                    let what = if is_table && parent.0.is_empty() { "section" } else { "key" };
                    let problem = self.unknown(what, &key, origin);
                    let problem = match segments[..] {
                        [QUEUES, first, second] if is_table => {
                            let dotted = Key::from([QUEUES, &format!("{first}.{second}")]);
                            let help =
                                format!("help: a queue name with dots is quoted: [{}]", shown(&dotted));
                            problem.with_help(help)
                        }
                        _ => problem,
                    };
                    origin.locate(problem, &key_span, true)
                }),
            }
        }
    }

    fn unknown(&self, what: &str, key: &Key, origin: &Origin) -> Problem {
        let problem = Problem::new(format!("unknown {what} `{}`", shown(key))).with_key(shown(key));
        match self.schema.nearest(key) {
            Some(near) => problem.with_help(format!("help: did you mean {}?", origin.spell(&near))),
            None => problem,
        }
    }
}

impl Origin {
    /// A key as one writes it in this origin.
    fn spell(&self, key: &Key) -> String {
        match self {
            Self::Environment(_) => format!("`{}`", variable(key)),
            _ => format!("`{key}`"),
        }
    }
}

/// The environment variable that sets a key.
fn variable(key: &Key) -> String {
    format!("{PREFIX}{}", key.segments().join("__").to_ascii_uppercase())
}

/// An unknown key in a message.
fn shown(key: &Key) -> String {
    shortened(&key.to_string())
}

/// Whether queues, and job types, can be called so.
pub(crate) fn is_queue_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 50 && name.bytes().all(fits)
}

fn no_queue_name(key: &Key, name: &str) -> Problem {
    Problem::new(format!("`{}` is no name for a queue", shortened(name)))
        .with_key(shown(key))
        .with_help("help: a name is 1 to 50 of the letters a to z and A to Z, digits, `-`, `_` and `.`")
}

fn no_table(key: &Key, value: &Value) -> Problem {
    let key = shown(key);
    Problem::new(format!("`{key}` is a section: expected a table, found {}", value.type_name()))
        .with_help(format!("help: write it as [{key}]"))
        .with_key(key)
}
