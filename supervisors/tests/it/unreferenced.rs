//! Children that end when nobody can send to them any more.

use std::time::Duration;

use callboard_supervisors::{
    Actor, ActorSystem, AskError, ChildSpec, Context, DynamicSupervisor, DynamicSupervisorSpec, Later,
    PlainHandler, Recipient, Restart, StartChildError, StartError, State, StopReason, SupervisorSpec,
};

use crate::worker::{Answer, Count, Hold, Panic, Place, Worker, local, ms, steady};

async fn sessions() -> (ActorSystem, DynamicSupervisor) {
    let sessions = DynamicSupervisorSpec::new("sessions").backoff(steady(ms(10)));
    let handle = sessions.handle();
    let root = SupervisorSpec::new("root").dynamic(sessions);
    (ActorSystem::builder("test").local().start(root).await.expect("a system"), handle)
}

fn session() -> ChildSpec<Worker> {
    ChildSpec::<Worker>::new("session", ()).restart(Restart::Transient).stop_when_unreferenced(true)
}

#[test]
fn the_last_address_takes_the_actor_with_it_whatever_its_kind() {
    local(async {
        let (system, sessions) = sessions().await;
        let session = sessions.start_child(session()).await.expect("a session");
        let handle = session.handle();
        let recipient: Recipient<Count> = session.clone().into();
        drop(session);
        assert_eq!(recipient.ask(Count).await, Ok((0, 1)), "a recipient keeps it");
        let another = recipient.clone();
        drop(recipient);
        assert_eq!(another.ask(Count).await, Ok((0, 2)));
        drop(another);
        assert_eq!(handle.watch().await, StopReason::Normal);
        assert!(system.shutdown(ms(100)).await.is_clean());
        assert!(sessions.is_empty());
    });
}

#[test]
fn what_was_sent_before_is_handled() {
    local(async {
        let (_system, sessions) = sessions().await;
        let session = sessions.start_child(session()).await.expect("a session");
        let handle = session.handle();
        session.tell(Hold(ms(50))).expect("room");
        for _ in 0..300 {
            session.tell(Count).expect("room");
        }
        drop(session);
        assert_eq!(handle.watch().await, StopReason::Normal);
        assert_eq!(handle.snapshot().handled, 301);
    });
}

#[test]
fn a_suspended_one_waits_for_what_it_has_and_a_crashed_one_comes_back_for_it() {
    local(async {
        let (_system, sessions) = sessions().await;
        let session = sessions.start_child(session()).await.expect("a session");
        let handle = session.handle();
        session.suspend();
        session.tell(Panic(Place::Plain)).expect("room");
        session.tell(Count).expect("room");
        drop(session);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(handle.state(), State::Suspended);
        handle.resume();
        assert_eq!(handle.watch().await, StopReason::Normal);
        let after = handle.snapshot();
        assert_eq!((after.generation, after.handled, after.panics), (1, 2, 1));
    });
}

#[test]
fn it_can_be_found_until_it_is_gone() {
    local(async {
        let (system, sessions) = sessions().await;
        let session = sessions.start_child(session()).await.expect("a session");
        let found = system.find::<Worker>("sessions/session").expect("it is there");
        drop(session);
        assert_eq!(found.ask(Count).await, Ok((0, 1)));
        let handle = found.handle();
        let too_late = found.clone();
        drop((found, too_late));
        handle.watch().await;
        assert!(system.find::<Worker>("sessions/session").is_none());
    });
}

#[test]
fn a_permanent_child_and_an_address_that_is_out_already_are_refused() {
    local(async {
        let (_system, sessions) = sessions().await;
        let permanent = session().restart(Restart::Permanent);
        let Err(StartChildError::Invalid(problem)) = sessions.start_child(permanent).await else {
            panic!("it was taken")
        };
        assert!(problem.to_string().contains("needs a transient or temporary child"), "{problem}");
        let spec = ChildSpec::<Worker>::new("session", ()).restart(Restart::Temporary);
        let early = spec.actor_ref();
        let late = spec.stop_when_unreferenced(true);
        let Err(StartChildError::Invalid(problem)) = sessions.start_child(late).await else {
            panic!("it was taken")
        };
        assert!(problem.to_string().contains("handed out; call it first"), "{problem}");
        // Its specification is gone, so it will never run.
        assert_eq!(early.ask(Count).await, Err(AskError::Stopped));
    });
}

/// On several threads, and with the last two addresses dropped at once: none is left behind.
#[tokio::test]
async fn addresses_that_are_dropped_at_once_leave_no_actor_behind() {
    let sessions = DynamicSupervisorSpec::new("sessions");
    let handle = sessions.handle();
    let root = SupervisorSpec::new("root").dynamic(sessions);
    let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
    for n in 0..200 {
        let spec = ChildSpec::<Worker>::new(format!("session-{n}"), ())
            .restart(Restart::Temporary)
            .stop_when_unreferenced(true);
        let one = handle.spawn_child(spec).expect("a session");
        let (two, watched) = (one.clone(), one.handle());
        let other = std::thread::spawn(move || two.tell(Count).is_ok());
        let told = one.tell(Count).is_ok();
        drop(one);
        assert!(told && other.join().expect("no panic"));
        assert_eq!(watched.watch().await, StopReason::Normal);
        assert_eq!(watched.snapshot().handled, 2);
    }
    assert!(system.shutdown(Duration::from_secs(10)).await.is_clean());
}

#[test]
fn a_reply_that_comes_later_is_waited_for() {
    local(async {
        let (_system, sessions) = sessions().await;
        let session = sessions.start_child(session()).await.expect("a session");
        let handle = session.handle();
        let front = ChildSpec::<Front>::new("front", session.recipient());
        let front = sessions.start_child(front.restart(Restart::Temporary)).await.expect("a front");
        drop(session);
        // Whoever asked holds no address of the one that answers.
        assert_eq!(front.ask(Answer(ms(50))).await, Ok(()));
        assert_eq!(handle.watch().await, StopReason::Normal);
    });
}

/// Has its one question answered by another, and forgets it.
struct Front(Option<Recipient<Answer>>);

impl Actor for Front {
    type Args = Recipient<Answer>;
    async fn start(other: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Front(Some(other)))
    }
}

impl PlainHandler<Answer> for Front {
    type Reply = Later<()>;
    fn handle(&mut self, message: Answer, cx: &mut Context<Self>) -> Later<()> {
        cx.stop();
        Later::forward(&self.0.take().expect("it is asked once"), message)
    }
}
