//! The kill matrix: at every failpoint of a job's life a process is killed, or stopped past its lease and continued. No
//! job may be lost, no recorded effect doubled; what an outside effect repeats is counted.
//!
//! The short form kills at every failpoint and stops at a few; `scripts/kill-matrix` plays all of it, and writes the table
//! in `docs/job-semantics.md` with `--update`.

mod load;
mod log;
mod node;
mod play;
mod table;
mod verdict;

use std::{env, sync::Mutex, thread};

use callboard_actors::FAILPOINTS;

use self::{
    node::Fault,
    play::{Case, play},
    verdict::Row,
};
use crate::checksums::Random;

/// Cases that are played at a time.
const AT_A_TIME: usize = 4;

/// Plays all cases, and gives their rows in the order of the cases.
fn play_all(cases: &[Case]) -> Vec<Row> {
    let next = Mutex::new(0..cases.len());
    let rows = Mutex::new(vec![None; cases.len()]);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().expect("no panic").next() else { return };
                    let row = play(cases[index]);
                    rows.lock().expect("no panic")[index] = Some(row);
                }
            });
        }
    });
    rows.into_inner().expect("no panic").into_iter().flatten().collect()
}

fn cases(random: &mut Random, fault: Fault, chosen: impl Fn(&str) -> bool) -> Vec<Case> {
    let failpoints = FAILPOINTS.iter().filter(|failpoint| chosen(failpoint.name));
    failpoints.map(|failpoint| Case { failpoint: *failpoint, fault, chance: random.below(1 << 32) }).collect()
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

#[test]
fn nothing_is_lost_by_a_kill_at_any_failpoint() {
    prove(&cases(&mut Random::seeded(), Fault::Kill, |_| true));
}

#[test]
fn nothing_is_lost_by_a_stop_past_the_lease() {
    const SOME: [&str; 5] = [
        "claim.commit.after",
        "run.during",
        "complete.commit.before",
        "session.renewed",
        "release.commit.before",
    ];
    prove(&cases(&mut Random::seeded(), Fault::Stop, |name| SOME.contains(&name)));
}

/// `KILL_MATRIX=run.` plays what begins so; `UPDATE_DOCS=1` writes the table.
#[test]
#[ignore = "a minute long: scripts/kill-matrix"]
fn the_whole_kill_matrix() {
    let only = env::var("KILL_MATRIX").unwrap_or_default();
    let chosen = |name: &str| name.starts_with(&only);
    let mut random = Random::seeded();
    let cases = [Fault::Kill, Fault::Stop].map(|fault| cases(&mut random, fault, chosen)).concat();
    let rows = prove(&cases);
    if env::var_os("UPDATE_DOCS").is_some() && only.is_empty() {
        table::update(&rows);
    }
}
