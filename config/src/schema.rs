//! The keys there are, as `default.toml` has them, and the nearest of them to one that is not.

use std::collections::BTreeMap;

use crate::document::{Member, Value};
use crate::key::Key;

/// The section whose tables have names of the user's choice.
pub(crate) const QUEUES: &str = "queues";
/// The section whose keys each table of [`QUEUES`] has.
pub(crate) const QUEUE_DEFAULTS: &str = "queue_defaults";

/// The sections and keys of `default.toml`.
pub(crate) struct Schema {
    sections: BTreeMap<String, Vec<String>>,
}

/// What a key is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A table of keys.
    Section,
    /// A key that takes a value.
    Setting,
    /// None of ours.
    Unknown,
}

impl Schema {
    /// Takes the keys from the tables of `default.toml`.
    pub(crate) fn new(defaults: &[Member]) -> Self {
        let sections = defaults
            .iter()
            .filter_map(|section| match &section.node.value {
                Value::Table(members) => {
                    let keys = members.iter().map(|member| member.key.clone()).collect();
                    Some((section.key.clone(), keys))
                }
                _ => None,
            })
            .collect();
        Self { sections }
    }

    /// Says what a key is.
    pub(crate) fn place(&self, key: &[&str]) -> Place {
        match key {
            [] => Place::Section,
            [section] if self.sections.contains_key(*section) => Place::Section,
            [QUEUES, _name] => Place::Section,
            [QUEUES, _name, key] if self.has(QUEUE_DEFAULTS, key) => Place::Setting,
            [section, key] if self.has(section, key) => Place::Setting,
            _ => Place::Unknown,
        }
    }

    /// The keys of a section: those of its table, or those of every queue.
    pub(crate) fn keys<'a>(&'a self, section: &[&str]) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = match section {
            [QUEUES, _name] => Some(QUEUE_DEFAULTS),
            [section] => Some(*section),
            _ => None,
        };
        name.and_then(|name| self.sections.get(name)).into_iter().flatten().map(String::as_str)
    }

    /// The known key that an unknown one was most likely meant to be.
    pub(crate) fn nearest(&self, unknown: &Key) -> Option<Key> {
        let segments = unknown.segments();
        let (last, parents) = segments.split_last()?;
        if parents.is_empty() {
            // A section misspelled, or a key that stands before the first section.
            if let Some(section) = nearest(last, self.sections.keys().map(String::as_str)) {
                return Some(Key::from([section]));
            }
            return self.elsewhere(last);
        }
        match self.place(parents) {
            Place::Section => {
                let near = nearest(last, self.keys(parents));
                near.map(|near| Key(parents.iter().map(|&parent| parent.to_owned()).collect()).join(near))
                    .or_else(|| self.elsewhere(last))
            }
            Place::Setting => None,
            Place::Unknown => {
                let (first, middle) = parents.split_first()?;
                let section = nearest(first, self.sections.keys().map(String::as_str));
                let corrected = section.map(|section| {
                    let mut corrected = vec![section];
                    corrected.extend(middle);
                    corrected
                });
                let near = corrected.and_then(|parents| {
                    let near = nearest(last, self.keys(&parents))?;
                    Some(Key(parents.iter().map(|&parent| parent.to_owned()).collect()).join(near))
                });
                near.or_else(|| self.elsewhere(last))
            }
        }
    }

    fn has(&self, section: &str, key: &str) -> bool {
        self.sections.get(section).is_some_and(|keys| keys.iter().any(|known| known == key))
    }

    /// The one section that has a key of exactly this name.
    fn elsewhere(&self, name: &str) -> Option<Key> {
        let mut found = self.sections.keys().filter(|section| self.has(section, name));
        match (found.next(), found.next()) {
            (Some(section), None) => Some(Key::from([section.as_str(), name])),
            _ => None,
        }
    }
}

/// The candidate that differs least from a word, if any is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any key: not a misspelling, and costly to compare.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().min(word.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(key: &str) -> Option<String> {
        let schema = Schema::new(&crate::defaults::members());
        schema.nearest(&Key::parse(key)).map(|key| key.to_string())
    }

    #[test]
    fn misspelled_keys_find_their_key() {
        for (wrong, right) in [
            ("web.lisen", "web.listen"),
            ("web.max-body", "web.max_body"),
            ("web.Listen", "web.listen"),
            ("wep.listen", "web.listen"),
            ("wep.lisen", "web.listen"),
            ("retension", "retention"),
            ("store.listen", "web.listen"),
            ("listen", "web.listen"),
            ("queues.mail.concurency", "queues.mail.concurrency"),
            ("queue.mail.concurrency", "queues.mail.concurrency"),
        ] {
            assert_eq!(near(wrong).as_deref(), Some(right), "{wrong}");
        }
    }

    #[test]
    fn keys_near_none_find_none() {
        for wrong in ["zzz", "web.colour_of_the_sky", "", "web.", "web.listen.port", "timeout"] {
            assert_eq!(near(wrong), None, "{wrong}");
        }
        assert_eq!(near(&"listen".repeat(100)), None);
    }
}
