//! What is taken and not handled is told, with the reason; and what keeps a mailbox from growing.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChildSpec, Context, Handler, Later, MailboxSpec, Message,
    Overflow, PlainHandler, Recipient, Restart, SpecError, StartChildError, StartError, SupervisorSpec,
    UndeliveredReason,
};
use tokio::sync::{Notify, mpsc};

use crate::worker::{Answer, Count, Worker, alone, local, ms};

/// Shows the newest value of each gauge, and remembers all it has shown.
struct Display(Vec<Gauge>);

impl Actor for Display {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Display(Vec::new()))
    }
}

#[derive(Clone, Debug, Message, PartialEq)]
struct Gauge(u64, u32);

impl Handler<Gauge> for Display {
    async fn handle(&mut self, gauge: Gauge, _: &mut Context<Self>) {
        self.0.push(gauge);
    }

    fn coalesce(Gauge(number, _): &Gauge) -> Option<u64> {
        Some(*number)
    }
}

/// Of another type with the same keys.
#[derive(Message)]
#[message(reply = u32)]
struct Echo(u32);

impl PlainHandler<Echo> for Display {
    type Reply = u32;
    fn handle(&mut self, Echo(number): Echo, _: &mut Context<Self>) -> u32 {
        number
    }

    fn coalesce(_: &Echo) -> Option<u64> {
        Some(1)
    }
}

#[derive(Message)]
#[message(reply = Vec<Gauge>)]
struct Shown;

impl PlainHandler<Shown> for Display {
    type Reply = Vec<Gauge>;
    fn handle(&mut self, _: Shown, _: &mut Context<Self>) -> Vec<Gauge> {
        self.0.clone()
    }
}

