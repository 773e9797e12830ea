//! Puts the layers together.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::defaults;
use crate::document::{Node, Value};
use crate::key::Key;
use crate::layers::{Layers, Origin};
use crate::live::is_live;
use crate::problem::{ConfigError, Problems, unreadable};
use crate::reader::{Effective, Reader};
use crate::rules;
use crate::settings::Settings;
use crate::source::EffectiveValue;
use crate::text::SourceText;

/// Loads [`Settings`] from, in rising order: `default.toml`, files, environment variables, flags.
///
/// ```
/// use callboard_config::Loader;
///
/// let loaded = Loader::new()
///     .environment([("CALLBOARD__WEB__WORKERS".into(), "4".into())])
///     .set("web.listen", "127.0.0.1:0", "--listen")
///     .load()?;
/// assert_eq!(loaded.settings.web.workers, 4);
/// assert_eq!(loaded.settings.web.listen.port(), 0);
///
/// let listen = loaded.sources().find(|value| value.key == "web.listen").unwrap();
/// assert_eq!(format!("{} = {} ({})", listen.key, listen.value, listen.source), "web.listen = \"127.0.0.1:0\" (flag --listen)");
/// # Ok::<(), callboard_config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Loader {
    files: Vec<PathBuf>,
    default_files: Vec<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    flags: Vec<(Key, Node, Arc<str>)>,
    /// What a program has made itself, and the names of its queues.
    code: Option<Arc<Code>>,
    queues: Vec<(String, Arc<str>)>,
    overrides: Vec<(Key, Node, Arc<str>)>,
    /// Of `default_files`, those that were there when they were last read.
    required: BTreeSet<PathBuf>,
}

/// Settings that a program has made itself.
struct Code {
    values: Vec<(Key, Node)>,
    queues: Vec<String>,
}

/// Settings and where each of them comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings; every rule between them holds.
    pub settings: Settings,
    pub(crate) values: Vec<Effective>,
}

