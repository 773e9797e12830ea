//! Finds what cannot work before anything starts.

use std::collections::HashSet;

use crate::{
    error::SpecError,
    meta::{Kind, Place},
    supervisor::{AutoShutdown, Backoff, OnExhausted, Restart, child::Entry, strategy::Rules},
};

/// The first mistake in a supervisor's own settings.
pub(super) fn problem_of(rules: &Rules, max_children: Option<usize>) -> Option<String> {
    let Rules { period, backoff, .. } = rules;
    if period.is_zero() {
        return Some("the intensity's period must be longer than 0".into());
    }
    if max_children == Some(0) {
        return Some("`max_children` must be at least 1".into());
    }
    backoff_problem(backoff)
}

fn backoff_problem(backoff: &Backoff) -> Option<String> {
    let Backoff { min, max, factor, jitter, .. } = backoff;
    if min > max {
        return Some(format!("the backoff's min ({min:?}) must not be longer than its max ({max:?})"));
    }
    if !factor.is_finite() || *factor < 1.0 {
        return Some(format!("the backoff's factor must be at least 1, not {factor}"));
    }
    if !(0.0..=1.0).contains(jitter) {
        return Some(format!("the backoff's jitter must be from 0 to 1, not {jitter}"));
    }
    None
}

/// The first mistake in these children and all below them, as they would hang below `path`.
pub(super) fn check<'a>(
    path: &str,
    rules: &Rules,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<(), SpecError> {
    let mut names = HashSet::new();
    for entry in entries {
        let name = entry.node.meta().name();
        let path = || Place::join(path, name);
        check_one(path, entry)?;
        check_significant(path, rules, entry)?;
        if !names.insert(name.clone()) {
            let problem = "two children of one supervisor have this name".into();
            return Err(SpecError { path: path(), problem });
        }
    }
    Ok(())
}

/// An end that counts needs a child that can end, and a supervisor that counts it.
pub(super) fn check_significant(
    path: impl Fn() -> String,
    rules: &Rules,
    entry: &Entry,
) -> Result<(), SpecError> {
    if !entry.significant {
        return Ok(());
    }
    let problem = if entry.restart == Restart::Permanent {
        "a significant child must be transient or temporary: a permanent one never ends"
    } else if rules.auto_shutdown == AutoShutdown::Never {
        "a significant child needs a supervisor whose `auto_shutdown` is not `Never`"
    } else {
        return Ok(());
    };
    Err(SpecError { path: path(), problem: problem.into() })
}

/// The first mistake in this entry and all below it. Its path is made up only if it is needed.
pub(super) fn check_one(path: impl Fn() -> String, entry: &Entry) -> Result<(), SpecError> {
    let name = entry.node.meta().name();
    let problem = if name.is_empty() {
        Some("a name must not be empty".into())
    } else if name.contains('/') {
        Some("a name must not contain a `/`, which separates the names of a path".into())
    } else {
        entry.problem.clone()
    };
    match problem {
        Some(problem) => Err(SpecError { path: path(), problem }),
        None if entry.node.meta().kind() == Kind::Actor => Ok(()),
        None => entry.node.check_below(&path()),
    }
}

/// The pauses up to the last restart that the budget allows take longer than its period: the budget is never used up
/// by one child, so that `on_exhausted` never happens.
pub(super) fn is_unreachable(rules: &Rules) -> bool {
    rules.on_exhausted == OnExhausted::Escalate
        && rules.backoff.total(rules.intensity) > rules.period.as_secs_f64()
}
