//! Whatever is ordered, in whatever order it is carried out: no message is handled twice or out of turn, nobody waits for
//! ever, and what was not stopped works in the end.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorRef, AskError, ChildSpec, Context, DynamicSupervisor, DynamicSupervisorSpec, Handler,
    MailboxSpec, Message, Overflow, PlainHandler, PoolSpec, Restart, Routing, Shutdown, StartError, State,
    Strategy, SupervisorSpec,
    testkit::{Fault, Faults, TestSystem, explore},
};

use crate::worker::{ms, steady};

/// What is done, as often as the odds say. `SplitMix64`, so that a seed of the order is one of the deeds, too.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((bits ^ (bits >> 31)) % u64::try_from(limit).expect("small")).expect("small")
    }

    /// From 1 on.
    fn nth(&mut self, last: usize) -> u64 {
        u64::try_from(self.below(last)).expect("small") + 1
    }
}

type Log = Arc<Mutex<Vec<u32>>>;

/// Writes down the numbers of the messages that it handles.
struct Clerk(Log);

impl Actor for Clerk {
    type Args = Log;
    async fn start(log: Log, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Clerk(log))
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    Plain,
    Waiting,
    Panicking,
    PanickingLate,
}

#[derive(Message)]
#[message(reply = u32)]
struct Entry(u32, How);

impl Handler<Entry> for Clerk {
    async fn handle(&mut self, Entry(number, how): Entry, _: &mut Context<Self>) -> u32 {
        self.0.lock().expect("no panic").push(number);
        match how {
            How::Plain => {}
            How::Waiting => tokio::time::sleep(ms(3)).await,
            How::Panicking => panic!("at once"),
            How::PanickingLate => {
                tokio::time::sleep(ms(2)).await;
                panic!("late")
            }
        }
        number
    }
}

#[derive(Message)]
struct Ping;

impl PlainHandler<Ping> for Clerk {
    type Reply = ();
    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}

struct Desk {
    clerk: ActorRef<Clerk>,
    log: Log,
    next: u32,
    stopped: bool,
    /// What its mailbox may hold beyond its capacity.
    spare: usize,
}

impl Desk {
    fn new(name: String, chance: &mut Chance) -> (ChildSpec<Clerk>, Self) {
        let log = Log::default();
        let overflows = [
            Overflow::Block(ms(5)),
            Overflow::Block(ms(1000)),
            Overflow::Reject,
            Overflow::DropNewest,
            Overflow::DropOldest,
        ];
        let overflow = overflows[chance.below(overflows.len())];
        let shutdowns = [Shutdown::default(), Shutdown::Timeout(ms(1)), Shutdown::Infinity, Shutdown::Brutal];
        let fault = [Fault::Panic, Fault::Delay(ms(4)), Fault::Drop][chance.below(3)];
        let faults = Faults::new().on::<Entry>(chance.nth(12), fault).on_start(1 + chance.nth(3));
        let spec = ChildSpec::<Clerk>::new(name, log.clone())
            .mailbox(MailboxSpec::bounded(1 + chance.below(6)).overflow(overflow))
            .shutdown(shutdowns[chance.below(shutdowns.len())])
            .faults(faults);
        let clerk = spec.actor_ref();
        let spare = usize::from(overflow == Overflow::DropOldest);
        (spec, Desk { clerk, spare, log, next: 0, stopped: false })
    }

    fn entry(&mut self, chance: &mut Chance) -> Entry {
        self.next += 1;
        let how = match chance.below(10) {
            0 => How::Panicking,
            1 => How::PanickingLate,
            2 | 3 => How::Waiting,
            _ => How::Plain,
        };
        Entry(self.next, how)
    }

    fn order(&mut self, chance: &mut Chance) {
        match chance.below(9) {
            0 | 1 => self.clerk.kill(),
            2 | 3 => self.clerk.restart(),
            4 | 5 => self.clerk.suspend(),
            6 | 7 => self.clerk.resume(),
            _ => {
                self.clerk.stop();
                self.stopped = true;
            }
        }
    }
}

