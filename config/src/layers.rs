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

/// Where values were read.
#[derive(Clone)]
pub(crate) enum Origin {
    Default,
    File(Arc<SourceText>),
    Environment(Arc<str>),
    Flag(Arc<str>),
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
            Self::File(text) => {
                let Position { line, column } = text.position(span.start);
                Source::File { path: text.path.clone(), line, column }
            }
            Self::Environment(variable) => Source::Environment { variable: variable.clone() },
            Self::Flag(flag) => Source::Flag { flag: flag.clone() },
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
                    let line = text.position(error.span.start).line;
                    if line != last_line {
                        let problem = Problem::new(format!("this is no TOML: {}", shortened(&error.message)));
                        problems.push(origin.locate(problem, &error.span, false));
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
            let Some(path) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                problems.push(origin.locate(
                    Problem::new("the name of this variable is not UTF-8"),
                    &(0..0),
                    false,
                ));
                continue;
            };
            let key = Key(path.split("__").map(str::to_ascii_lowercase).collect());
            let Some(value) = value.to_str() else {
                let problem =
                    Problem::new(format!("the value of `{key}` is not UTF-8")).with_key(key.to_string());
                problems.push(origin.locate(problem, &(0..0), false));
                continue;
            };
            if self.schema.place(&key.segments()) == Place::Setting && variable(&key) != shown {
                let problem = Problem::new("variables for settings are written in upper case")
                    .with_key(key.to_string())
                    .with_help(format!("help: did you mean `{}`?", variable(&key)));
                problems.push(origin.locate(problem, &(0..0), false));
                continue;
            }
            self.add_value(key, Node::untyped(value.to_owned()), origin, problems);
        }
    }

    /// Adds the value of one key, as a variable or flag sets it.
    pub(crate) fn add_value(&mut self, key: Key, node: Node, origin: Origin, problems: &mut Problems) {
        let segments = key.segments();
        match self.schema.place(&segments) {
            Place::Setting => {
                if let [QUEUES, name, _] = segments[..] {
                    if !is_queue_name(name) {
                        let problem = no_queue_name(name);
                        problems.push(origin.locate(problem.with_key(key.to_string()), &(0..0), false));
                        return;
                    }
                    self.queues.insert(name.to_owned());
                }
                self.values.insert(key, Entry { node, origin });
            }
            Place::Section => {
                let problem = Problem::new(format!("`{}` is a section, not a setting", shown(&key)));
                let problem = match self.schema.keys(&segments).next() {
                    Some(first) => problem.with_help(format!(
                        "help: set one of its keys, such as {}",
                        origin.spell(&key.join(first))
                    )),
                    None => problem,
                };
                problems.push(origin.locate(problem.with_key(shown(&key)), &(0..0), false));
            }
            Place::Unknown => problems.push(origin.locate(self.unknown(&key, &origin), &(0..0), false)),
        }
    }

    fn add_tables(&mut self, parent: &Key, members: Vec<Member>, origin: &Origin, problems: &mut Problems) {
        for Member { key: name, key_span, node } in members {
            let key = parent.join(&name);
            match (self.schema.place(&key.segments()), node.value) {
                (Place::Setting, value) => {
                    let node = Node { value, span: node.span };
                    self.values.insert(key, Entry { node, origin: origin.clone() });
                }
                (Place::Section, Value::Table(members)) => {
                    if let [QUEUES, name] = key.segments()[..] {
                        if !is_queue_name(name) {
                            let problem = no_queue_name(name);
                            problems.push(origin.locate(problem.with_key(shown(&key)), &key_span, true));
                            continue;
                        }
                        self.queues.insert(name.to_owned());
                    }
                    self.add_tables(&key, members, origin, problems);
                }
                (Place::Section, value) => {
                    let problem = Problem::new(format!(
                        "`{}` is a section: expected a table, found {}",
                        shown(&key),
                        value.type_name()
                    ));
                    let problem =
                        problem.with_key(shown(&key)).with_help(format!("help: write it as [{key}]"));
                    problems.push(origin.locate(problem, &key_span, true));
                }
                (Place::Unknown, value) => {
                    let mut problem = self.unknown(&key, origin);
                    if let ([QUEUES, first, second], Value::Table(_)) = (&key.segments()[..], &value) {
                        let joined = Key::from([QUEUES, &format!("{first}.{second}")]);
                        problem =
                            problem.with_help(format!("help: a queue name with dots is quoted: [{joined}]"));
                    }
                    problems.push(origin.locate(problem, &key_span, true));
                }
            }
        }
    }

    fn unknown(&self, key: &Key, origin: &Origin) -> Problem {
        let what = if key.0.len() == 1 { "section" } else { "key" };
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

fn is_queue_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 50 && name.bytes().all(fits)
}

fn no_queue_name(name: &str) -> Problem {
    Problem::new(format!("`{}` is no name for a queue", shortened(name)))
        .with_help("help: a name is 1 to 50 of the letters a to z and A to Z, digits, `-`, `_` and `.`")
}
