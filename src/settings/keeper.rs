//! [`Keeper`]: changes the settings of a running app.

use std::{collections::BTreeMap, sync::Arc};

use callboard_actors::roles::{
    Condition, Conditions, Handles, RolesConfig,
    request::{ChangeSettings, GetSettings, Refusal, Signed, Who},
};
use callboard_config::{Change, ConfigError, Configuration, Plan, section_of};
use callboard_contracts::api::{FieldError, SettingsChanged, SettingsView};
use callboard_supervisors::{Actor, Context, Handler, Message, PlainHandler, StartError};

use super::{
    kept::{Kept, changes},
    trail, watch,
};
use crate::{assembly, keyring::keyring};

/// Settings that a request may name.
const MOST_SETTINGS: usize = 100;
/// Bytes of the value of one.
const MOST_BYTES: usize = 4096;

/// Writes another part of the log from now on.
pub(crate) type SetLogLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Why settings stay as they are.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The sources, or what was asked for, cannot be.
    #[error("{0}")]
    Config(ConfigError),
    /// It could not be carried out.
    #[error("{0}")]
    NotDone(String),
}

/// To the keeper: read the sources again, and take up what is another.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<SettingsChanged, SettingsError>)]
pub(crate) struct Reread {
    /// Whether to say nothing of it where nothing is another.
    pub(crate) quiet: bool,
}

/// Keeps the settings of a running app: reads them again when a file of them is another one, when it is told to, and with
/// what somebody sets; checks them as at the start; and gives what can change to the actors that work with it, one change
/// after the other. If anything is wrong, everything stays as it was.
pub(crate) struct Keeper(KeeperArgs);

/// What a [`Keeper`] is made from.
#[derive(Clone)]
pub(crate) struct KeeperArgs {
    pub(crate) kept: Arc<Kept>,
    pub(crate) handles: Handles,
    pub(crate) conditions: Conditions,
    pub(crate) log_level: Option<SetLogLevel>,
}

impl Actor for Keeper {
    type Args = KeeperArgs;

    async fn start(args: KeeperArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let path = cx.path();
        // A node works with the settings that it has, whatever its files say.
        args.conditions.make_optional(&path);
        args.conditions.set(&path, Condition::Ready);
        let files = args.kept.configuration().files();
        cx.spawn(watch::watch(args.kept.clone(), files, cx.myself().recipient()));
        cx.spawn(trail::write(args.kept.clone(), args.handles.clone()));
        Ok(Keeper(args))
    }
}

impl Handler<Reread> for Keeper {
    async fn handle(
        &mut self,
        Reread { quiet }: Reread,
        cx: &mut Context<Self>,
    ) -> Result<SettingsChanged, SettingsError> {
        let by = Who { name: format!("node {}", self.node()), role: None };
        let waited = self.0.kept.configuration().waiting();
        let plan = self.plan(|configuration| configuration.reread()).await;
        let done = match plan {
            Ok(plan) => self.carry_out(plan, &waited, &by).await,
            Err(error) => Err(error),
        };
        let (problem, condition) = match &done {
            Ok(changed) if !quiet && changed.applied.is_empty() => {
                tracing::info!(
                    "the configuration was read again: no setting is another one that can be taken up"
                );
                (None, Condition::Ready)
            }
            Ok(_) => (None, Condition::Ready),
            Err(error) => {
                let reason = error.to_string();
                let first = reason.lines().next().unwrap_or_default().to_owned();
                let condition = Condition::Degraded(format!("the settings stay as they were: {first}"));
                (Some(reason), condition)
            }
        };
        if self.0.kept.set_problem(problem.clone())
            && let Some(reason) = problem
        {
            tracing::error!(
                "the configuration cannot be taken up, and the settings stay as they were\n{reason}"
            );
        }
        self.0.conditions.set(&cx.path(), condition);
        done
    }
}

impl Handler<Signed<ChangeSettings>> for Keeper {
    async fn handle(
        &mut self,
        Signed { who, request }: Signed<ChangeSettings>,
        cx: &mut Context<Self>,
    ) -> Result<SettingsChanged, Refusal> {
        check_size(&request.settings)?;
        if let Some(key) = request.settings.keys().find(|key| is_about_keys(key)) {
            return Err(Refusal::Forbidden(format!("`{key}` {ONLY_IN_FILES}")));
        }
        let waited = self.0.kept.configuration().waiting();
        let (settings, by) = (request.settings, who.name.clone());
        let plan = self.plan(move |configuration| configuration.set(settings, &by)).await;
        let plan = plan.map_err(|error| refusal(&error))?;
        let changed = self.carry_out(plan, &waited, &who).await.map_err(|error| refusal(&error))?;
        // The sources were read for it, too.
        self.0.kept.set_problem(None);
        self.0.conditions.set(&cx.path(), Condition::Ready);
        Ok(changed)
    }
}

impl PlainHandler<GetSettings> for Keeper {
    type Reply = SettingsView;

    fn handle(&mut self, _: GetSettings, _: &mut Context<Self>) -> SettingsView {
        self.0.kept.view(&self.node())
    }
}

impl Keeper {
    fn node(&self) -> String {
        self.0.handles.node_name().to_owned()
    }

    /// Reads the sources, on a thread that may block.
    async fn plan(
        &self,
        make: impl FnOnce(&Configuration) -> Result<Plan, ConfigError> + Send + 'static,
    ) -> Result<Plan, SettingsError> {
        let configuration = self.0.kept.configuration();
        match tokio::task::spawn_blocking(move || make(&configuration)).await {
            Ok(plan) => plan.map_err(SettingsError::Config),
            Err(_) => {
                Err(SettingsError::NotDone("the settings could not be read: the node stops".to_owned()))
            }
        }
    }

