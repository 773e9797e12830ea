//! The jobs that run while something dies.

use std::{fs, path::Path};

use serde_json::{Value, json};
use uuid::Uuid;

/// What a job does, and so how it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Does nothing, inside the server.
    Noop,
    /// Succeeds.
    Plain,
    /// Fails at its first attempt, and succeeds at the next.
    Flaky,
    /// Fails, and has one attempt.
    Dead,
    /// Runs until the gate is open.
    Gated,
    /// Runs until it is cancelled.
    Endless,
}

impl Kind {
    /// The state in which such a job ends.
    pub(super) fn end(self) -> &'static str {
        match self {
            Kind::Noop | Kind::Plain | Kind::Flaky | Kind::Gated => "completed",
            Kind::Dead => "discarded",
            Kind::Endless => "cancelled",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Noop => "noop",
            Kind::Plain => "plain",
            Kind::Flaky => "flaky",
            Kind::Dead => "dead",
            Kind::Gated => "gated",
            Kind::Endless => "endless",
        }
    }
}

/// Each run leaves a line in a file before it does anything else: the effect that nobody can take back.
const PROGRAM: &str = r#"
echo "$CALLBOARD_JOB_ID $CALLBOARD_ATTEMPT" >> "$1/effects"
case "$2" in
    flaky) [ "$CALLBOARD_ATTEMPT" -gt 1 ] ;;
    dead) exit 1 ;;
    gated) until [ -e "$1/gate" ]; do sleep 0.05; done ;;
    endless) exec sleep 600 ;;
esac
"#;

#[derive(Clone, Copy, Debug)]
pub(super) struct LoadJob {
    pub(super) id: Uuid,
    pub(super) kind: Kind,
}

/// Jobs that are submitted together.
pub(super) fn part() -> Vec<LoadJob> {
    let kinds = [
        (Kind::Endless, 1),
        (Kind::Gated, 1),
        (Kind::Dead, 1),
        (Kind::Flaky, 2),
        (Kind::Plain, 4),
        (Kind::Noop, 6),
    ];
    let jobs = kinds.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
    jobs.map(|kind| LoadJob { id: Uuid::now_v7(), kind }).collect()
}

/// A request with these jobs.
pub(super) fn request(jobs: &[LoadJob], folder: &Path) -> String {
    let job = |job: &LoadJob| match job.kind {
        Kind::Noop => json!({ "id": job.id, "type": "noop", "max_attempts": 50 }),
        kind => json!({
            "id": job.id, "type": "command", "max_attempts": if kind == Kind::Dead { 1 } else { 50 },
            "payload": { "program": "sh", "args": ["-c", PROGRAM, "sh", folder, kind.word()] },
        }),
    };
    json!({ "jobs": jobs.iter().map(job).collect::<Vec<Value>>() }).to_string()
}

pub(super) fn open_gate(folder: &Path) {
    fs::write(folder.join("gate"), "").expect("a file");
}

/// Every run that left its line: the job and the number of the attempt.
pub(crate) fn effects(folder: &Path) -> Vec<(Uuid, u64)> {
    let text = fs::read_to_string(folder.join("effects")).unwrap_or_default();
    let line = |line: &str| {
        let (id, attempt) = line.split_once(' ')?;
        Some((Uuid::try_parse(id).ok()?, attempt.parse().ok()?))
    };
    text.lines().map(|text| line(text).expect("a whole line")).collect()
}
