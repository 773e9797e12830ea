//! A case on a file: one process at a time.

use std::{
    thread::{self, Scope},
    time::Instant,
};

use rustix::process::Signal;

use super::{
    asker, load,
    node::{Addresses, Fault, Node},
    play::Way,
    scene::{STOPPED, Scene},
    verdict::{self, Row},
};
use crate::server::callboard;

pub(super) fn play<'s>(scene: &'s Scene, scope: &'s Scope<'s, '_>) -> Result<Row, String> {
    let way = scene.case.way();
    let second = matches!(way, Way::AfterADeath | Way::Newcomer);
    let mut node = scene.start(0, !second);
    let asker = scope.spawn(|| asker::ask_for_everything(scene));
    if second {
        scene.under_way()?;
        node.kill();
        node = scene.start(0, true);
    }
    if way == Way::Drain {
        scene.under_way()?;
        node.signal(Signal::TERM);
    }
    scene.strike(&mut node)?;
    let mut orphans = 0;
    match scene.case.fault {
        Fault::Kill => {
            orphans += scene.orphans_of(0, Instant::now());
            node = scene.start(0, false);
        }
        Fault::Stop => {
            stay_away(scene, &node)?;
            node.signal(Signal::CONT);
            if way == Way::Drain {
                node.end()?;
                node = scene.start(0, false);
            }
        }
    }
    load::open_gate(scene.folder());
    let asked = asker.join().map_err(|_| "whoever asked has panicked".to_owned())??;
    let address = node.serving()?;
    verdict::settle(address, &scene.log, |events| scene.all_have_ended(events))?;
    let mut row = verdict::judge(scene.case, address, &scene.log, &scene.jobs(), scene.folder())?;
    let (problems, left) = scene.stop(0, &mut node)?;
    row.problems.extend(problems);
    row.orphans = orphans + left;
    row.asked = asked;
    row.lives = scene.lives();
    row.stale = scene.stale_writes();
    Ok(row)
}

/// Passes the time for which a stopped process is away. Nobody else gets at its file meanwhile.
fn stay_away(scene: &Scene, node: &Node) -> Result<(), String> {
    let back = Instant::now() + STOPPED;
    let log = scene.folder().join("other.log");
    let mut command = callboard();
    command.args(["serve", "--data"]).arg(scene.data_of(0));
    let mut other = Node::start(0, &Addresses::default(), command, &log);
    let status = other.end()?;
    if status.success() || !other.log().contains(&format!("process {}", node.id())) {
        return Err(format!("another process on the file of a stopped one: {status}: {}", other.log()));
    }
    // The fault is this very time.
    thread::sleep(back.saturating_duration_since(Instant::now()));
    Ok(())
}
