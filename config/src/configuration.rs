//! [`Configuration`]: settings that a running program goes on reading.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::change::Change;
use crate::key::Key;
use crate::live::is_live;
use crate::loader::{Loaded, Loader};
use crate::problem::{ConfigError, Problem, Problems};
use crate::schema::{QUEUE_DEFAULTS, QUEUES};
use crate::settings::Settings;
use crate::source::Source;

/// What was set while the program runs: the text of the value, and who did it.
type Overrides = BTreeMap<Key, (String, Arc<str>)>;

/// The settings of a running program, and where they come from, to be read again.
///
/// It changes nothing by itself: [`reread`](Self::reread) and [`set`](Self::set) say what would follow, and what was carried out
/// is [committed](Self::commit). So whoever cannot carry it out still has the settings of before.
///
/// ```
/// use callboard_config::{Configuration, Loader};
///
/// let mut configuration = Configuration::load(Loader::new())?;
/// let plan = configuration.set([("retention.completed", Some("3d"))], "operator")?;
/// assert_eq!(plan.applied()[0].to_string(), "retention.completed: \"7d\" -> \"3d\" (set while it runs, by operator)");
/// configuration.commit(plan);
/// assert_eq!(configuration.running().settings.retention.completed.as_secs(), 3 * 24 * 3600);
/// # Ok::<(), callboard_config::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Configuration {
    loader: Loader,
    overrides: Overrides,
    running: Loaded,
    wanted: Loaded,
    fixed: BTreeSet<String>,
}

/// What would follow from settings that were read again, or from a change of them.
#[derive(Clone)]
#[must_use = "nothing changes before it is carried out and committed"]
pub struct Plan {
    applied: Vec<Change>,
    waiting: Vec<Change>,
    held_back: Option<ConfigError>,
    next: Loaded,
    wanted: Loaded,
    overrides: Overrides,
}

impl Plan {
    /// What is to be carried out now.
    pub fn applied(&self) -> &[Change] {
        &self.applied
    }

    /// What is another in the sources than in the program after this, and needs a restart.
    pub fn waiting(&self) -> &[Change] {
        &self.waiting
    }

    /// Why nothing is to be carried out now, though some of it could be: the rest needs a restart, and without that it does
    /// not fit together.
    pub fn held_back(&self) -> Option<&ConfigError> {
        self.held_back.as_ref()
    }

    /// The settings that the program has when this is carried out.
    pub fn settings(&self) -> &Settings {
        &self.next.settings
    }
}

