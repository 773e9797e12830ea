//! Panics in the `Drop` of whatever the runtime clears away: they stay where they happen.

use std::sync::Arc;

use callboard_supervisors::{
    ActorSystem, AskError, ChildSpec, Context, MailboxSpec, Message, Overflow, PlainHandler, Restart,
    SendError, SupervisorSpec,
};

use super::{
    Args, Place, Scene, Seen, Trigger, Victim, idle, observe, observe_restart,
    victim::{Arm, Count, Fuse, Hold, PlainMessage, SlowMessage},
};
use crate::worker::{self, local, ms};

fn killed() -> Seen {
    Seen { in_flight: Err(AskError::Stopped), panics: 0, ..Seen::crash("killed").without_asker() }
}

fn stopped() -> Seen {
    Seen {
        asker: None,
        in_flight: Err(AskError::Stopped),
        behind: Err(AskError::Stopped),
        exits: vec![(0, "stopped in order".to_owned(), false, false)],
        ..Seen::nothing()
    }
}

#[test]
fn of_the_state_after_a_panic() {
    let plain = observe(&[Place::Plain, Place::DropOfState], Trigger::Plain);
    assert_eq!(plain, Seen::crash("Plain in PlainMessage"));
    // The state is in the future that panics, and is saved out of it.
    for place in [Place::AsyncBefore, Place::AsyncAfter] {
        let seen = observe(&[place, Place::DropOfState], Trigger::Async);
        assert_eq!(seen, Seen::crash(&format!("{place:?} in AsyncMessage")));
    }
    // As it is in the one of the stop hook.
    let hook = observe(&[Place::StopAfter, Place::DropOfState], Trigger::Leave);
    assert_eq!(hook, Seen { asker: Some(Ok(())), ..Seen::crash("StopAfter") });
}

#[test]
fn of_the_state_at_an_orderly_stop() {
    assert_eq!(observe(&[Place::DropOfState], Trigger::Stop), stopped());
    let restarted =
        Seen { counted: 0, exits: vec![(0, "stopped in order".to_owned(), false, true)], ..killed() };
    assert_eq!(observe(&[Place::DropOfState], Trigger::Restart), restarted);
    let left = Seen {
        behind: Err(AskError::Stopped),
        in_flight: Err(AskError::Stopped),
        exits: vec![(0, "stopped by itself".to_owned(), false, false)],
        ..Seen::nothing()
    };
    assert_eq!(observe_restart(Restart::Transient, &[Place::DropOfState], Trigger::Leave), left);
}

#[test]
fn of_the_state_at_a_kill() {
    assert_eq!(observe(&[Place::DropOfState], Trigger::Kill), killed());
}

/// The state is in the hands of a handler that waits.
#[test]
fn of_the_state_at_a_kill_in_the_middle_of_a_handler() {
    local(async {
        let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
        let Scene { victim, fuse, .. } = &scene;
        let kill = async {
            victim.inspect().await.expect("it is there");
            fuse.light(&[Place::DropOfState]);
            victim.kill();
        };
        let (held, behind, ()) = tokio::join!(victim.ask(Hold), victim.ask(Count), kill);
        assert_eq!((held, behind), (Err(AskError::Stopped), Ok((1, 1))));
        assert_eq!(scene.exits().await, [(0, "killed".to_owned(), true, true)]);
        scene.end().await;
    });
}

/// It is dropped in the handler: that is the handler's panic.
#[test]
fn of_a_message_at_the_end_of_its_handler() {
    let plain = observe(&[Place::DropOfMessage], Trigger::Plain);
    assert_eq!(plain, Seen::crash("DropOfMessage in PlainMessage"));
    let later = observe(&[Place::DropOfMessage], Trigger::Later);
    assert_eq!(later, Seen::crash("DropOfMessage in LaterMessage"));
    let asynchronous = observe(&[Place::DropOfMessage], Trigger::Async);
    assert_eq!(asynchronous, Seen::crash("DropOfMessage in AsyncMessage"));
}

/// A scene whose victim handles nothing, with room for 2 messages.
async fn small(overflow: Overflow) -> Scene {
    let scene = Scene::new(Restart::Permanent, MailboxSpec::bounded(2).overflow(overflow)).await;
    scene.victim.suspend();
    scene.victim.inspect().await.expect("it is there");
    scene
}

/// Nothing has happened to the victim.
async fn is_well(scene: &Scene, handled: u64) {
    scene.victim.resume();
    idle().await;
    assert_eq!(scene.victim.ask(Count).await, Ok((0, handled)));
    assert_eq!(scene.sibling.ask(worker::Count).await.map(|(generation, _)| generation), Ok(0));
    assert_eq!((scene.exits().await, scene.victim.snapshot().panics), (Vec::new(), 0));
}

