//! A case on a database: three processes, of which the first is the victim and the others go on.

use std::{
    thread::{self, Scope},
    time::Instant,
};

use rustix::process::Signal;

use super::{
    asker, load,
    node::{Fault, Node},
    play::Way,
    scene::{STOPPED, Scene},
    verdict::{self, Row},
};

pub(super) fn play<'s>(scene: &'s Scene, scope: &'s Scope<'s, '_>) -> Result<Row, String> {
    let asker = || scope.spawn(|| asker::ask_for_everything(scene));
    let (asker, mut victim, mut others) = match scene.case.way() {
        // The first one leads, so that the victim does what only a leader does.
        Way::Jobs | Way::Retention => {
            let mut victim = scene.start(0, true);
            victim.serving()?;
            let others = vec![serving(scene, 1)?, serving(scene, 2)?];
            (asker(), victim, others)
        }
        Way::Drain => {
            let victim = scene.start(0, true);
            let asker = asker();
            // The victim alone has begun what it is to hand back.
            scene.under_way()?;
            let others = vec![serving(scene, 1)?, serving(scene, 2)?];
            victim.signal(Signal::TERM);
            (asker, victim, others)
        }
        Way::Newcomer => {
            let first = serving(scene, 1)?;
            let asker = asker();
            scene.under_way()?;
            (asker, scene.start(0, true), vec![first])
        }
        Way::AfterADeath => {
            let (_, mut first) = serving(scene, 1)?;
            let asker = asker();
            scene.under_way()?;
            let mut victim = scene.start(0, true);
            victim.serving()?;
            first.kill();
            (asker, victim, Vec::new())
        }
    };
    scene.strike(&mut victim)?;
    let struck = Instant::now();
    for number in [1, 2] {
        if !others.iter().any(|(there, _)| *there == number) {
            others.push(serving(scene, number)?);
        }
    }
    let mut orphans = 0;
    match scene.case.fault {
        Fault::Kill => orphans += scene.orphans_of(0, struck),
        // The fault is this very time.
        Fault::Stop => thread::sleep(STOPPED),
    }
    load::open_gate(scene.folder());
    let mut asked = asker.join().map_err(|_| "whoever asked has panicked".to_owned())??;
    // The others end everything, whatever the victim has held.
    scene.until_all_have_ended()?;
    let mut problems = Vec::new();
    if scene.case.fault == Fault::Stop {
        victim.signal(Signal::CONT);
        if scene.case.way() == Way::Drain {
            victim.end()?;
        } else {
            victim.serving()?;
            // It takes part in further work, and what it still has to say of the old is said when it has stopped.
            asked += asker::ask_for_more(scene)?;
            scene.until_all_have_ended()?;
            let (stopped, left) = scene.stop(0, &mut victim)?;
            problems.extend(stopped);
            orphans += left;
        }
    }
    let address = scene.bystander().ok_or("nobody is left")?;
    verdict::settle(address, &scene.log, |events| scene.all_have_ended(events))?;
    let mut row = verdict::judge(scene.case, address, &scene.log, &scene.jobs(), scene.folder())?;
    for (number, node) in &mut others {
        let (stopped, left) = scene.stop(*number, node)?;
        problems.extend(stopped);
        orphans += left;
    }
    row.problems.extend(problems);
    row.orphans = orphans;
    row.asked = asked;
    row.lives = scene.lives();
    row.stale = scene.stale_writes();
    Ok(row)
}

fn serving(scene: &Scene, number: usize) -> Result<(usize, Node), String> {
    let mut node = scene.start(number, false);
    node.serving()?;
    Ok((number, node))
}