impl Loader {
    /// A loader of the defaults alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file, which must exist, and none of [`Loader::default_files`]. Called again, the later file stands above
    /// the earlier.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Reads those of these files that exist, unless [`Loader::file`] names one; the later stands above the earlier.
    #[must_use]
    pub fn default_files<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.default_files.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Reads these environment variables, as of [`std::env::vars_os`]. Those that begin with `CALLBOARD__` must be known
    /// keys, as `CALLBOARD__SECTION__KEY`; a queue's name is taken in lower case. All others are passed over.
    ///
    /// A value is text as it stands or in TOML's quotes, a number, or a list as a TOML array or with commas.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Sets a key, as a flag does; `flag` is how people write it, such as `--listen`. Values are as of environment
    /// variables. The later call stands above the earlier.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>, flag: &str) -> Self {
        self.flags.push((Key::parse(key), Node::untyped(value.into()), Arc::from(flag)));
        self
    }

    /// Sets a key whose value is a list, as a flag does that may be given more than once. Items may hold commas.
    #[must_use]
    pub fn set_list<S: Into<String>>(
        mut self,
        key: &str,
        items: impl IntoIterator<Item = S>,
        flag: &str,
    ) -> Self {
        let items = items.into_iter().map(|item| Node::untyped(item.into())).collect();
        self.flags.push((Key::parse(key), Node { value: Value::Array(items), span: 0..0 }, Arc::from(flag)));
        self
    }

    /// Adds a queue, as a flag does that names one; what no layer says of it is that of `queue_defaults`.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>, flag: &str) -> Self {
        self.queues.push((name.into(), Arc::from(flag)));
        self
    }

    /// Puts settings that a program has made itself between the defaults and the files. Their queues are all that there are,
    /// but for those of higher layers; what a queue says as `queue_defaults` does it has from there.
    #[must_use]
    pub fn code(mut self, settings: &Settings) -> Self {
        let mut usual = BTreeMap::new();
        Settings::default().list(&mut |key, _, text| drop(usual.insert(key, text)));
        let mut values = Vec::new();
        settings.list(&mut |key, node, text| {
            if usual.get(&key) != Some(&text) {
                values.push((key, node));
            }
        });
        self.code = Some(Arc::new(Code { values, queues: settings.queues.keys().cloned().collect() }));
        self
    }

    /// Sets a key above all layers, for somebody who does so while the program runs.
    pub(crate) fn add_override(&mut self, key: &Key, value: &str, by: &Arc<str>) {
        self.overrides.push((key.clone(), Node::untyped(value.to_owned()), by.clone()));
    }

    /// The files that are read.
    pub(crate) fn files_read(&self) -> &[PathBuf] {
        if self.files.is_empty() { &self.default_files } else { &self.files }
    }

    /// Of the files that may be missing, those that are there must be from now on.
    pub(crate) fn require_files(&mut self) {
        self.required.extend(self.default_files.iter().filter(|path| path.exists()).cloned());
    }

    /// Reads what a program has made itself, and checks nothing of it.
    pub(crate) fn load_unchecked(self) -> Loaded {
        let defaults = Layers::new(defaults::members());
        let mut layers = Layers::new(defaults::members());
        let mut problems = Problems::default();
        self.add_code(&mut layers);
        read(&layers, &defaults, &mut problems).0
    }

    /// Reads everything and checks it. It blocks on the files.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once: files that cannot be read, unknown keys, values that are of the wrong type or out
    /// of bounds, and values that contradict each other.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        self.load_with_layers().map(|(loaded, _)| loaded)
    }

    fn add_code(&self, layers: &mut Layers) {
        if let Some(code) = &self.code {
            layers.add_code(&code.values, code.queues.iter().cloned());
        }
    }

    /// As [`load`](Self::load); also where everything stands.
    pub(crate) fn load_with_layers(self) -> Result<(Loaded, Layers), ConfigError> {
        let defaults = Layers::new(defaults::members());
        let mut layers = Layers::new(defaults::members());
        let mut problems = Problems::default();
        self.add_code(&mut layers);
        let complete = self.add_files(&mut layers, &mut problems);
        layers.add_environment(&self.environment, &mut problems);
        for (key, node, flag) in self.flags {
            layers.add_value(key, node, Origin::Flag(flag), &mut problems);
        }
        for (name, flag) in self.queues {
            layers.add_queue(&name, &Origin::Flag(flag), &mut problems);
        }
        for (key, node, by) in self.overrides {
            layers.add_value(key, node, Origin::Request(by), &mut problems);
        }
        let (loaded, unread) = read(&layers, &defaults, &mut problems);
        // Of a file that is missing, what it would have set is not known: rules would report what is not so.
        if complete {
            rules::check(&loaded.settings, &layers, &unread, &mut problems);
        }
        problems.finish()?;
        Ok((loaded, layers))
    }

    /// Returns whether every file could be read.
    fn add_files(&self, layers: &mut Layers, problems: &mut Problems) -> bool {
        let mut complete = true;
        let mut add = |path: &Path, may_be_missing: bool| match SourceText::read(path) {
            Ok(text) => complete &= layers.add_file(text, problems),
            Err(error) if error.missing && may_be_missing => {}
            Err(error) => {
                problems.push(|| unreadable(path, &error));
                complete = false;
            }
        };
        if self.files.is_empty() {
            self.default_files.iter().for_each(|path| add(path, !self.required.contains(path)));
        } else {
            self.files.iter().for_each(|path| add(path, false));
        }
        complete
    }
}

impl Loaded {
    /// Every key with its value as TOML (secrets masked) and its source, section by section in the order of
    /// [`Settings`]. What a queue has from `queue_defaults` is shown with the source it has there.
    pub fn sources(&self) -> impl Iterator<Item = EffectiveValue<'_>> {
        self.values.iter().map(|Effective { key, value, source, .. }| EffectiveValue {
            key,
            value,
            source,
            live: is_live(key),
        })
    }
}

fn read(layers: &Layers, defaults: &Layers, problems: &mut Problems) -> (Loaded, BTreeSet<Key>) {
    let mut reader = Reader::new(layers, defaults, problems);
    let settings = Settings::read(&mut reader);
    let (values, unread) = reader.finish();
    (Loaded { settings, values }, unread)
}

impl Default for Settings {
    /// What `default.toml` says.
    fn default() -> Self {
        Loader::new().load().expect("default.toml is part of the program, and a test loads it").settings
    }
}
