//! Trouble by chance.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use callboard_supervisors::ActorRef;

use crate::{
    asking::runtime,
    random::Random,
    tree::{Forest, Slot},
    worker::{Break, BreakStarts, Echo, Leave, Place, Worker},
};

/// Between two deeds of one thread.
const PAUSE: Duration = Duration::from_millis(3);

/// What was done, by kind.
#[derive(Default)]
pub(crate) struct Deeds {
    pub(crate) panics: u64,
    pub(crate) kills: u64,
    pub(crate) restarts: u64,
    pub(crate) bad_starts: u64,
    pub(crate) replaced: u64,
    pub(crate) refused_starts: u64,
    pub(crate) suspended: u64,
    pub(crate) shaken: u64,
}

impl Deeds {
    pub(crate) fn add(&mut self, other: &Deeds) {
        self.panics += other.panics;
        self.kills += other.kills;
        self.restarts += other.restarts;
        self.bad_starts += other.bad_starts;
        self.replaced += other.replaced;
        self.refused_starts += other.refused_starts;
        self.suspended += other.suspended;
        self.shaken += other.shaken;
    }
}

/// Each actor breaks once while messages wait: from then on each has a crash that is remembered, a mailbox that has grown,
/// and the memory for both. Slower than the runtime captures backtraces.
pub(crate) fn warm_up(over: &AtomicBool, forest: &Forest, part: usize, parts: usize) {
    let slots: Vec<_> = forest.slots.iter().filter(|slot| slot.comes_back()).map(Slot::actor).collect();
    let actors: Vec<_> = forest.permanent.iter().chain(&slots).skip(part).step_by(parts).collect();
    for few in actors.chunks(4) {
        if over.load(Relaxed) {
            return;
        }
        for actor in few {
            // One that is gone needs no warming.
            let _ = actor.tell(Break(Place::AfterAwait));
            (0..12).for_each(|n| drop(actor.tell(Echo(n))));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn until(over: &AtomicBool, forest: &Forest, seed: u64) -> Deeds {
    let mut random = Random::new(seed);
    let mut deeds = Deeds::default();
    runtime().block_on(async {
        let mut suspended: Option<ActorRef<Worker>> = None;
        while !over.load(Relaxed) {
            tokio::time::sleep(PAUSE).await;
            if let Some(actor) = suspended.take() {
                actor.resume();
            }
            let actor = any(forest, &mut random);
            match random.below(1000) {
                0..500 => {
                    let place = Place::ALL[random.below(Place::ALL.len())];
                    // One that has ended, or is full, is left alone.
                    deeds.panics += u64::from(actor.tell(Break(place)).is_ok());
                }
                500..650 => {
                    actor.kill();
                    deeds.kills += 1;
                }
                650..720 => {
                    actor.restart();
                    deeds.restarts += 1;
                }
                720..780 => {
                    deeds.bad_starts +=
                        u64::from(actor.tell(BreakStarts(1 + number(random.below(3)))).is_ok());
                }
                780..980 => replace(forest, &mut random, &mut deeds).await,
                980..995 => {
                    actor.suspend();
                    suspended = Some(actor);
                    deeds.suspended += 1;
                }
                _ => {
                    let twig = random.below(40);
                    forest.shake(random.below(20), (twig > 0).then_some(twig));
                    deeds.shaken += 1;
                }
            }
        }
        if let Some(actor) = suspended {
            actor.resume();
        }
    });
    deeds
}

fn number(small: usize) -> u32 {
    u32::try_from(small).unwrap_or(0)
}

fn any(forest: &Forest, random: &mut Random) -> ActorRef<Worker> {
    let n = random.below(forest.len());
    match forest.permanent.get(n) {
        Some(actor) => actor.clone(),
        None => forest.slots[n - forest.permanent.len()].actor(),
    }
}

/// Ends an actor that may end, in one way or another, and puts another one into its place.
async fn replace(forest: &Forest, random: &mut Random, deeds: &mut Deeds) {
    let slot = &forest.slots[random.below(forest.slots.len())];
    let old = slot.actor();
    match random.below(3) {
        0 => old.stop(),
        1 => drop(old.tell(Leave)),
        _ => drop(old.tell(Break(Place::BeforeAwait))),
    }
    // A transient child comes back after a panic, and is stopped then.
    old.stop();
    old.watch().await;
    // Now and then the first try fails to start.
    if random.below(4) == 0 {
        deeds.refused_starts += u64::from(forest.replace(slot, &old, 1).await.is_err());
    }
    if forest.replace(slot, &old, 0).await.is_ok() {
        deeds.replaced += 1;
    }
}
