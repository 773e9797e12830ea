//! What differs between two sets of settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::key::Key;
use crate::live::is_live;
use crate::loader::Loaded;
use crate::reader::Effective;
use crate::schema::QUEUES;
use crate::source::Source;

/// A setting that is, or is to be, another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The key, such as `retention.completed`; `queues.NAME` for a queue that is new or gone.
    pub key: String,
    /// The value before, as TOML; none of a queue that is new. Secrets are masked.
    pub old: Option<String>,
    /// The value after, as TOML; none of a queue that is gone. Secrets are masked.
    pub new: Option<String>,
    /// Where the value after is set; none of a queue that is gone.
    pub source: Option<Source>,
    /// Whether a running program takes it up; else it needs a restart.
    pub live: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        write!(f, "{}: {} -> {}", self.key, value(&self.old), value(&self.new))?;
        if let Some(source) = &self.source {
            write!(f, " ({source})")?;
        }
        Ok(())
    }
}

impl Loaded {
    /// What is another in `wanted`, in the order of the keys. A queue that only one of them has is one change.
    pub fn changes_to(&self, wanted: &Loaded) -> Vec<Change> {
        let (before, after) = (by_key(self), by_key(wanted));
        let queues = |loaded: &Loaded| loaded.settings.queues.keys().cloned().collect::<BTreeSet<_>>();
        let (had, has) = (queues(self), queues(wanted));
        let both = |key: &str| queue_of(key).is_none_or(|queue| had.contains(&queue) && has.contains(&queue));
        let mut changes: Vec<Change> = before
            .iter()
            .filter(|(key, _)| both(key))
            .filter_map(|(key, old)| {
                let new = after.get(key)?;
                let change = || Change {
                    key: (*key).to_owned(),
                    old: Some(old.value.clone()),
                    new: Some(new.value.clone()),
                    source: Some(new.source.clone()),
                    live: is_live(key),
                };
                (!old.is_same(new)).then(change)
            })
            .collect();
        for queue in had.symmetric_difference(&has) {
            let of = |values: &BTreeMap<&str, &Effective>| {
                let own = values.iter().filter(|(key, _)| queue_of(key).as_deref() == Some(queue));
                own.map(|(key, value)| (Key::parse(key).0.pop().unwrap_or_default(), (*value).clone()))
                    .collect::<Vec<_>>()
            };
            let table = |values: &[(String, Effective)]| {
                let pairs: Vec<_> =
                    values.iter().map(|(name, value)| format!("{name} = {}", value.value)).collect();
                (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
            };
            let (old, new) = (of(&before), of(&after));
            // Where its own table says something, rather than where it takes something from.
            let own = new.iter().find(|(_, value)| value.source != Source::Default).or(new.first());
            changes.push(Change {
                key: Key::from([QUEUES, queue]).to_string(),
                old: table(&old),
                new: table(&new),
                source: own.map(|(_, value)| value.source.clone()),
                live: false,
            });
        }
        changes
    }

    /// These settings, with those of `wanted` that `taken` chooses. What is the same in both has the source that it has in
    /// `wanted`.
    pub(crate) fn with(&self, wanted: &Loaded, taken: &BTreeSet<String>) -> Loaded {
        let mut settings = self.settings.clone();
        settings.take(&wanted.settings, &mut |key| taken.contains(&key.to_string()));
        let after = by_key(wanted);
        let chosen = |own: &Effective| match after.get(own.key.as_str()) {
            Some(other) if taken.contains(&own.key) || own.is_same(other) => (*other).clone(),
            _ => own.clone(),
        };
        Loaded { settings, values: self.values.iter().map(chosen).collect() }
    }
}

fn by_key(loaded: &Loaded) -> BTreeMap<&str, &Effective> {
    loaded.values.iter().map(|value| (value.key.as_str(), value)).collect()
}

/// The queue that a key is of.
fn queue_of(key: &str) -> Option<String> {
    match Key::parse(key).segments()[..] {
        [QUEUES, name, ..] => Some(name.to_owned()),
        _ => None,
    }
}
