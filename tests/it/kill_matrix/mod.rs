//! The kill matrix: at every failpoint of a job's life a process is killed, or stopped past its lease and continued. No
//! job may be lost, no recorded effect doubled; what an outside effect repeats is counted.
//!
//! The short form kills at every failpoint on a file, at many among three processes on a database, and stops at a few;
//! `scripts/kill-matrix` plays all of it, and writes the table in `docs/job-semantics.md` with `--update`.

mod alone;
mod asker;
mod fleet;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod node;
mod play;
mod scene;
pub(crate) mod table;
mod verdict;

use std::{env, sync::Mutex, thread};

use callboard_actors::{FAILPOINTS, Failpoint};

use self::{
    node::Fault,
    play::{Backend, Case, Servers, play},
    verdict::Row,
};
use crate::checksums::Random;

/// Cases that are played at a time.
const AT_A_TIME: usize = 4;

/// Plays all cases, and gives their rows in the order of the cases.
fn play_all(cases: &[Case]) -> Vec<Row> {
    let next = Mutex::new(0..cases.len());
    let rows = Mutex::new(vec![None; cases.len()]);
    let servers = Servers::default();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().expect("no panic").next() else { return };
                    let row = play(cases[index], &servers);
                    rows.lock().expect("no panic")[index] = Some(row);
                }
            });
        }
    });
    rows.into_inner().expect("no panic").into_iter().flatten().collect()
}

fn cases(random: &mut Random, backend: Backend, fault: Fault, chosen: impl Fn(&str) -> bool) -> Vec<Case> {
    let there = |name: &str| backend == Backend::Postgres || !name.starts_with("sequence.");
    let failpoints = FAILPOINTS.iter().filter(|failpoint| there(failpoint.name) && chosen(failpoint.name));
    let case =
        |failpoint: &Failpoint| Case { backend, failpoint: *failpoint, fault, chance: random.below(1 << 32) };
    failpoints.map(case).collect()
}

/// Plays the cases, prints the table, and fails if anything was not as promised.
fn prove(cases: &[Case]) -> Vec<Row> {
    let rows = play_all(cases);
    println!("{}", table::markdown(&rows));
    let broken: Vec<&Row> = rows.iter().filter(|row| !row.holds()).collect();
    assert!(
        broken.is_empty() && rows.len() == cases.len(),
        "{} of {} cases: {broken:#?}",
        broken.len(),
        cases.len()
    );
    rows
}

/// The stops that the short form plays.
fn some(name: &str) -> bool {
    const SOME: [&str; 5] = [
        "claim.commit.after",
        "run.during",
        "complete.commit.before",
        "session.renewed",
        "release.commit.before",
    ];
    SOME.contains(&name)
}

#[test]
fn nothing_is_lost_by_a_kill_at_any_failpoint_on_a_file() {
    prove(&cases(&mut Random::seeded(), Backend::Sqlite, Fault::Kill, |_| true));
}

#[test]
fn nothing_is_lost_by_a_stop_past_the_lease_on_a_file() {
    prove(&cases(&mut Random::seeded(), Backend::Sqlite, Fault::Stop, some));
}

/// The kills that the short form plays among three processes, which take longer.
fn many(name: &str) -> bool {
    const MANY: [&str; 14] = [
        "enqueue.commit.after",
        "claim.commit.before",
        "claim.commit.after",
        "claim.answered",
        "run.during",
        "complete.commit.before",
        "complete.commit.after",
        "retry.commit.after",
        "promote.commit.before",
        "cancel.commit.after",
        "sequence.commit.before",
        "leader.taken",
        "rescue.commit.before",
        "release.commit.before",
    ];
    MANY.contains(&name)
}

#[test]
fn nothing_is_lost_by_a_kill_of_one_among_three() {
    prove(&cases(&mut Random::seeded(), Backend::Postgres, Fault::Kill, many));
}

#[test]
fn nothing_is_lost_by_a_stop_of_one_among_three() {
    prove(&cases(&mut Random::seeded(), Backend::Postgres, Fault::Stop, some));
}

/// `KILL_MATRIX=run.` plays what begins so, `KILL_MATRIX_BACKEND=sqlite` on that; `UPDATE_DOCS=1` writes the table.
#[test]
#[ignore = "minutes long: scripts/kill-matrix"]
fn the_whole_kill_matrix() {
    let only = env::var("KILL_MATRIX").unwrap_or_default();
    let backends = match env::var("KILL_MATRIX_BACKEND").as_deref() {
        Ok("sqlite") => vec![Backend::Sqlite],
        Ok("postgres") => vec![Backend::Postgres],
        _ => vec![Backend::Sqlite, Backend::Postgres],
    };
    let mut random = Random::seeded();
    let mut all = Vec::new();
    for backend in &backends {
        for fault in [Fault::Kill, Fault::Stop] {
            all.extend(cases(&mut random, *backend, fault, |name| name.starts_with(&only)));
        }
    }
    let rows = prove(&all);
    if env::var_os("UPDATE_DOCS").is_some() && only.is_empty() {
        table::update(&rows);
    }
}
