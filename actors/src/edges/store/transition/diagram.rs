//! The state machine as `docs/job-semantics.md` draws it, compared with what the transitions do.

use std::{collections::BTreeMap, fs, time::Duration};

use callboard_contracts::JobState;

use super::{
    Changes,
    attempt::{finish, lose},
    control::{cancel, make_available, retry},
    enqueue::enqueue,
    tests::{JOB, LEASE, changes, error, new_job, now, row},
    unique::Holders,
};
use crate::edges::store::record::{AttemptEnd, NewJob};

const BEGIN: &str =
    "<!-- states: begin (UPDATE_DOCS=1 cargo nextest run -p callboard-actors state_machine) -->";
const END: &str = "<!-- states: end -->";

/// What leads from state to state; an end of an attempt that is not here does not compile.
fn label(end: &AttemptEnd, cancelled: bool) -> &'static str {
    match end {
        AttemptEnd::Completed { .. } => "completed",
        AttemptEnd::Failed { retry_at: Some(_), .. } if cancelled => "failed, and cancelled meanwhile",
        AttemptEnd::Failed { retry_at: Some(_), .. } => "failed",
        AttemptEnd::Failed { retry_at: None, .. } => "failed for good",
        AttemptEnd::Cancelled { .. } => "ended by its cancellation",
        AttemptEnd::Released => "handed back",
        AttemptEnd::Snoozed { .. } if cancelled => "wants to go on later, and cancelled meanwhile",
        AttemptEnd::Snoozed { .. } => "wants to go on later",
    }
}

type Edges = BTreeMap<(Option<JobState>, JobState), Vec<&'static str>>;

/// Applies a change to a job in each of these states, and notes where it leads.
fn try_all(
    edges: &mut Edges,
    states: &[JobState],
    label: &'static str,
    cancelled: bool,
    change: impl Fn(&mut Changes),
) {
    for state in states {
        let mut row = row(*state);
        row.cancel_requested_at = cancelled.then(now);
        let mut changes = changes(row);
        change(&mut changes);
        let to = changes.rows[&JOB].state;
        if to != *state {
            edges.entry((Some(*state), to)).or_default().push(label);
        }
    }
}

fn changed(changes: &mut Changes, change: impl Fn(&mut Changes, &mut super::JobRow)) {
    let mut row = changes.rows.remove(&JOB).unwrap();
    change(changes, &mut row);
    changes.rows.insert(JOB, row);
}

fn edges() -> Edges {
    use JobState::{Available, Executing, Pending, Retryable, Scheduled};
    let mut edges = Edges::new();
    let held = NewJob { held: Some("no handler".to_owned()), ..new_job(2) };
    let later = NewJob { scheduled_at: Some(now().saturating_add(Duration::from_secs(1))), ..new_job(3) };
    for (job, label) in [
        (&new_job(1), "submitted"),
        (&later, "submitted for later"),
        (&held, "submitted, and waits for a handler or for other steps"),
    ] {
        let stored = enqueue(&mut Changes::new(now()), &[job], BTreeMap::new(), &Holders::new(), |_, _| 0, 0);
        edges.entry((None, stored.accepted[0].1)).or_default().push(label);
    }
    let all = &JobState::ALL;
    // Which states these three look for is said by the backends' statements.
    edges.entry((Some(Available), Executing)).or_default().push("claimed");
    let free = |changes: &mut Changes| changed(changes, make_available);
    try_all(
        &mut edges,
        &[Pending],
        "somebody handles its type, or the steps before it have ended",
        false,
        free,
    );
    try_all(&mut edges, &[Scheduled, Retryable], "its time has come", false, free);
    try_all(&mut edges, all, "run now, by hand", false, |changes| drop(retry(changes, JOB, JOB)));
    try_all(&mut edges, all, "cancelled", false, |changes| drop(cancel(changes, JOB)));
    let again = AttemptEnd::Failed { error: error(), retry_at: Some(now()) };
    let ends = [
        (AttemptEnd::Completed { result: None }, false),
        (again.clone(), false),
        (AttemptEnd::Failed { error: error(), retry_at: None }, false),
        (again, true),
        (AttemptEnd::Cancelled { error: error() }, true),
        (AttemptEnd::Released, false),
        (AttemptEnd::Snoozed { until: now() }, false),
        (AttemptEnd::Snoozed { until: now() }, true),
    ];
    for (end, cancelled) in ends {
        let finished = |changes: &mut Changes| drop(finish(changes, LEASE, None, &end));
        try_all(&mut edges, all, label(&end, cancelled), cancelled, finished);
    }
    let lost = |changes: &mut Changes| changed(changes, |changes, row| lose(changes, row, &error(), 0));
    let last = |changes: &mut Changes| {
        changed(changes, |changes, row| {
            row.attempt = row.max_attempts;
            lose(changes, row, &error(), 0);
        });
    };
    let too_often = |changes: &mut Changes| {
        changed(changes, |changes, row| {
            (row.started_at, row.deaths) = (Some(now()), 2);
            lose(changes, row, &error(), 3);
        });
    };
    let quarantined = |changes: &mut Changes| {
        changed(changes, |_, row| row.deaths = 3);
        drop(retry(changes, JOB, JOB));
    };
    try_all(&mut edges, &[Pending], "run now, by hand, from quarantine", false, quarantined);
    try_all(&mut edges, &[Executing], "its node died too often", false, too_often);
    try_all(&mut edges, &[Executing], "its node died", false, lost);
    try_all(&mut edges, &[Executing], "its node died, and it was cancelled", true, lost);
    try_all(&mut edges, &[Executing], "its node died in its last attempt", false, last);
    edges
}

fn diagram() -> String {
    let mut text = "```mermaid\nstateDiagram-v2\n".to_owned();
    for ((from, to), labels) in edges() {
        let from = from.map_or("[*]", JobState::as_str);
        text.push_str(&format!("    {from} --> {to}: {}\n", labels.join(" / ")));
    }
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        text.push_str(&format!("    {state} --> [*]\n"));
    }
    text + "```"
}

#[test]
fn the_state_machine_is_drawn_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/job-semantics.md");
    let page = fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", diagram());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, wanted).unwrap();
    } else {
        assert_eq!(page, wanted, "UPDATE_DOCS=1 writes it");
    }
}
