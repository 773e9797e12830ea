//! Who of many gets a message.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_supervisors::{
    ActorRef, ActorSystem, AskError, ChildSpec, Context, Handler, MailboxSpec, Message, OnFull, PlainHandler,
    Recipient, Router, Routing, SendError, State, SupervisorSpec,
};

use crate::worker::{Count, Worker, is_send, local, ms, steady};

/// Asks for the name of whoever handles it. Of some key.
#[derive(Clone, Debug, Message, PartialEq)]
#[message(reply = String)]
pub(crate) struct Who(pub(crate) u64);

impl PlainHandler<Who> for Worker {
    type Reply = String;
    fn handle(&mut self, _: Who, cx: &mut Context<Self>) -> String {
        cx.name().to_owned()
    }
}

/// Takes as long as the member's name says in milliseconds, and panics if it is `0`.
#[derive(Clone, Message)]
#[message(reply = u64)]
struct TakeYourTime;

impl Handler<TakeYourTime> for Worker {
    async fn handle(&mut self, _: TakeYourTime, cx: &mut Context<Self>) -> u64 {
        let time = cx.name().parse().expect("a number");
        assert_ne!(time, 0, "no time at all");
        tokio::time::sleep(ms(time)).await;
        time
    }
}

/// Workers of these names, with room for two messages each.
async fn several(names: &[&str]) -> (ActorSystem, Vec<ActorRef<Worker>>) {
    let mut root =
        SupervisorSpec::new("root").intensity(100, Duration::from_secs(60)).backoff(steady(ms(10)));
    let mut workers = Vec::new();
    for name in names {
        let spec = ChildSpec::<Worker>::new(*name, ()).mailbox(MailboxSpec::bounded(2));
        workers.push(spec.actor_ref());
        root = root.child(spec);
    }
    (ActorSystem::builder("test").local().start(root).await.expect("a system"), workers)
}

fn router<M: Message>(workers: &[ActorRef<Worker>], routing: Routing<M>) -> Router<M>
where
    Worker: Handler<M>,
{
    Router::new(workers.iter().map(ActorRef::recipient).collect::<Vec<Recipient<M>>>(), routing)
}

/// Suspended, and as many messages in its mailbox.
async fn fill(worker: &ActorRef<Worker>, depth: usize) {
    worker.suspend();
    while worker.state() != State::Suspended {
        tokio::task::yield_now().await;
    }
    for _ in 0..depth {
        worker.tell(Count).expect("room");
    }
}

#[test]
fn round_robin_takes_turns_and_passes_over_who_is_gone_or_full() {
    local(async {
        let (_system, workers) = several(&["a", "b", "c"]).await;
        let router = router(&workers, Routing::round_robin());
        let mut turns = Vec::new();
        for _ in 0..6 {
            turns.push(router.ask(Who(0)).await.expect("an answer"));
        }
        assert_eq!(turns, ["a", "b", "c", "a", "b", "c"]);
        workers[0].stop();
        workers[0].watch().await;
        fill(&workers[1], 2).await;
        for _ in 0..4 {
            assert_eq!(router.ask(Who(0)).await, Ok("c".to_owned()));
        }
        assert_eq!(workers[1].snapshot().refused, 0, "it was passed over, nothing was lost");
        assert_eq!(router.members().len(), 2);
        // Nobody has room: the message is back, and that counts.
        fill(&workers[2], 2).await;
        let back = router.tell(Who(7)).expect_err("no room");
        assert!(matches!(&back, SendError::Full(Who(7))), "{back:?}");
        let refused: u64 = workers.iter().map(|worker| worker.snapshot().refused).sum();
        assert_eq!(refused, 1);
        // Whoever may wait is let in later.
        let (asked, ()) = tokio::join!(router.ask(Who(0)), async {
            workers[1].resume();
            workers[2].resume();
        });
        assert!(asked.is_ok_and(|name| name == "b" || name == "c"));
        for worker in &workers[1..] {
            worker.stop();
            worker.watch().await;
        }
        let back = router.send(Who(8)).await.expect_err("nobody is there");
        assert!(matches!(&back, SendError::Stopped(Who(8))), "{back:?}");
        assert_eq!(router.ask(Who(9)).await, Err(AskError::Stopped));
        let nobody = Router::new(Vec::new(), Routing::least_busy());
        assert!(matches!(nobody.tell(Who(10)), Err(SendError::Stopped(Who(10)))));
    });
}

#[test]
fn one_that_goes_while_it_is_waited_for_leaves_the_message_to_another() {
    local(async {
        let (_system, workers) = several(&["a", "b"]).await;
        let router = router(&workers, Routing::round_robin());
        fill(&workers[0], 2).await;
        fill(&workers[1], 2).await;
        let (asked, ()) = tokio::join!(router.ask(Who(0)), async {
            // It waits at one of them, whichever.
            tokio::time::sleep(ms(1)).await;
            workers[0].stop();
            workers[0].watch().await;
            workers[1].resume();
        });
        assert_eq!(asked, Ok("b".to_owned()));
    });
}

