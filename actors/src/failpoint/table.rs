//! Every failpoint, in the order of a job's life.

/// A place where a test can have the process killed or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failpoint {
    /// What `CALLBOARD_FAILPOINTS` calls it.
    pub name: &'static str,
    /// The moment.
    pub moment: &'static str,
}

const fn at(name: &'static str, moment: &'static str) -> Failpoint {
    Failpoint { name, moment }
}

/// Every failpoint. `….commit.before` and `….commit.after` are around the commit of a transaction that makes such a change;
/// after it, nobody has heard of it yet.
pub const FAILPOINTS: &[Failpoint] = &[
    at("submit.received", "a submission is received, and nothing of it is checked"),
    at("enqueue.commit.before", "new jobs are written, and not committed"),
    at("enqueue.commit.after", "new jobs are committed"),
    at("submit.answer.before", "the submitter is about to be answered"),
    at("claim.begin", "a producer is about to claim"),
    at("claim.commit.before", "a claim is written, and not committed"),
    at("claim.commit.after", "a claim is committed, and its answer is not on its way"),
    at("claim.answered", "a claim's answer is there, and its jobs are on no board"),
    at("run.begin", "an attempt's actor is there, and its run has not begun"),
    at("start.commit.before", "the beginning of a run is written, and not committed"),
    at("start.commit.after", "the beginning of a run is committed"),
    at("run.before", "the job's own code is about to run"),
    at("run.during", "the job's own code waits for something"),
    at("command.running", "a `command` job's program has its request"),
    at("run.after", "the job's own code has ended, and nobody knows"),
    at("run.reported", "an attempt's outcome is queued, and not written"),
    at("complete.commit.before", "a completion is written, and not committed"),
    at("complete.commit.after", "a completion is committed"),
    at("outcomes.answered", "the store has acknowledged a batch of outcomes, and nobody has acted on it"),
    at("retry.commit.before", "a failed attempt and the time of the next one are written, and not committed"),
    at("retry.commit.after", "a failed attempt and the time of the next one are committed"),
    at("discard.commit.before", "the last failed attempt of a job is written, and not committed"),
    at("discard.commit.after", "the last failed attempt of a job is committed"),
    at("promote.commit.before", "jobs that are due are made available, and not committed"),
    at("promote.commit.after", "jobs that are due are available"),
    at("cancel.commit.before", "a cancellation of a running job is marked, and not committed"),
    at("cancel.commit.after", "a cancellation of a running job is marked, and the attempt is not told"),
    at("cancelled.commit.before", "the end of a cancelled attempt is written, and not committed"),
    at("cancelled.commit.after", "the end of a cancelled attempt is committed"),
    at("replay.commit.before", "a finished job's new run is written, and not committed"),
    at("replay.commit.after", "a finished job's new run is committed"),
    at("sequence.commit.before", "events are given their positions, and not committed (PostgreSQL)"),
    at("sequence.commit.after", "events have their positions, and nobody is told (PostgreSQL)"),
    at("session.open.commit.before", "a node's session is opened, and not committed"),
    at("session.open.commit.after", "a node's session is open, and the node does not know"),
    at("leader.taken", "a node has the leadership, and does not know"),
    at("session.renew", "a node is about to say that it lives"),
    at("session.renewed", "a session is renewed, and the node does not know"),
    at("rescue.commit.before", "a dead session's attempts are ended, and not committed"),
    at("rescue.commit.after", "a dead session's attempts are ended"),
    at("drain.begin", "an orderly stop has begun, and nothing is handed back"),
    at("release.commit.before", "attempts are handed back, and not committed"),
    at("release.commit.after", "attempts are handed back"),
    at("session.close.commit.before", "a session is closed, and not committed"),
    at("session.close.commit.after", "a session is closed"),
    at("prune.commit.before", "old jobs or events are deleted, and not committed"),
    at("prune.commit.after", "old jobs or events are deleted"),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Calls `each` with every source file of this package but this one.
    fn sources(folder: &Path, each: &mut impl FnMut(&str)) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, each);
            } else if !path.ends_with("failpoint/table.rs") {
                each(&fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn the_table_names_what_is_in_the_code() {
        let table: BTreeSet<&str> = FAILPOINTS.iter().map(|failpoint| failpoint.name).collect();
        assert_eq!(table.len(), FAILPOINTS.len(), "each name once");
        let (mut missing, mut unlisted) = (table.clone(), Vec::new());
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |text| {
            missing.retain(|name| !text.contains(&format!("\"{name}\"")));
            for call in ["failpoint!(\"", "failpoint::pending(\""] {
                let names = text.split(call).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
                unlisted.extend(names.filter(|name| !table.contains(name)).map(str::to_owned));
            }
        });
        assert_eq!(
            (missing, unlisted),
            (BTreeSet::new(), Vec::new()),
            "missing in the code, missing in the table"
        );
    }
}