    /// Gives what can change to those that work with it. `waited`: what waited for a restart before.
    async fn carry_out(
        &self,
        plan: Plan,
        waited: &[Change],
        by: &Who,
    ) -> Result<SettingsChanged, SettingsError> {
        let KeeperArgs { kept, handles, log_level, .. } = &self.0;
        let before = kept.running().log.level.clone();
        let level = &plan.settings().log.level;
        let set_level = |level: &str| match log_level {
            Some(set) => set(level).map_err(SettingsError::NotDone),
            None => Err(SettingsError::NotDone("this program does not let its log be changed".to_owned())),
        };
        if *level != before {
            set_level(level)?;
        }
        // A key's file may be another one though the settings that name it are the same.
        let settings = plan.settings().clone();
        let keys = tokio::task::spawn_blocking(move || keyring(&settings)).await;
        let keys = keys.map_err(|_| "the keys could not be read: the node stops".to_owned());
        let retuned = match keys.and_then(|keys| keys.map_err(|error| error.to_string())) {
            Ok(keys) if plan.applied().is_empty() && handles.has_keys(&keys) => Ok(Vec::new()),
            Ok(keys) => {
                if !handles.has_keys(&keys) {
                    tracing::info!(keys = ?keys, by = by.name, "the keys of payloads are read anew");
                }
                let config = RolesConfig { keys, ..assembly::roles(plan.settings()) };
                handles.retune(&config).await.map_err(|error| error.to_string())
            }
            Err(problem) => Err(problem),
        };
        let late = match retuned {
            Ok(late) => late,
            Err(error) => {
                if *level != before {
                    set_level(&before)?;
                }
                return Err(SettingsError::NotDone(error));
            }
        };
        let (applied, waiting) = (plan.applied().to_vec(), plan.waiting().to_vec());
        let held_back = plan.held_back().cloned();
        kept.commit(plan);
        for change in &applied {
            let Change { key, old, new, source, .. } = change;
            let source = source.as_ref().map(ToString::to_string);
            tracing::info!(key, old, new, source, by = by.name, "a setting is another one from now on");
            kept.trail.note(change, &by.name, by.role.as_deref());
        }
        // It may only have moved in its file.
        let is_new = |change: &&Change| {
            let same = |other: &Change| {
                (&other.key, &other.old, &other.new) == (&change.key, &change.old, &change.new)
            };
            !waited.iter().any(same)
        };
        for change in waiting.iter().filter(is_new) {
            tracing::warn!(change = %change, "this change of the settings needs a restart");
        }
        match held_back {
            Some(error) => Err(SettingsError::NotDone(format!(
                "nothing is taken up before a restart, since what can change at once does not fit to what cannot:\n{error}"
            ))),
            None => Ok(SettingsChanged { applied: changes(&applied), waiting: changes(&waiting), late }),
        }
    }
}

/// Who may operate jobs is not to switch their encryption off.
const ONLY_IN_FILES: &str =
    "is changed in the node's own configuration alone, which a running node reads again";

fn is_about_keys(key: &str) -> bool {
    section_of(key) == "encryption"
}

/// Whether settings of these keys can be set while a program runs.
pub(crate) fn check_keys(keys: &[&str]) -> Result<(), String> {
    if let Some(key) = keys.iter().find(|key| is_about_keys(key)) {
        return Err(format!("`{key}` {ONLY_IN_FILES}"));
    }
    Configuration::check_keys(keys).map_err(|error| error.to_string())
}

fn check_size(settings: &BTreeMap<String, Option<String>>) -> Result<(), Refusal> {
    let wrong =
        |pointer: String, message: String| Err(Refusal::Invalid(vec![FieldError { pointer, message }]));
    if settings.is_empty() || settings.len() > MOST_SETTINGS {
        return wrong(String::new(), format!("1 to {MOST_SETTINGS} settings are needed"));
    }
    match settings.iter().find(|(_, value)| value.as_ref().is_some_and(|value| value.len() > MOST_BYTES)) {
        Some((key, _)) => wrong(format!("/{key}"), format!("at most {MOST_BYTES} bytes are taken")),
        None => Ok(()),
    }
}

fn refusal(error: &SettingsError) -> Refusal {
    let one = |pointer: String, message: String| FieldError { pointer, message };
    let errors = match error {
        SettingsError::Config(error) => error
            .problems()
            .iter()
            .map(|problem| {
                one(problem.key().map(|key| format!("/{key}")).unwrap_or_default(), problem.to_string())
            })
            .collect(),
        SettingsError::NotDone(reason) => vec![one(String::new(), reason.clone())],
    };
    Refusal::Invalid(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_encryption_are_refused_however_they_are_written() {
        for key in [
            "encryption.current",
            "\"encryption\".current",
            "'encryption'.keys",
            "en\"cryp\"tion.current",
            "'e'ncryption.\"keys\"",
            "encryption\"\".current",
            "encryption",
        ] {
            let refused = check_keys(&["log.level", key]).unwrap_err();
            assert!(is_about_keys(key) && refused.contains("own configuration alone"), "{key}: {refused}");
        }
        for key in ["log.level", "queues.encryption.concurrency", "\"encryption.x\".concurrency"] {
            assert!(!is_about_keys(key), "{key}");
        }
    }
}