async fn disorder(seed: u64) {
    let mut chance = Chance(seed);
    let strategy = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][chance.below(3)];
    let mut desks = Vec::new();
    let mut inner = SupervisorSpec::new("inner").strategy(strategy);
    for name in ["a", "b", "c"] {
        let (spec, desk) = Desk::new(name.to_owned(), &mut chance);
        inner = inner.child(spec);
        desks.push(desk);
    }
    let pool =
        DynamicSupervisorSpec::new("pool").intensity(budget(&mut chance), ms(1000)).backoff(steady(ms(2)));
    let handle = pool.handle();
    let inner = inner.dynamic(pool).intensity(budget(&mut chance), ms(1000)).backoff(steady(ms(2)));
    let root = SupervisorSpec::new("root").supervisor(inner).intensity(1000, ms(1000)).backoff(steady(ms(2)));
    let system = TestSystem::seeded(seed, root).await;
    let inner = system.root().child("inner").expect("it was declared");
    let mut asked = Vec::new();
    for step in 0..40 {
        let at = chance.below(desks.len());
        match chance.below(12) {
            0..=4 => {
                let entry = desks[at].entry(&mut chance);
                // What was stopped refuses.
                let _ = desks[at].clerk.tell(entry);
            }
            5 | 6 => {
                let (clerk, entry) = (desks[at].clerk.clone(), desks[at].entry(&mut chance));
                let limit = if chance.below(2) == 0 { ms(1) } else { Duration::from_secs(5) };
                let number = entry.0;
                asked.push(tokio::task::spawn_local(async move {
                    (number, clerk.ask_within(limit, entry).await)
                }));
                // Asks leave in the order of their numbers.
                system.settle().await;
            }
            7 | 8 => desks[at].order(&mut chance),
            9 if chance.below(4) == 0 => match chance.below(4) {
                0 => inner.suspend(),
                1 => inner.resume(),
                _ => inner.restart(),
            },
            9 => hire(&handle, &mut chance, &mut desks, step),
            10 => system.settle().await,
            _ => system.advance(ms(1)).await,
        }
        for Desk { clerk, spare, .. } in &desks {
            let seen = clerk.snapshot();
            assert!(seen.depth <= seen.capacity + spare, "`{}` holds {}", seen.path, seen.depth);
        }
    }
    // Else one that is under way in the supervisor would suspend them again.
    system.settle().await;
    for desk in &desks {
        desk.clerk.resume();
    }
    system.advance(Duration::from_secs(1)).await;
    for asked in asked {
        let (number, answer) = tokio::time::timeout(Duration::from_secs(10), asked)
            .await
            .expect("nobody waits for ever")
            .expect("no panic");
        assert!(answer.is_err() || answer == Ok(number), "{number}: {answer:?}");
    }
    for Desk { clerk, log, stopped, .. } in &desks {
        let log = log.lock().expect("no panic").clone();
        assert!(log.is_sorted_by(|one, next| one < next), "`{}` handled {log:?}", clerk.path());
        assert!(!(*stopped && clerk.is_alive()), "a stop is final: `{}`", clerk.path());
        if clerk.is_alive() {
            assert_eq!(
                (clerk.ask(Ping).await, clerk.state()),
                (Ok(()), State::Running),
                "`{}`",
                clerk.path()
            );
            system.settle().await;
            assert_eq!(clerk.snapshot().depth, 0, "`{}`", clerk.path());
        } else {
            assert_eq!(clerk.ask(Ping).await, Err(AskError::Stopped));
        }
    }
    assert_eq!(inner.state(), State::Running);
    let living = desks.iter().filter(|desk| desk.clerk.is_alive()).count();
    let listed = system.snapshot().root.walk().filter(|node| node.type_name.ends_with("Clerk")).count();
    assert_eq!(listed, living, "the tree has those that live, and no others");
    system.shutdown().await;
    assert!(desks.iter().all(|desk| !desk.clerk.is_alive()));
}

/// Few restarts, so that a supervisor gives up, or many.
fn budget(chance: &mut Chance) -> usize {
    [0, 1, 3, 1000][chance.below(4)]
}

