//! Panics before an actor runs: in the clone of its arguments, and in its start.

use std::time::Duration;

use callboard_supervisors::{
    ActorSystem, AskError, ChildSpec, DynamicSupervisorSpec, MailboxSpec, Restart, StartChildError,
    StartSystemError, StopReason, SupervisorSpec,
};

use super::{
    Args, Place, Scene, Seen, Trigger, Victim, idle, observe, short,
    victim::{Count, Fuse},
};
use crate::worker::{Worker, local, ms, steady};

/// Each is a start that failed.
const STARTS: [Place; 5] =
    [Place::ArgsClone, Place::StartBefore, Place::StartAfter, Place::DropOfArgs, Place::StartErrorText];

#[test]
fn at_the_first_start_of_a_declared_child_fail_the_supervisor() {
    for place in STARTS {
        local(async {
            let fuse = Fuse::default();
            let sibling = ChildSpec::<Worker>::new("sibling", ());
            let victim = ChildSpec::<Victim>::new("victim", Args::new(&fuse));
            let (sibling_ref, victim_ref) = (sibling.actor_ref(), victim.actor_ref());
            fuse.light(&[place]);
            let root = SupervisorSpec::new("root").child(sibling).child(victim);
            let (system, asked) =
                tokio::join!(ActorSystem::builder("test").local().start(root), victim_ref.ask(Count));
            let Err(StartSystemError::RootFailed(StopReason::StartFailed(error))) = system else {
                panic!("{place:?}: {system:?}")
            };
            assert_eq!(error, format!("child `victim`: panicked: {place:?}"));
            assert_eq!(asked, Err(AskError::Stopped), "{place:?}");
            assert!(!sibling_ref.is_alive(), "what had started is stopped again");
            assert!(fuse.is_out(), "{place:?}");
        });
    }
}

#[test]
fn at_the_first_start_of_a_child_added_later_are_told_to_whoever_added_it() {
    for place in STARTS {
        local(async {
            let fuse = Fuse::default();
            let pool = DynamicSupervisorSpec::new("pool");
            let handle = pool.handle();
            let root = SupervisorSpec::new("root").dynamic(pool);
            let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
            let sibling =
                handle.start_child(ChildSpec::<Worker>::new("sibling", ())).await.expect("it starts");
            let spec = ChildSpec::<Victim>::new("victim", Args::new(&fuse));
            let victim = spec.actor_ref();
            fuse.light(&[place]);
            let (started, asked) = tokio::join!(handle.start_child(spec), victim.ask(Count));
            let Err(StartChildError::NotStarted(reason)) = started else { panic!("{place:?}: {started:?}") };
            assert_eq!((short(&reason), asked), (format!("{place:?}"), Err(AskError::Stopped)));
            assert_eq!(sibling.ask(crate::worker::Count).await, Ok((0, 1)));
            assert_eq!((handle.len(), handle.is_running()), (1, true), "nothing is left of it");
            let again = ChildSpec::<Victim>::new("victim", Args::new(&fuse));
            assert!(handle.start_child(again).await.is_ok(), "nor is its name taken");
            assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        });
    }
}

/// The queue waits for the first generation that starts.
#[test]
fn at_a_restart_cost_one_generation_more() {
    for place in STARTS {
        let expected = Seen {
            asker: None,
            in_flight: Err(AskError::Stopped),
            behind: Ok((2, 1)),
            exits: vec![(0, "killed".to_owned(), true, true), (1, format!("{place:?}"), true, true)],
            counted: 2,
            ..Seen::crash("")
        };
        assert_eq!(observe(&[place], Trigger::Kill), expected);
    }
}

/// A start error whose `Drop` panics is still the error that is told, and told of that generation only.
#[test]
fn in_the_drop_of_a_start_error_are_kept_in() {
    let expected = Seen {
        asker: None,
        in_flight: Err(AskError::Stopped),
        behind: Ok((2, 1)),
        exits: vec![
            (0, "killed".to_owned(), true, true),
            (1, "did not start: a bad error".to_owned(), true, true),
        ],
        counted: 2,
        panics: 0,
        ..Seen::nothing()
    };
    assert_eq!(observe(&[Place::DropOfStartError], Trigger::Kill), expected);
    local(async {
        let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
        let Scene { victim, fuse, .. } = &scene;
        fuse.light(&[Place::DropOfStartError]);
        victim.kill();
        idle().await;
        assert_eq!(victim.ask(Count).await, Ok((2, 1)));
        assert_eq!(scene.exits().await.len(), 2);
        victim.restart();
        idle().await;
        assert_eq!(victim.ask(Count).await, Ok((3, 1)));
        assert_eq!(scene.exits().await, [(2, "stopped in order".to_owned(), false, true)]);
        scene.end().await;
    });
}

/// The budget is spent by starts that fail as by any crash.
#[test]
fn at_every_restart_use_up_the_budget() {
    local(async {
        let fuse = Fuse::default();
        let spec = ChildSpec::<Victim>::new("victim", Args::new(&fuse));
        let victim = spec.actor_ref();
        let root = SupervisorSpec::new("root").intensity(3, Duration::from_secs(60)).backoff(steady(ms(1)));
        let system = ActorSystem::builder("test").local().start(root.child(spec)).await.expect("a system");
        fuse.light(&[Place::StartBefore; 3]);
        victim.kill();
        let StopReason::Escalated { child, reason } = system.terminated().await else {
            panic!("it escalates")
        };
        assert_eq!((child.as_str(), short(&reason)), ("victim", "StartBefore".to_owned()));
        assert_eq!((victim.snapshot().generation, victim.snapshot().panics), (3, 3));
        assert!(fuse.is_out());
    });
}
