//! Which key does what. One table: keys are dispatched by it, and the footer and the help are made of it.

mod chord;
mod table;

use std::collections::BTreeMap;

pub use chord::{Chord, UnknownKey};
pub use table::{BINDINGS, Binding};

use crate::view::View;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leaves the console.
    Quit,
    /// Asks for everything again.
    Refresh,
    /// Opens the form for a new job.
    AddJob,
    /// Lists the web interfaces.
    Interfaces,
    /// Shows the keys.
    Help,
    /// Asks for a command.
    Command,
    /// Asks for a filter.
    Filter,
    /// Clears, closes, or goes up.
    Escape,
    /// Goes into what is selected.
    Enter,
    /// Goes to the view before this one.
    LastView,
    /// One place back.
    Back,
    /// One place ahead.
    Ahead,
    /// The next view.
    NextView,
    /// The view before.
    PreviousView,
    /// A view by its place in [`View::MAIN`].
    GoTo(usize),
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// Half a screen up.
    HalfUp,
    /// Half a screen down.
    HalfDown,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// To the first line.
    First,
    /// To the last line.
    Last,
    /// Sorts by the next column.
    SortNext,
    /// Sorts by the column before.
    SortPrevious,
    /// Sorts the other way round.
    SortReverse,
    /// Marks the selected row.
    Mark,
    /// Marks all rows.
    MarkAll,
    /// Holds what is shown.
    Freeze,
    /// Shows the last messages.
    Messages,
    /// Shows all there is to know.
    Describe,
    /// Shows it as JSON.
    Json,
    /// Copies its name.
    Copy,
    /// Runs it again.
    Retry,
    /// Calls it off.
    Cancel,
    /// Edits, and runs again.
    Edit,
    /// Shows what it says.
    Logs,
    /// Does the same with all that the server finds.
    Bulk,
    /// Compares it with a success.
    Compare,
    /// Breaks lines.
    Wrap,
    /// Shows times.
    Times,
    /// Follows the end.
    Follow,
    /// Pauses it.
    Pause,
    /// Lets it go on.
    Resume,
    /// Pauses it and waits until nothing runs.
    Drain,
    /// How many jobs run at once.
    Concurrency,
    /// How many jobs run at once on all nodes.
    Limit,
    /// Calls off all that waits.
    Purge,
    /// Folds a branch.
    Fold,
    /// Folds all branches.
    FoldAll,
    /// Restarts an actor.
    Restart,
    /// Suspends an actor.
    Suspend,
    /// Stops an actor.
    Stop,
    /// Deletes it.
    Delete,
    /// Lets the jobs of an edge wait.
    Trip,
    /// Changes a setting.
    Set,
    /// Takes a changed setting back.
    TakeBack,
}

/// Which keys are set: those of the table, but for what the configuration says.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    changed: BTreeMap<&'static str, Chord>,
}

/// Why keys cannot be set so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// There is no such thing to do.
    #[error("keys.{0}: there is nothing of this name; `callboard console --print-keys` lists the names")]
    Unknown(String),
    /// It is fixed.
    #[error("keys.{0}: N, U, R and Q mean the same everywhere and cannot be set to another key")]
    Fixed(String),
    /// The key cannot be read.
    #[error("keys.{0}: {1}")]
    Key(String, UnknownKey),
    /// Two things would be done by one key.
    #[error("keys.{0}: {1} does \"{2}\" there already")]
    Twice(String, Chord, &'static str),
}

impl Keys {
    /// The keys with these changes, by the names of the table.
    ///
    /// # Errors
    /// [`KeysError`] for what cannot be.
    pub fn with(changes: &BTreeMap<String, String>) -> Result<Self, KeysError> {
        let mut keys = Keys::default();
        for (name, key) in changes {
            let found = BINDINGS.iter().find(|binding| binding.name == name);
            let binding = found.ok_or_else(|| KeysError::Unknown(name.clone()))?;
            if binding.is_fixed() {
                return Err(KeysError::Fixed(name.clone()));
            }
            let chord: Chord = key.parse().map_err(|error| KeysError::Key(name.clone(), error))?;
            keys.changed.insert(binding.name, chord);
        }
        for name in keys.changed.keys() {
            let Some(binding) = BINDINGS.iter().find(|binding| binding.name == *name) else { continue };
            let chord = keys.of(binding)[0];
            let fixed = |other: &Binding| other.is_fixed() && other.keys.contains(&chord);
            let meets = |other: &&Binding| {
                other.name != *name
                    && keys.of(other).contains(&chord)
                    && (fixed(other) || other.views == binding.views)
            };
            if let Some(other) = BINDINGS.iter().find(meets) {
                return Err(KeysError::Twice((*name).to_owned(), chord, other.label));
            }
        }
        Ok(keys)
    }

    /// The keys of a binding.
    pub fn of<'k>(&'k self, binding: &'k Binding) -> &'k [Chord] {
        self.changed.get(binding.name).map_or(binding.keys, std::slice::from_ref)
    }

    /// What a key does in a view: what the view says first, then what holds everywhere.
    pub fn find(&self, view: View, chord: Chord) -> Option<&'static Binding> {
        let fits = |binding: &&Binding| self.of(binding).contains(&chord);
        let own = BINDINGS.iter().filter(|binding| binding.views.contains(&view)).find(fits);
        own.or_else(|| BINDINGS.iter().filter(|binding| binding.views.is_empty()).find(fits))
    }

    /// The keys that are valid in a view: those of the view, then those that hold everywhere.
    pub fn valid(&self, view: View) -> impl Iterator<Item = &'static Binding> {
        let own = BINDINGS.iter().filter(move |binding| binding.views.contains(&view));
        let hidden = move |binding: &&Binding| {
            let keys = self.of(binding);
            binding.views.is_empty()
                && keys
                    .iter()
                    .any(|key| self.find(view, *key).is_some_and(|found| found.name == binding.name))
        };
        own.chain(BINDINGS.iter().filter(hidden))
    }
}

#[cfg(test)]
mod tests;