fn hire(pool: &DynamicSupervisor, chance: &mut Chance, desks: &mut Vec<Desk>, step: usize) {
    let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][chance.below(3)];
    let (spec, desk) = Desk::new(format!("pool-{step}"), chance);
    // While the pool is down there is none.
    if pool.spawn_child(spec.restart(restart)).is_ok() {
        desks.push(desk);
    }
}

/// Its workers are ordered about, and its parts, and its size, in any order: in the end it has its workers and no others.
async fn disorder_of_a_pool(seed: u64) {
    let mut chance = Chance(seed);
    let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][chance.below(3)];
    let shutdown = [Shutdown::default(), Shutdown::Timeout(ms(1)), Shutdown::Brutal][chance.below(3)];
    let log = Log::default();
    let spec = PoolSpec::<Clerk>::new("pool", 1 + chance.below(4), log.clone())
        .worker(move |_, worker| {
            worker
                .restart(restart)
                .shutdown(shutdown)
                .mailbox(MailboxSpec::bounded(4).overflow(Overflow::Reject))
        })
        .backoff(steady(ms(2)))
        .drain(ms(5))
        .intensity(budget(&mut chance), ms(1000))
        .bounds(0..=6);
    let pool = spec.pool();
    let root = SupervisorSpec::new("root").pool(spec).intensity(1000, ms(1000)).backoff(steady(ms(2)));
    let system = TestSystem::seeded(seed, root).await;
    let (in_turn, keyed) = (
        pool.router::<Entry>(Routing::round_robin()),
        pool.router::<Entry>(Routing::consistent_hash(|Entry(number, _)| *number)),
    );
    let mut number = 0;
    for _ in 0..40 {
        let workers = pool.workers();
        match chance.below(12) {
            0..=3 => {
                number += 1;
                let how = [How::Plain, How::Waiting, How::Panicking, How::PanickingLate][chance.below(4)];
                // Nobody may be there, or have room.
                let _ = [&in_turn, &keyed][chance.below(2)].tell(Entry(number, how));
            }
            4 | 5 if !workers.is_empty() => {
                let worker = &workers[chance.below(workers.len())];
                match chance.below(4) {
                    0 => worker.stop(),
                    1 => worker.kill(),
                    2 => worker.restart(),
                    _ => worker.suspend(),
                }
            }
            6 | 7 => pool.resize(chance.below(7)).expect("within the bounds"),
            8 if chance.below(3) == 0 => {
                let part = ["pool", "pool/workers", "pool/keeper"][chance.below(3)];
                let part = system.root().child(part).expect("it is never stopped");
                if chance.below(3) == 0 { part.kill() } else { part.restart() }
            }
            9 => system.settle().await,
            _ => system.advance(ms(1)).await,
        }
    }
    system.settle().await;
    // What waits there may be the end of some.
    system.root().child("pool/workers").expect("it is never stopped").resume();
    system.advance(Duration::from_secs(1)).await;
    tokio::time::timeout(Duration::from_secs(10), pool.filled()).await.expect("some day").expect("it runs");
    let names: Vec<String> = pool.workers().iter().map(|worker| worker.name().to_owned()).collect();
    assert_eq!(names, (0..pool.size()).map(|worker| worker.to_string()).collect::<Vec<_>>());
    system.advance(Duration::from_secs(1)).await;
    let listed = system.root().child("pool/workers").expect("it is there").snapshot().children;
    let listed: BTreeSet<_> = listed.into_iter().map(|worker| worker.id).collect();
    assert_eq!(listed, pool.workers().iter().map(ActorRef::id).collect(), "those who left are gone");
    for worker in pool.workers() {
        assert_eq!((worker.ask(Ping).await, worker.state()), (Ok(()), State::Running), "`{}`", worker.path());
    }
    let handled = log.lock().expect("no panic").clone();
    let once: BTreeSet<_> = handled.iter().collect();
    assert_eq!(once.len(), handled.len(), "nothing is handled twice: {handled:?}");
    system.shutdown().await;
}

#[test]
fn a_pool_has_its_workers_in_the_end_whatever_happens_to_them() {
    explore(0..150, disorder_of_a_pool);
}

#[test]
fn any_orders_in_any_order_leave_a_tree_that_works() {
    explore(0..150, disorder);
}