type Lost = Arc<Mutex<Vec<(String, &'static str, UndeliveredReason)>>>;

async fn watched<A: Actor>(spec: ChildSpec<A>) -> (ActorSystem, ActorRef<A>, Lost) {
    let (actor, lost) = (spec.actor_ref(), Lost::default());
    let seen = lost.clone();
    let builder = ActorSystem::builder("test").local().undelivered(move |undelivered| {
        let message_type = undelivered.message_type.rsplit("::").next().expect("a name");
        seen.lock().expect("no panic").push((undelivered.path.clone(), message_type, undelivered.reason));
    });
    let system = builder.start(SupervisorSpec::new("root").child(spec)).await.expect("a system");
    (system, actor, lost)
}

fn bounded<A: Actor<Args = ()>>(capacity: usize, overflow: Overflow) -> ChildSpec<A> {
    ChildSpec::<A>::new("actor", ()).mailbox(MailboxSpec::bounded(capacity).overflow(overflow))
}

#[test]
fn of_messages_with_a_key_the_newest_is_handled_in_the_place_of_the_oldest() {
    local(async {
        let (_system, display, lost) = watched(bounded::<Display>(4, Overflow::Reject)).await;
        display.suspend();
        display.inspect().await.expect("it is there");
        for value in 0..100 {
            display.tell(Gauge(1, value)).expect("it takes the place of the one before");
            display.tell(Gauge(2, value)).expect("it takes the place of the one before");
        }
        let asked = display.ask(Echo(7));
        let (echo, ()) = tokio::join!(asked, async {
            assert_eq!(display.snapshot().depth, 3, "a key is one of a message type");
            display.resume();
        });
        assert_eq!(echo, Ok(7));
        assert_eq!(display.ask(Shown).await, Ok(vec![Gauge(1, 99), Gauge(2, 99)]));
        let lost = lost.lock().expect("no panic");
        assert_eq!(lost.len(), 198);
        assert!(lost.iter().all(|one| *one == ("actor".into(), "Gauge", UndeliveredReason::Replaced)));
        assert_eq!(display.snapshot().refused, 0);
    });
}

#[test]
fn a_replacement_finds_room_in_a_full_mailbox_and_the_one_before_hears_of_it() {
    local(async {
        let (_system, display, _lost) = watched(bounded::<Display>(2, Overflow::Reject)).await;
        display.suspend();
        display.inspect().await.expect("it is there");
        display.tell(Gauge(1, 0)).expect("room");
        let (first, second) = tokio::join!(display.ask(Echo(1)), async {
            assert!(display.tell(Gauge(2, 0)).is_err(), "it is full");
            display.tell(Gauge(1, 1)).expect("the key waits already");
            let second = display.ask(Echo(2));
            let (second, ()) = tokio::join!(second, async { display.resume() });
            second
        });
        assert_eq!((first, second), (Err(AskError::Evicted), Ok(2)));
    });
}

#[test]
fn one_that_waited_for_room_replaces_the_one_that_waits_in_the_queue() {
    local(async {
        let (_system, display, lost) = watched(bounded::<Display>(4, Overflow::Block(ms(1000)))).await;
        display.suspend();
        display.inspect().await.expect("it is there");
        for number in 0..4 {
            display.tell(Gauge(number, 0)).expect("room");
        }
        let waiting = |number, value| display.send(Gauge(number, value));
        let (four, three, ()) = tokio::join!(waiting(4, 1), waiting(3, 1), async { display.resume() });
        assert!(four.is_ok() && three.is_ok());
        let shown = display.ask(Shown).await.expect("an answer");
        let of = |number| shown.iter().rfind(|gauge| gauge.0 == number).map(|gauge| gauge.1);
        assert_eq!((of(2), of(3), of(4)), (Some(0), Some(1), Some(1)));
        assert_eq!(shown.len() + lost.lock().expect("no panic").len(), 6);
    });
}

/// Shows what comes from a channel, or the same without end.
#[derive(Message)]
struct Attach(Option<mpsc::Receiver<Gauge>>);

impl PlainHandler<Attach> for Display {
    type Reply = ();
    fn handle(&mut self, Attach(receiver): Attach, cx: &mut Context<Self>) {
        match receiver {
            Some(receiver) => cx.attach_receiver(receiver),
            None => cx.attach(futures_util::stream::repeat(Gauge(1, 0))),
        };
    }
}

#[test]
fn items_of_a_stream_replace_those_that_wait_too() {
    local(async {
        for capacity in [1, 2, 8] {
            let (_system, display, lost) = watched(bounded::<Display>(capacity, Overflow::Reject)).await;
            let (sender, receiver) = mpsc::channel(100);
            display.ask(Attach(Some(receiver))).await.expect("an answer");
            display.suspend();
            display.inspect().await.expect("it is there");
            for value in 0..100 {
                sender.try_send(Gauge(1, value)).expect("room");
            }
            drop(sender);
            tokio::time::sleep(ms(1)).await;
            assert_eq!(lost.lock().expect("no panic").len(), 99, "all items but one");
            display.resume();
            tokio::time::sleep(ms(1)).await;
            assert_eq!(display.ask(Shown).await, Ok(vec![Gauge(1, 99)]));
        }
    });
}

#[test]
fn a_stream_without_end_that_replaces_its_own_items_lets_others_run() {
    local(async {
        let (system, display, _lost) = watched(bounded::<Display>(4, Overflow::Reject)).await;
        display.ask(Attach(None)).await.expect("an answer");
        assert!(display.ask(Shown).await.is_ok());
        assert!(system.shutdown(ms(100)).await.is_clean());
    });
}

/// A message that nobody must drop outside of a guard.
#[derive(Message)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb in a message");
    }
}

impl PlainHandler<Bomb> for Display {
    type Reply = ();
    fn handle(&mut self, bomb: Bomb, _: &mut Context<Self>) {
        std::mem::forget(bomb);
    }
}

#[test]
fn messages_for_one_that_never_runs_go_one_by_one_with_its_address() {
    let spec = bounded::<Display>(4, Overflow::Reject);
    let display = spec.actor_ref();
    drop(spec);
    for _ in 0..4 {
        display.tell(Bomb).expect("room");
    }
    drop(display);
}

#[test]
fn each_reason_is_told() {
    local(async {
        for (overflow, reason) in [
            (Overflow::DropNewest, UndeliveredReason::Refused),
            (Overflow::DropOldest, UndeliveredReason::Evicted),
        ] {
            let (_system, worker, lost) = watched(bounded::<Worker>(1, overflow)).await;
            worker.suspend();
            worker.inspect().await.expect("it is there");
            for _ in 0..2 {
                worker.tell(Count).expect("it is taken");
            }
            assert_eq!(*lost.lock().expect("no panic"), [("actor".into(), "Count", reason)]);
        }
        let (system, worker, lost) = watched(bounded::<Worker>(8, Overflow::Reject)).await;
        worker.suspend();
        assert_eq!(worker.ask_within(ms(1), Count).await, Err(AskError::TimedOut(ms(1))));
        worker.resume();
        worker.ask(Count).await.expect("an answer");
        assert_eq!(
            lost.lock().expect("no panic").pop(),
            Some(("actor".into(), "Count", UndeliveredReason::Abandoned))
        );
        worker.suspend();
        worker.inspect().await.expect("it is there");
        for _ in 0..3 {
            worker.tell(Count).expect("room");
        }
        system.shutdown(Duration::from_secs(1)).await;
        let stopped: Vec<_> = lost.lock().expect("no panic").iter().map(|one| one.2).collect();
        assert_eq!(stopped, [UndeliveredReason::Stopped; 3]);
    });
}

