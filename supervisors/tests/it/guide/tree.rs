//! A tree, and what a crash does in it.

use std::{error::Error, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, Backoff, ChildSpec, Context, DynamicSupervisorSpec, MailboxSpec,
    Message, OnExhausted, OnStartFailure, Placement, PlainHandler, Restart, Shutdown, StartError, State,
    StopReason, Strategy, SupervisorSpec, testkit::run,
};

#[derive(Message)]
#[message(reply = u32)]
struct Sell(&'static str);

struct Store;

impl Actor for Store {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Store)
    }
}

struct Clerk {
    sold: u32,
    store: ActorRef<Store>,
}

impl Actor for Clerk {
    type Args = ActorRef<Store>;
    async fn start(store: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Clerk { sold: 0, store })
    }
}

impl PlainHandler<Sell> for Clerk {
    type Reply = u32;
    fn handle(&mut self, Sell(what): Sell, _: &mut Context<Self>) -> u32 {
        assert!(what != "soap" && self.store.is_alive(), "no {what}");
        self.sold += 1;
        self.sold
    }
}

struct Session;

impl Actor for Session {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Session)
    }
}

#[test]
fn a_tree_is_declared_wired_and_grows() -> Result<(), Box<dyn Error>> {
    run(async {
        let store = ChildSpec::<Store>::new("store", ());
        // Addresses are there before anything runs: this is how actors come to know each other.
        let clerk = ChildSpec::<Clerk>::new("clerk", store.actor_ref())
            .restart(Restart::Transient) // after a crash, not after an end by itself; the default is Permanent
            .shutdown(Shutdown::Timeout(Duration::from_secs(2))) // then it is killed; the default is 5 s
            .mailbox(MailboxSpec::bounded(100)) // the default is 1024
            .placement(Placement::Workers); // which thread; the default is that of the supervisor
        let clerk_ref = clerk.actor_ref();

        // Children that come and go.
        let sessions = DynamicSupervisorSpec::new("sessions").max_children(10_000);
        let sessions_handle = sessions.handle();

        let root = SupervisorSpec::new("root")
            .strategy(Strategy::RestForOne)
            .child(store)
            .supervisor(SupervisorSpec::new("front").child(clerk).dynamic(sessions));
        let system = ActorSystem::builder("shop").local().start(root).await?;

        let spec = ChildSpec::<Session>::new("anna", ()).restart(Restart::Temporary);
        let anna = sessions_handle.start_child(spec).await?;
        assert_eq!(anna.path(), "front/sessions/anna");

        assert_eq!(clerk_ref.ask(Sell("soap")).await, Err(AskError::Panicked));
        assert_eq!(clerk_ref.ask(Sell("tea")).await, Ok(1)); // waits in the queue for the next generation

        let seen = clerk_ref.snapshot();
        assert_eq!((seen.state, seen.generation), (State::Running, 1));
        let crash = seen.last_crash.expect("it crashed");
        assert!(matches!(&crash.reason, StopReason::Panicked { payload, .. } if payload == "no soap"));

        assert!(system.shutdown(Duration::from_secs(10)).await.is_clean());
        Ok(())
    })
}

#[test]
fn a_budget_is_used_up_or_goes_on_for_ever() -> Result<(), Box<dyn Error>> {
    run(async {
        let store = ChildSpec::<Store>::new("store", ());
        let clerk = ChildSpec::<Clerk>::new("clerk", store.actor_ref());
        let clerk_ref = clerk.actor_ref();

        let front = SupervisorSpec::new("front")
            .intensity(3, Duration::from_secs(60)) // so many restarts in so long; the default is 8 in 60 s
            .backoff(Backoff { min: Duration::from_millis(10), ..Backoff::default() })
            .on_exhausted(OnExhausted::RetryAtMaxBackoff) // the default is Escalate
            .on_start_failure(OnStartFailure::Retry) // the default is Fail
            .child(clerk);

        let system = ActorSystem::builder("shop")
            .local()
            .start(SupervisorSpec::new("root").child(store).supervisor(front))
            .await?;
        for _ in 0..4 {
            assert_eq!(
                clerk_ref.ask_within(Duration::from_secs(60), Sell("soap")).await,
                Err(AskError::Panicked)
            );
        }
        assert_eq!(clerk_ref.ask_within(Duration::from_secs(60), Sell("tea")).await, Ok(1));
        let tree = system.snapshot();
        let front = tree.find("front").and_then(|front| front.supervision.as_ref());
        assert!(front.expect("a supervisor").exhausted);
        assert!(system.shutdown(Duration::from_secs(10)).await.is_clean());
        Ok(())
    })
}
