//! [`Kept`]: the settings of an app, which outlive the actor that changes them.

use std::sync::Arc;

use callboard_config::{Change, Configuration, Settings};
use callboard_contracts::api::{SettingChange, SettingsView};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{trail::Trail, view, watch::Stamp};

/// The settings of an app.
pub(crate) struct Kept {
    configuration: Mutex<Configuration>,
    running: watch::Sender<Arc<Settings>>,
    /// Why the sources could not be taken as they were when they were read last.
    problem: Mutex<Option<String>>,
    /// What the files were when they were read last.
    pub(super) read: Mutex<Option<Vec<Stamp>>>,
    /// What is to be written to the audit trail.
    pub(super) trail: Trail,
}

impl Kept {
    pub(crate) fn new(configuration: Configuration) -> Self {
        let running = Arc::new(configuration.running().settings.clone());
        Kept {
            configuration: Mutex::new(configuration),
            running: watch::Sender::new(running),
            problem: Mutex::new(None),
            read: Mutex::new(None),
            trail: Trail::default(),
        }
    }

    /// The settings that the app runs with.
    pub(crate) fn running(&self) -> Arc<Settings> {
        self.running.borrow().clone()
    }

    /// All of it, to be worked with elsewhere.
    pub(super) fn configuration(&self) -> Configuration {
        self.configuration.lock().clone()
    }

    /// The app runs with this from now on.
    pub(super) fn commit(&self, plan: callboard_config::Plan) {
        let settings = Arc::new(plan.settings().clone());
        self.configuration.lock().commit(plan);
        self.running.send_replace(settings);
    }

    /// Whether the problem is another one than before.
    pub(super) fn set_problem(&self, problem: Option<String>) -> bool {
        let mut kept = self.problem.lock();
        let changed = *kept != problem;
        *kept = problem;
        changed
    }

    /// How the settings are, for people.
    pub(crate) fn view(&self, node: &str) -> SettingsView {
        let configuration = self.configuration.lock();
        view::settings(node, &configuration, self.problem.lock().clone())
    }
}

/// Changes for people and programs.
pub(super) fn changes(changes: &[Change]) -> Vec<SettingChange> {
    changes.iter().map(view::change).collect()
}