#[test]
fn a_hook_that_panics_harms_nobody() {
    local(async {
        let spec = bounded::<Worker>(1, Overflow::DropNewest);
        let worker = spec.actor_ref();
        let builder = ActorSystem::builder("test").local().undelivered(|_| panic!("in the hook"));
        let _system = builder.start(SupervisorSpec::new("root").child(spec)).await.expect("a system");
        worker.suspend();
        worker.inspect().await.expect("it is there");
        worker.tell(Count).expect("room");
        assert_eq!(worker.ask(Count).await, Err(AskError::Refused));
        worker.resume();
        worker.inspect().await.expect("the first is handled in the same turn");
        assert_eq!(worker.ask(Count).await, Ok((0, 2)));
        assert_eq!(worker.snapshot().high_water, 1);
    });
}

#[test]
fn no_more_replies_are_under_way_than_may_be() {
    local(async {
        let spec =
            ChildSpec::<Worker>::new("worker", ()).mailbox(MailboxSpec::default().concurrent_replies(2));
        let (_system, worker) = alone(spec).await;
        let began = tokio::time::Instant::now();
        let answers = futures_util::future::join_all((0..6).map(|_| worker.ask(Answer(ms(100)))));
        assert!(answers.await.iter().all(Result::is_ok));
        assert_eq!(began.elapsed(), ms(300));
        let stopped = tokio::join!(worker.ask(Answer(ms(100))), worker.ask(Answer(ms(100))), async {
            tokio::time::sleep(ms(1)).await;
            worker.stop();
        });
        assert_eq!(
            (stopped.0, stopped.1),
            (Err(AskError::Stopped), Err(AskError::Stopped)),
            "orders go first"
        );
    });
}

#[test]
fn a_mailbox_without_any_reply_is_refused() {
    local(async {
        let (system, _worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let spec =
            ChildSpec::<Worker>::new("other", ()).mailbox(MailboxSpec::default().concurrent_replies(0));
        let Err(StartChildError::Invalid(SpecError { problem, .. })) = system.root().start_child(spec).await
        else {
            panic!("it was taken")
        };
        assert_eq!(problem, "`concurrent_replies` must be at least 1");
    });
}

/// Has another one count.
struct Front(Recipient<Count>, Arc<Notify>);

impl Actor for Front {
    type Args = (Recipient<Count>, Arc<Notify>);
    async fn start((other, gone): Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Front(other, gone))
    }
    fn stopping(&mut self, _: &mut Context<Self>) -> impl Future<Output = ()> {
        self.1.notify_one();
        async {}
    }
}

impl PlainHandler<Count> for Front {
    type Reply = Later<(u64, u64)>;
    fn handle(&mut self, _: Count, cx: &mut Context<Self>) -> Later<(u64, u64)> {
        cx.stop();
        Later::forward(&self.0, Count)
    }
}

#[test]
fn the_reply_to_what_is_forwarded_comes_from_the_other_one_even_if_the_first_is_gone() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        worker.suspend();
        worker.inspect().await.expect("it is there");
        let gone = Arc::new(Notify::new());
        let front = || ChildSpec::<Front>::new("front", (worker.clone().into(), gone.clone()));
        let first = system.root().start_child(front().restart(Restart::Temporary)).await.expect("a child");
        let (answer, ()) = tokio::join!(first.ask(Count), async {
            first.watch().await;
            worker.resume();
        });
        assert_eq!(answer, Ok((0, 1)));
        gone.notified().await;
        worker.stop();
        worker.watch().await;
        let second = system.root().start_child(front().restart(Restart::Temporary)).await.expect("a child");
        assert_eq!(second.ask(Count).await, Err(AskError::Stopped));
    });
}