#[test]
fn of_a_message_that_is_refused() {
    local(async {
        for overflow in [Overflow::Reject, Overflow::Block(ms(10)), Overflow::DropNewest] {
            let scene = small(overflow).await;
            let Scene { victim, fuse, .. } = &scene;
            for _ in 0..2 {
                victim.tell(Count).expect("room");
            }
            fuse.light(&[Place::DropOfMessage]);
            let expected = if overflow == Overflow::DropNewest { AskError::Refused } else { AskError::Full };
            assert_eq!(victim.ask(PlainMessage::new(fuse)).await.map(drop), Err(expected), "{overflow:?}");
            assert!(fuse.is_out(), "{overflow:?}");
            // By an address of its message only.
            fuse.light(&[Place::DropOfMessage]);
            let recipient = victim.recipient::<PlainMessage>();
            assert_eq!(recipient.ask(PlainMessage::new(fuse)).await.map(drop), Err(expected), "{overflow:?}");
            // What `tell` gives back is the caller's.
            match victim.tell(PlainMessage::new(fuse)) {
                Ok(()) => assert_eq!(overflow, Overflow::DropNewest),
                Err(refused) => assert!(matches!(refused, SendError::Full(_)), "{overflow:?}"),
            }
            is_well(&scene, 3).await;
            scene.end().await;
        }
    });
}

#[test]
fn of_a_message_that_is_displaced() {
    local(async {
        let scene = small(Overflow::DropOldest).await;
        let Scene { victim, fuse, .. } = &scene;
        fuse.light(&[Place::DropOfMessage]);
        let newer = async {
            while victim.snapshot().depth < 1 {
                tokio::task::yield_now().await;
            }
            for _ in 0..2 {
                victim.tell(Count).expect("it is taken, and the oldest one goes");
            }
        };
        let (displaced, ()) = tokio::join!(victim.ask(PlainMessage::new(fuse)), newer);
        assert_eq!(displaced.map(drop), Err(AskError::Evicted));
        is_well(&scene, 3).await;
        scene.end().await;
    });
}

#[test]
fn of_messages_that_wait_when_the_actor_is_gone() {
    local(async {
        let scene = small(Overflow::Reject).await;
        let Scene { victim, fuse, .. } = &scene;
        fuse.light(&[Place::DropOfMessage; 2]);
        let gone = async {
            while victim.snapshot().depth < 2 {
                tokio::task::yield_now().await;
            }
            victim.stop();
            victim.watch().await
        };
        let (first, second, _) =
            tokio::join!(victim.ask(PlainMessage::new(fuse)), victim.ask(PlainMessage::new(fuse)), gone);
        assert_eq!((first.map(drop), second.map(drop)), (Err(AskError::Stopped), Err(AskError::Stopped)));
        assert_eq!(scene.exits().await, [(0, "stopped in order".to_owned(), false, false)]);
        // One that comes too late.
        fuse.light(&[Place::DropOfMessage]);
        assert_eq!(victim.ask(PlainMessage::new(fuse)).await.map(drop), Err(AskError::Stopped));
        scene.end().await;
    });
}

#[test]
fn of_a_message_in_a_blocked_send_that_is_abandoned() {
    local(async {
        let scene = small(Overflow::Block(ms(1000))).await;
        let Scene { victim, fuse, .. } = &scene;
        for _ in 0..2 {
            victim.tell(Count).expect("room");
        }
        fuse.light(&[Place::DropOfMessage]);
        let asked = victim.ask_within(ms(10), PlainMessage::new(fuse)).await;
        assert_eq!(asked.map(drop), Err(AskError::TimedOut(ms(10))));
        assert!(fuse.is_out(), "it was taken back");
        is_well(&scene, 3).await;
        scene.end().await;
    });
}

#[test]
fn of_a_message_in_a_blocked_ask_when_the_actor_is_gone() {
    local(async {
        let scene = small(Overflow::Block(ms(1000))).await;
        let Scene { victim, fuse, .. } = &scene;
        for _ in 0..2 {
            victim.tell(Count).expect("room");
        }
        fuse.light(&[Place::DropOfMessage]);
        let gone = async {
            idle().await;
            victim.stop();
        };
        let (asked, ()) = tokio::join!(victim.ask(PlainMessage::new(fuse)), gone);
        assert_eq!(asked.map(drop), Err(AskError::Stopped));
        scene.end().await;
    });
}

#[test]
fn of_a_waiting_message_that_nobody_asks_for_any_more() {
    local(async {
        let scene = small(Overflow::Reject).await;
        let Scene { victim, fuse, .. } = &scene;
        fuse.light(&[Place::DropOfMessage]);
        let asked = victim.ask_within(ms(10), PlainMessage::new(fuse)).await;
        assert_eq!(asked.map(drop), Err(AskError::TimedOut(ms(10))));
        assert!(!fuse.is_out(), "it still waits");
        is_well(&scene, 1).await;
        scene.end().await;
    });
}