#[test]
fn the_least_busy_gets_it() {
    local(async {
        let (_system, workers) = several(&["a", "b", "c"]).await;
        let router = router(&workers, Routing::least_busy());
        fill(&workers[0], 2).await;
        fill(&workers[1], 1).await;
        for _ in 0..5 {
            assert_eq!(router.ask(Who(0)).await, Ok("c".to_owned()));
        }
        workers[2].stop();
        workers[2].watch().await;
        router.tell(Who(0)).expect("room");
        assert_eq!((workers[0].snapshot().depth, workers[1].snapshot().depth), (2, 2));
    });
}

#[test]
fn a_key_stays_with_its_member_and_moves_only_when_that_one_goes() {
    local(async {
        let (_system, workers) = several(&["a", "b", "c", "d"]).await;
        let router = router(&workers, Routing::consistent_hash(|Who(key)| *key));
        let mut homes = BTreeMap::new();
        for key in 0..200 {
            homes.insert(key, router.ask(Who(key)).await.expect("an answer"));
        }
        let used: BTreeSet<_> = homes.values().cloned().collect();
        assert_eq!(used.len(), 4, "everybody has some");
        workers[1].stop();
        workers[1].watch().await;
        let mut heirs = BTreeSet::new();
        for (key, home) in &homes {
            let now = router.ask(Who(*key)).await.expect("an answer");
            if home == "b" {
                heirs.insert(now);
            } else {
                assert_eq!(&now, home);
            }
        }
        assert!(heirs.len() > 1 && !heirs.contains("b"), "{heirs:?}");
        // A full member keeps its keys, unless it is said otherwise.
        let key = homes.iter().find(|(_, home)| *home == "c").map(|(key, _)| *key).expect("it has some");
        fill(&workers[2], 2).await;
        let back = router.tell(Who(key)).expect_err("no room");
        assert!(matches!(back, SendError::Full(Who(back)) if back == key));
        let lenient = router.on_full(OnFull::TryNext);
        assert!(lenient.ask(Who(key)).await.is_ok_and(|name| name != "c"));
    });
}

#[test]
fn a_broadcast_reaches_all_who_have_room() {
    local(async {
        let (_system, workers) = several(&["a", "b", "c"]).await;
        let router = router(&workers, Routing::round_robin());
        fill(&workers[0], 2).await;
        workers[1].stop();
        workers[1].watch().await;
        let done = router.broadcast(Who(0));
        assert_eq!((done.delivered, done.full, done.stopped), (1, 1, 1));
        assert_eq!(workers[2].ask(Count).await, Ok((0, 1)));
        assert_eq!(workers[2].snapshot().handled, 2);
    });
}

/// A message whose `Clone` panics the second time, and whose `Drop` then panics, too.
#[derive(Message)]
struct Brittle {
    clones: Arc<AtomicUsize>,
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        assert_eq!(self.clones.fetch_add(1, SeqCst), 0, "a bomb in a clone");
        Brittle { clones: self.clones.clone() }
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        assert!(self.clones.load(SeqCst) < 2, "a bomb in a message");
    }
}

impl PlainHandler<Brittle> for Worker {
    type Reply = ();
    fn handle(&mut self, message: Brittle, _: &mut Context<Self>) {
        std::mem::forget(message);
    }
}

#[test]
fn a_message_that_panics_when_it_is_cloned_breaks_nothing() {
    local(async {
        let (_system, workers) = several(&["a", "b", "c"]).await;
        let brittle = router::<Brittle>(&workers, Routing::round_robin());
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            brittle.broadcast(Brittle { clones: Arc::default() })
        }));
        assert!(broken.is_err(), "whoever sends it hears of it");
        assert_eq!(workers[0].ask(Count).await, Ok((0, 1)));
        assert_eq!(workers[0].snapshot().handled, 2, "the first has got it");
        // The same router goes on.
        assert_eq!(brittle.members().len(), 3);
        let sound = Brittle { clones: Arc::default() };
        brittle.ask(sound).await.expect("an answer");
    });
}

