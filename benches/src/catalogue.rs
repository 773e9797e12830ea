//! All scenarios, who takes part, and the aims.

use crate::{
    harness::{
        Aim::{Above, Below, Times},
        Figure, OURS, Run, Scenario,
    },
    libraries::{Actix, Callboard, Kameo, Ractor, Tokio},
    scenarios::{crashes, fairness, latency, lives, memory, messages, overflow, sampling, shutdown, tracing},
};

const ACTIX: &str = "bare actix";
const RACTOR: &str = "ractor";
const KAMEO: &str = "kameo";
const TOKIO: &str = "tokio task";

const MESSAGE: &[Figure] = &[Figure { name: "", unit: "ns a message" }];
const ACTOR: &[Figure] = &[Figure { name: "", unit: "ns an actor" }];
const BYTES: &[Figure] = &[Figure { name: "", unit: "bytes an actor" }];
const MILLISECONDS: &[Figure] = &[Figure { name: "", unit: "ms" }];
const MICROSECONDS: &[Figure] = &[Figure { name: "", unit: "us" }];
const RESTART: &[Figure] = &[Figure { name: "", unit: "us an actor" }];
const WAITING: &[Figure] = &[Figure { name: "p50", unit: "us" }, Figure { name: "p99", unit: "us" }];
const LATENESS: &[Figure] = &[Figure { name: "p99", unit: "ms" }, Figure { name: "max", unit: "ms" }];

macro_rules! run {
    ($function:path) => {{
        let run: Run = || Box::pin(async { $function().await.into() });
        run
    }};
}

/// In the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    [messages(), lives(), crashes(), fairness(), costs()].into_iter().flatten().collect()
}