impl Configuration {
    /// Loads the settings, and keeps the loader for later.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn load(mut loader: Loader) -> Result<Self, ConfigError> {
        let running = loader.clone().load()?;
        loader.require_files();
        Ok(Self::new(loader, running))
    }

    /// Settings that a program has made itself. They are not checked.
    pub fn of(settings: Settings) -> Self {
        let loader = Loader::new().code(&settings);
        let running = loader.clone().load_unchecked();
        Self::new(loader, running)
    }

    fn new(loader: Loader, running: Loaded) -> Self {
        let wanted = running.clone();
        Configuration { loader, overrides: Overrides::new(), running, wanted, fixed: BTreeSet::new() }
    }

    /// A key that this program cannot take up while it runs, though others can.
    pub fn fix(&mut self, key: &str) {
        self.fixed.insert(Key::parse(key).to_string());
    }

    /// Whether this program takes a change of the key up while it runs.
    pub fn is_live(&self, key: &str) -> bool {
        is_live(key) && !self.fixed.contains(key)
    }

    /// The settings that the program runs with, and where each is set.
    pub fn running(&self) -> &Loaded {
        &self.running
    }

    /// What is another in the sources than in the running program, and needs a restart.
    pub fn waiting(&self) -> Vec<Change> {
        self.running.changes_to(&self.wanted)
    }

    /// The files that are read, whether they are there or not.
    pub fn files(&self) -> Vec<PathBuf> {
        self.loader.files_read().to_vec()
    }

    /// Reads the sources again. It blocks on the files.
    ///
    /// # Errors
    /// As [`Loader::load`]; also when a file is gone that was there before.
    pub fn reread(&self) -> Result<Plan, ConfigError> {
        self.plan(self.overrides.clone())
    }

    /// Sets keys above all sources until the program ends, for `by`; `None` takes back what was set so. Values are as of
    /// environment variables. All of it or nothing. It reads the sources again, and blocks on the files.
    ///
    /// # Errors
    /// A key that there is not, that needs a restart, or of a queue that there is not; and as [`reread`](Self::reread).
    pub fn set<K: AsRef<str>, V: AsRef<str>>(
        &self,
        changes: impl IntoIterator<Item = (K, Option<V>)>,
        by: &str,
    ) -> Result<Plan, ConfigError> {
        let by: Arc<str> = Arc::from(by);
        let mut overrides = self.overrides.clone();
        let mut problems = Problems::default();
        for (key, value) in changes {
            let key = Key::parse(key.as_ref());
            if let Some(problem) = self.refuses(&key) {
                problems.push(|| problem.with_source(Source::Request { by: by.clone() }));
                continue;
            }
            match value {
                Some(value) => drop(overrides.insert(key, (value.as_ref().to_owned(), by.clone()))),
                None => drop(overrides.remove(&key)),
            }
        }
        problems.finish()?;
        let plan = self.plan(overrides)?;
        match plan.held_back {
            Some(error) => Err(error),
            None => Ok(plan),
        }
    }

    /// Whether these keys can be set while the program runs.
    ///
    /// # Errors
    /// Each that cannot, with the reason.
    pub fn check_keys<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        for key in keys {
            let key = Key::parse(key.as_ref());
            if !is_live(&key.to_string()) {
                problems.push(|| needs_restart(&key));
            }
        }
        problems.finish()
    }

    /// The program runs with this from now on.
    pub fn commit(&mut self, plan: Plan) {
        let Plan { next, wanted, overrides, .. } = plan;
        (self.running, self.wanted, self.overrides) = (next, wanted, overrides);
        self.loader.require_files();
    }

    /// Why a key cannot be set while the program runs.
    fn refuses(&self, key: &Key) -> Option<Problem> {
        if !self.is_live(&key.to_string()) {
            return Some(needs_restart(key));
        }
        match key.segments()[..] {
            [QUEUES, name, _] if !self.running.settings.queues.contains_key(name) => {
                let known: Vec<_> = self.running.settings.queues.keys().map(String::as_str).collect();
                let problem =
                    Problem::new(format!("there is no queue \"{name}\" here")).with_key(key.to_string());
                Some(problem.with_help(format!(
                    "help: there are: {}; a new queue needs a table in the configuration, and a restart",
                    known.join(", ")
                )))
            }
            _ => None,
        }
    }

    fn plan(&self, overrides: Overrides) -> Result<Plan, ConfigError> {
        let mut loader = self.loader.clone();
        for (key, (value, by)) in &overrides {
            loader.add_override(key, value, by);
        }
        let (wanted, layers) = loader.load_with_layers()?;
        let mut changes = self.running.changes_to(&wanted);
        changes.iter_mut().for_each(|change| change.live = self.is_live(&change.key));
        let (applied, waiting): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.live);
        let taken = applied.iter().map(|change| change.key.clone()).collect();
        let next = self.running.with(&wanted, &taken);
        // What waits for a restart is as it was: the rest must fit to that, too.
        let mut problems = Problems::default();
        if !applied.is_empty() && !waiting.is_empty() {
            crate::rules::check(&next.settings, &layers, &BTreeSet::new(), &mut problems);
        }
        Ok(match problems.finish() {
            Ok(()) => Plan { applied, waiting, held_back: None, next, wanted, overrides },
            Err(error) => {
                let waiting = applied.into_iter().chain(waiting).collect();
                let next = self.running.clone();
                Plan { applied: Vec::new(), waiting, held_back: Some(error), next, wanted, overrides }
            }
        })
    }
}

/// A key that cannot be set while the program runs, or that there is not.
fn needs_restart(key: &Key) -> Problem {
    let unknown = crate::layers::Layers::unknown_key(key);
    unknown.unwrap_or_else(|| {
        let shown = key.to_string();
        let problem = Problem::new(format!("`{shown}` needs a restart")).with_key(shown);
        let own = match key.segments()[..] {
            [QUEUE_DEFAULTS | QUEUES, ..] => {
                "of a queue, its numbers (concurrency, max_backlog, max_payload, max_restarts, restart_period) and what pauses it \
                 (pause_after_crashes, crash_period, crash_kinds) are taken up at once"
            }
            _ => "docs/configuration.md says what is taken up at once",
        };
        problem.with_help(format!(
            "help: set it in the configuration file or the environment, and restart the program; {own}"
        ))
    })
}