#[test]
fn of_many_answers_the_first_is_taken_or_all_that_come_in_time() {
    local(async {
        let (_system, workers) = several(&["30", "10", "0", "5000"]).await;
        let router = router(&workers, Routing::round_robin());
        let limit = ms(100);
        is_send(&(router.ask(TakeYourTime), router.send(TakeYourTime)));
        is_send(&(router.ask_first(limit, TakeYourTime), router.ask_all(limit, TakeYourTime)));
        assert_eq!(router.ask_first(limit, TakeYourTime).await, Ok(10));
        // Those who are still at it finish first.
        assert_eq!(workers[0].ask(Count).await, Ok((0, 1)));
        workers[3].kill();
        assert_eq!(workers[3].ask(Count).await, Ok((1, 1)));
        let id = |n: usize| workers[n].id();
        let answers = router.ask_all(limit, TakeYourTime).await;
        let expected = [
            (id(0), Ok(30)),
            (id(1), Ok(10)),
            (id(2), Err(AskError::Panicked)),
            (id(3), Err(AskError::TimedOut(limit))),
        ];
        assert_eq!(answers, expected);
        // Nobody answers in time, or at all.
        assert_eq!(router.ask_first(ms(1), TakeYourTime).await, Err(AskError::TimedOut(ms(1))));
        for worker in &workers {
            worker.stop();
            worker.watch().await;
        }
        assert_eq!(router.ask_first(limit, TakeYourTime).await, Err(AskError::Stopped));
        let none = router.ask_all(limit, TakeYourTime).await;
        assert!(none.len() == 4 && none.iter().all(|(_, answer)| *answer == Err(AskError::Stopped)));
    });
}

/// A turn of one that is gone is not given to its neighbour on top of the neighbour's own.
#[test]
fn those_who_are_left_share_the_turns_of_those_who_are_gone() {
    local(async {
        let (_system, workers) = several(&["a", "b", "c"]).await;
        let router = router(&workers, Routing::round_robin());
        workers[0].stop();
        workers[0].watch().await;
        let mut turns = Vec::new();
        for _ in 0..6 {
            turns.push(router.ask(Who(0)).await.expect("an answer"));
        }
        assert_eq!(turns, ["b", "c", "b", "c", "b", "c"]);
    });
}

/// Asks a router, and keeps the actor until it has the answer.
#[derive(Clone, Message)]
#[message(reply = Result<String, AskError>)]
struct Via(Router<Who>);

impl Handler<Via> for Worker {
    async fn handle(&mut self, Via(router): Via, _: &mut Context<Self>) -> Result<String, AskError> {
        router.ask(Who(0)).await
    }
}

/// Asks all members of a router, and gives what each said.
#[derive(Message)]
#[message(reply = Vec<Result<String, AskError>>)]
struct ViaAll(Router<Who>);

impl Handler<ViaAll> for Worker {
    async fn handle(
        &mut self,
        ViaAll(router): ViaAll,
        _: &mut Context<Self>,
    ) -> Vec<Result<String, AskError>> {
        router.ask_all(ms(100), Who(0)).await.into_iter().map(|(_, answer)| answer).collect()
    }
}

#[test]
fn a_member_that_asks_its_own_router_is_answered_by_another_or_told_that_there_is_none() {
    local(async {
        let (_system, workers) = several(&["a", "b"]).await;
        let [a, b] = &workers[..] else { panic!("two of them") };
        for routing in [Routing::round_robin, Routing::least_busy] {
            let both = router(&workers, routing());
            for _ in 0..3 {
                assert_eq!(a.ask(Via(both.clone())).await, Ok(Ok("b".to_owned())));
            }
            let alone = router(&workers[..1], routing());
            assert_eq!(a.ask(Via(alone)).await, Ok(Err(AskError::SelfAsk)));
        }
        // Who has the key is the only one to be asked.
        let keyed = router(&workers, Routing::consistent_hash(|Who(key)| *key));
        let owner = keyed.ask(Who(0)).await.expect("an answer");
        for worker in &workers {
            let expected = if worker.name() == owner { Err(AskError::SelfAsk) } else { Ok(owner.clone()) };
            assert_eq!(worker.ask(Via(keyed.clone())).await, Ok(expected));
        }
        let both = router(&workers, Routing::round_robin());
        let answers = [Err(AskError::SelfAsk), Ok("b".to_owned())];
        assert_eq!(a.ask(ViaAll(both.clone())).await, Ok(answers.to_vec()));
        // It waits where another one is busy, and that is seen.
        b.tell(TakeLong).expect("room");
        let asked = a.ask(Via(both));
        let seen = async {
            tokio::time::sleep(ms(50)).await;
            let waits = a.snapshot().waits_for;
            waits.into_iter().map(|wait| wait.actor).collect::<Vec<_>>()
        };
        assert_eq!(tokio::join!(asked, seen), (Ok(Ok("b".to_owned())), vec![b.id()]));
    });
}

#[derive(Message)]
struct TakeLong;

impl Handler<TakeLong> for Worker {
    async fn handle(&mut self, _: TakeLong, _: &mut Context<Self>) {
        tokio::time::sleep(ms(100)).await;
    }
}