fn messages() -> Vec<Scenario> {
    vec![
        Scenario::new("tell, plain handler", MESSAGE)
            .with(OURS, run!(messages::tell::<Callboard>))
            .with(ACTIX, run!(messages::tell::<Actix>))
            .aim(0, Times(1.0))
            .with(RACTOR, run!(messages::tell::<Ractor>))
            .aim(0, Times(2.5))
            .with(KAMEO, run!(messages::tell::<Kameo>))
            .aim(0, Times(2.5))
            .with(TOKIO, run!(messages::tell::<Tokio>)),
        Scenario::new("tell, async handler ready at once", MESSAGE)
            .with(OURS, run!(messages::tell_ready::<Callboard>))
            .with(ACTIX, run!(messages::tell_ready::<Actix>))
            .aim(0, Times(1.0))
            .with(RACTOR, run!(messages::tell_ready::<Ractor>))
            .aim(0, Times(2.5))
            .with(KAMEO, run!(messages::tell_ready::<Kameo>))
            .aim(0, Times(2.5)),
        Scenario::new("tell, async handler pending once", MESSAGE)
            .with(OURS, run!(messages::tell_pending::<Callboard>))
            .with(ACTIX, run!(messages::tell_pending::<Actix>))
            .with(RACTOR, run!(messages::tell_pending::<Ractor>))
            .with(KAMEO, run!(messages::tell_pending::<Kameo>))
            .with(TOKIO, run!(messages::tell_pending::<Tokio>)),
        Scenario::new("ask, one after the other", MESSAGE)
            .with(OURS, run!(messages::ask::<Callboard>))
            .with(ACTIX, run!(messages::ask::<Actix>))
            .aim(0, Times(1.0 / 1.1))
            .with(RACTOR, run!(messages::ask::<Ractor>))
            .aim(0, Times(1.3))
            .with(KAMEO, run!(messages::ask::<Kameo>))
            .aim(0, Times(1.3))
            .with(TOKIO, run!(messages::ask::<Tokio>)),
        Scenario::new("ask beside 500,000 tells/s", WAITING)
            .with(OURS, run!(latency::ask_under_load::<Callboard>))
            .with(ACTIX, run!(latency::ask_under_load::<Actix>))
            .with(RACTOR, run!(latency::ask_under_load::<Ractor>))
            .with(KAMEO, run!(latency::ask_under_load::<Kameo>))
            .with(TOKIO, run!(latency::ask_under_load::<Tokio>)),
        Scenario::new("fan-in, 4 tasks, no bound", MESSAGE)
            .with(OURS, run!(messages::fan_in_tasks::<Callboard>))
            .with(ACTIX, run!(messages::fan_in_tasks::<Actix>))
            .with(RACTOR, run!(messages::fan_in_tasks::<Ractor>))
            .with(KAMEO, run!(messages::fan_in_tasks::<Kameo>))
            .with(TOKIO, run!(messages::fan_in_tasks::<Tokio>)),
        Scenario::new("fan-in, 4 tasks, bound 1024", MESSAGE)
            .with(OURS, run!(messages::fan_in_tasks_bounded::<Callboard>))
            .with(ACTIX, run!(messages::fan_in_tasks_bounded::<Actix>))
            .with(KAMEO, run!(messages::fan_in_tasks_bounded::<Kameo>))
            .with(TOKIO, run!(messages::fan_in_tasks_bounded::<Tokio>)),
        Scenario::new("fan-in, 4 threads, no bound", MESSAGE)
            .with(OURS, run!(messages::fan_in_threads::<Callboard>))
            .with(ACTIX, run!(messages::fan_in_threads::<Actix>))
            .with(RACTOR, run!(messages::fan_in_threads::<Ractor>))
            .with(KAMEO, run!(messages::fan_in_threads::<Kameo>))
            .with(TOKIO, run!(messages::fan_in_threads::<Tokio>)),
        Scenario::new("fan-in, 4 threads, bound 1024", MESSAGE)
            .with(OURS, run!(messages::fan_in_threads_bounded::<Callboard>))
            .with(ACTIX, run!(messages::fan_in_threads_bounded::<Actix>))
            .with(KAMEO, run!(messages::fan_in_threads_bounded::<Kameo>))
            .aim(0, Times(3.0))
            .with(TOKIO, run!(messages::fan_in_threads_bounded::<Tokio>))
            .aim(0, Times(1.0)),
        Scenario::new("ring of 1000 actors", MESSAGE)
            .with(OURS, run!(messages::ring::<Callboard>))
            .with(ACTIX, run!(messages::ring::<Actix>))
            .aim(0, Times(1.0 / 1.1))
            .with(RACTOR, run!(messages::ring::<Ractor>))
            .aim(0, Times(2.5))
            .with(KAMEO, run!(messages::ring::<Kameo>))
            .aim(0, Times(2.5))
            .with(TOKIO, run!(messages::ring::<Tokio>)),
    ]
}

fn lives() -> Vec<Scenario> {
    vec![
        Scenario::new("skynet, 1000 x 100", MILLISECONDS)
            .with(OURS, run!(lives::skynet::<Callboard>))
            .with(ACTIX, run!(lives::skynet::<Actix>))
            .with(RACTOR, run!(lives::skynet::<Ractor>))
            .with(KAMEO, run!(lives::skynet::<Kameo>))
            .with(TOKIO, run!(lives::skynet::<Tokio>)),
        Scenario::new("spawn", ACTOR)
            .with(OURS, run!(lives::spawn::<Callboard>))
            .with(ACTIX, run!(lives::spawn::<Actix>))
            .with(RACTOR, run!(lives::spawn::<Ractor>))
            .with(KAMEO, run!(lives::spawn::<Kameo>))
            .with(TOKIO, run!(lives::spawn::<Tokio>)),
        Scenario::new("spawn, tell, ask, stop, watch", ACTOR)
            .with(OURS, run!(lives::life::<Callboard>))
            .with(ACTIX, run!(lives::life::<Actix>))
            .aim(0, Times(1.0 / 1.4))
            .with(RACTOR, run!(lives::life::<Ractor>))
            .aim(0, Times(1.0))
            .with(KAMEO, run!(lives::life::<Kameo>))
            .aim(0, Times(1.0))
            .with(TOKIO, run!(lives::life::<Tokio>)),
        Scenario::new("resident memory of 100,000 idle actors", BYTES)
            .apart()
            .with(OURS, run!(memory::idle::<Callboard>))
            .aim(0, Below(1300.0))
            .with(ACTIX, run!(memory::idle::<Actix>))
            .with(RACTOR, run!(memory::idle::<Ractor>))
            .with(KAMEO, run!(memory::idle::<Kameo>))
            .with(TOKIO, run!(memory::idle::<Tokio>)),
        Scenario::new("shutdown of 100,000 actors, dynamic", MILLISECONDS)
            .with(OURS, run!(shutdown::together))
            .aim(0, Below(2000.0)),
        Scenario::new("shutdown of 100,000 actors, declared", MILLISECONDS)
            .with(OURS, run!(shutdown::in_order))
            .aim(0, Below(2000.0)),
    ]
}

