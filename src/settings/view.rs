//! How settings are shown outside.

use callboard_config::{Change, Configuration};
use callboard_contracts::api::{SettingChange, SettingView, SettingsView};

pub(super) fn settings(node: &str, configuration: &Configuration, problem: Option<String>) -> SettingsView {
    let settings = configuration.running().sources().map(|value| SettingView {
        key: value.key.to_owned(),
        value: value.value.to_owned(),
        source: value.source.to_string(),
        live: configuration.is_live(value.key),
    });
    SettingsView {
        node: node.to_owned(),
        settings: settings.collect(),
        waiting: configuration.waiting().iter().map(change).collect(),
        problem,
    }
}

pub(super) fn change(change: &Change) -> SettingChange {
    SettingChange {
        key: change.key.clone(),
        old: change.old.clone(),
        new: change.new.clone(),
        source: change.source.as_ref().map(ToString::to_string),
    }
}
