//! Panics in the stop hook: what was ending has ended, and its queue fares as without the panic.

use callboard_supervisors::{AskError, MailboxSpec, Restart, State};

use super::{Place, Scene, Seen, Trigger, idle, observe, observe_restart, victim::Count};
use crate::worker::{self, local};

const HOOKS: [Place; 2] = [Place::StopBefore, Place::StopAfter];

fn exit(generation: u64, place: Place, restarting: bool) -> Vec<(u64, String, bool, bool)> {
    vec![(generation, format!("{place:?}"), true, restarting)]
}

#[test]
fn in_the_hook_of_one_that_is_stopped_for_good() {
    for place in HOOKS {
        let expected = Seen {
            asker: None,
            in_flight: Err(AskError::Panicked),
            behind: Err(AskError::Stopped),
            exits: exit(0, place, false),
            panics: 1,
            ..Seen::nothing()
        };
        assert_eq!(observe(&[place], Trigger::Stop), expected);
    }
}

#[test]
fn in_the_hook_of_one_that_stops_by_itself() {
    for place in HOOKS {
        let permanent = Seen { asker: Some(Ok(())), exits: exit(0, place, true), ..Seen::crash("") };
        assert_eq!(observe(&[place], Trigger::Leave), permanent);
        // It had its normal end before it; a panic while it says goodbye does not bring it back.
        let transient =
            Seen { behind: Err(AskError::Stopped), exits: exit(0, place, false), counted: 0, ..permanent };
        assert_eq!(observe_restart(Restart::Transient, &[place], Trigger::Leave), transient);
    }
}

#[test]
fn in_the_hook_of_one_that_is_restarted_by_hand() {
    for place in HOOKS {
        let expected = Seen { counted: 0, exits: exit(0, place, true), ..Seen::crash("").without_asker() };
        assert_eq!(observe(&[place], Trigger::Restart), expected);
        // Somebody wants the next generation, whatever the restart kind.
        assert_eq!(observe_restart(Restart::Transient, &[place], Trigger::Restart), expected);
        assert_eq!(observe_restart(Restart::Temporary, &[place], Trigger::Restart), expected);
    }
}

#[test]
fn in_the_hook_of_one_that_its_supervisor_stops() {
    for place in HOOKS {
        local(async {
            let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
            let Scene { system, victim, sibling, fuse, .. } = &scene;
            victim.ask(Count).await.expect("it answers");
            victim.suspend();
            victim.inspect().await.expect("it is there");
            fuse.light(&[place]);
            let part = system.root().child("part").expect("it is there");
            let behind = async {
                let behind = victim.ask(Count);
                let restart = async {
                    part.restart();
                    idle().await;
                    victim.resume();
                };
                tokio::join!(behind, restart).0
            };
            assert_eq!(behind.await, Ok((1, 1)), "it waited through the restart of its supervisor");
            assert_eq!(scene.exits().await, exit(0, place, false));
            assert_eq!(sibling.ask(worker::Count).await, Ok((1, 1)));
            let snapshot = system.snapshot();
            let root = snapshot.root.supervision.as_ref().expect("a supervisor");
            assert_eq!((root.recent_restarts, victim.state()), (0, State::Running));
            scene.end().await;
        });
    }
}

/// The last stop of all is clean, too.
#[test]
fn in_the_hook_at_the_shutdown_of_the_system() {
    for place in HOOKS {
        local(async {
            let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
            scene.fuse.light(&[place]);
            let victim = scene.victim.clone();
            scene.end().await;
            assert_eq!(super::short(&victim.watch().await), format!("{place:?}"));
        });
    }
}