fn crashes() -> Vec<Scenario> {
    vec![
        Scenario::new("panic to next reply", MICROSECONDS)
            .with(OURS, run!(crashes::callboard_next_reply))
            .aim(0, Below(20.0))
            .with(KAMEO, run!(crashes::kameo_next_reply)),
        Scenario::new("restart of 10,000 siblings, one_for_all", MILLISECONDS)
            .with(OURS, run!(crashes::one_for_all)),
        Scenario::new("20,000 actors restart at once", RESTART).with(OURS, run!(crashes::many)),
    ]
}

fn fairness() -> Vec<Scenario> {
    vec![
        Scenario::new("lateness of a task's 5 ms timer beside a flooded actor", LATENESS)
            .with(OURS, run!(fairness::beside::<Callboard>))
            .aim(1, Below(50.0))
            .with(ACTIX, run!(fairness::beside::<Actix>))
            .with(KAMEO, run!(fairness::beside::<Kameo>))
            .with(TOKIO, run!(fairness::beside::<Tokio>)),
        Scenario::new("lateness of an actor's 5 ms timer beside a flooded actor", LATENESS)
            .with(OURS, run!(fairness::neighbour))
            .aim(1, Below(50.0)),
        Scenario::new("lateness of a flooded actor's own 5 ms timer", LATENESS)
            .with(OURS, run!(fairness::own))
            .aim(1, Below(50.0)),
    ]
}

fn costs() -> Vec<Scenario> {
    vec![
        Scenario::new("tell into a mailbox with room, by policy", MESSAGE)
            .with("Reject", run!(overflow::reject_with_room))
            .with("Block", run!(overflow::block_with_room))
            .with("DropNewest", run!(overflow::drop_newest_with_room))
            .with("DropOldest", run!(overflow::drop_oldest_with_room)),
        Scenario::new("tell into a full mailbox, by policy", MESSAGE)
            .with("Reject", run!(overflow::reject_full))
            .with("Block", run!(overflow::block_full))
            .with("DropNewest", run!(overflow::drop_newest_full))
            .with("DropOldest", run!(overflow::drop_oldest_full)),
        Scenario::new("tell of a message with a key", MESSAGE)
            .with("new key", run!(overflow::new_keys))
            .with("waiting key", run!(overflow::waiting_key)),
        Scenario::new("tell, by sampling of handling times", MESSAGE)
            .with("none", run!(sampling::none))
            .with("one in 64", run!(sampling::one_in_64))
            .with("all", run!(sampling::all)),
        Scenario::new("tell, by subscriber for tracing", MESSAGE)
            .apart()
            .with("none", run!(tracing::none))
            .with("off", run!(tracing::off))
            .aim(0, Above(5.0, "none"))
            .with("trace", run!(tracing::trace)),
    ]
}