/// The actor has done its work; that nobody waits for it is not its fault.
#[test]
fn of_a_reply_that_nobody_waits_for() {
    local(async {
        let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
        let Scene { victim, fuse, .. } = &scene;
        // Nobody from the beginning.
        fuse.light(&[Place::DropOfReply]);
        assert!(victim.tell(PlainMessage::new(fuse)).is_ok());
        idle().await;
        assert!(fuse.is_out(), "the reply was dropped");
        // Nobody any more.
        fuse.light(&[Place::DropOfReply]);
        let asked = victim.ask_within(ms(10), SlowMessage::new(fuse)).await;
        assert_eq!(asked.map(drop), Err(AskError::TimedOut(ms(10))));
        assert!(!fuse.is_out(), "it is not answered yet");
        idle().await;
        assert!(fuse.is_out(), "the reply was dropped");
        is_well(&scene, 1).await;
        scene.end().await;
    });
}

#[test]
fn of_a_panics_payload() {
    let seen = observe(&[Place::DropOfPayload], Trigger::Plain);
    assert_eq!(seen, Seen::crash("(the panic's payload is no text) in PlainMessage"));
}

/// Of those that are kept for the next generation, when there will be none. A generation's own clone is dropped by its
/// start: see `starts`.
#[test]
fn of_the_arguments_at_the_end_for_good() {
    assert_eq!(observe(&[Place::DropOfArgs], Trigger::Stop), stopped());
}

/// Its supervisor goes down before its turn comes.
#[test]
fn of_the_arguments_of_a_child_that_was_never_started() {
    local(async {
        let fuse = Fuse::default();
        let first = ChildSpec::<Victim>::new("first", Args::new(&fuse));
        let second_fuse = Fuse::default();
        let second = ChildSpec::<Victim>::new("second", Args::new(&second_fuse));
        let second_ref = second.actor_ref();
        fuse.light(&[Place::StartBefore]);
        second_fuse.light(&[Place::DropOfArgs]);
        let root = SupervisorSpec::new("root").child(first).child(second);
        let (system, asked) =
            tokio::join!(ActorSystem::builder("test").local().start(root), second_ref.ask(Count));
        let failed = system.expect_err("its first child does not start").to_string();
        assert!(failed.contains("child `first`: panicked: StartBefore"), "{failed}");
        assert_eq!(asked, Err(AskError::Stopped));
        assert!(fuse.is_out() && second_fuse.is_out());
    });
}

#[test]
fn of_spawned_futures() {
    for (places, reason, panicked) in [
        (&[Place::DropOfFuture; 2][..], "killed", false),
        (&[Place::DropOfFuture, Place::DropOfFuture, Place::Plain][..], "Plain in PlainMessage", true),
    ] {
        local(async {
            let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
            let Scene { victim, fuse, .. } = &scene;
            victim.ask(Arm(Place::DropOfFuture)).await.expect("an answer");
            fuse.light(places);
            if panicked {
                let asked = victim.ask(PlainMessage::new(fuse)).await.map(drop);
                assert_eq!(asked, Err(AskError::Panicked));
            } else {
                victim.kill();
            }
            assert_eq!(scene.exits().await, [(0, reason.to_owned(), true, true)]);
            assert!(fuse.is_out(), "both were dropped");
            assert_eq!(victim.ask(Count).await, Ok((1, 1)));
            // And at an orderly end.
            victim.ask(Arm(Place::DropOfFuture)).await.expect("an answer");
            fuse.light(&[Place::DropOfFuture; 2]);
            victim.restart();
            assert_eq!(scene.exits().await, [(1, "stopped in order".to_owned(), false, true)]);
            assert!(fuse.is_out(), "both were dropped");
            assert_eq!(victim.ask(Count).await, Ok((2, 1)));
            scene.end().await;
        });
    }
}

/// A payload, the state and two futures.
#[test]
fn of_everything_at_once() {
    local(async {
        let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
        let Scene { victim, fuse, .. } = &scene;
        victim.ask(Arm(Place::DropOfFuture)).await.expect("an answer");
        fuse.light(&[Place::DropOfState, Place::DropOfFuture, Place::DropOfFuture, Place::DropOfPayload]);
        let asked = victim.ask(PlainMessage::new(fuse)).await.map(drop);
        assert_eq!(asked, Err(AskError::Panicked));
        assert_eq!(victim.ask(Count).await, Ok((1, 1)));
        scene.end().await;
    });
}

/// Panics as it is dropped, with a part of itself.
#[derive(Message)]
struct Loud(Arc<()>);

impl Drop for Loud {
    fn drop(&mut self) {
        std::panic::panic_any(self.0.clone());
    }
}

impl PlainHandler<Loud> for Victim {
    type Reply = ();
    fn handle(&mut self, _: Loud, _: &mut Context<Self>) {}
}

#[test]
fn of_anything_leaves_nothing_behind() {
    local(async {
        let scene = small(Overflow::Reject).await;
        let part = Arc::new(());
        scene.victim.tell(Loud(part.clone())).map_err(drop).expect("room");
        scene.victim.stop();
        scene.victim.watch().await;
        assert_eq!(Arc::strong_count(&part), 1, "the payload is dropped, too");
        scene.end().await;
    });
}
