//! What is published, to whom, and groups.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, ChildSpec, Context, DynamicSupervisorSpec, Group, JoinError, MailboxSpec,
    Message, Overflow, Placement, PlainHandler, Restart, Routing, SlowSubscriber, StartError, State,
    SubscribeError, Subscription, SupervisorSpec, Topic,
};

use crate::{
    routers::Who,
    worker::{Worker, is_send, local, ms, steady},
};

/// What is published.
#[derive(Clone, Message)]
struct News(u32);

/// Notes what it gets; subscribes by itself if it is given a topic.
struct Reader {
    noted: Vec<u32>,
    _subscription: Option<Subscription<News>>,
}

impl Actor for Reader {
    type Args = Option<Topic<News>>;

    async fn start(topic: Option<Topic<News>>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let subscribe = |topic: Topic<News>| topic.subscribe(cx.myself(), SlowSubscriber::Skip);
        Ok(Reader { noted: Vec::new(), _subscription: topic.map(subscribe).transpose()? })
    }
}

impl PlainHandler<News> for Reader {
    type Reply = ();
    fn handle(&mut self, News(number): News, _: &mut Context<Self>) {
        assert_ne!(number, 666, "bad news");
        self.noted.push(number);
    }
}

#[derive(Message)]
#[message(reply = Vec<u32>)]
struct Noted;

impl PlainHandler<Noted> for Reader {
    type Reply = Vec<u32>;
    fn handle(&mut self, _: Noted, _: &mut Context<Self>) -> Vec<u32> {
        self.noted.clone()
    }
}

/// Readers of these names, with room for two messages each.
async fn readers(names: &[&str], overflow: Overflow) -> (ActorSystem, Vec<ActorRef<Reader>>) {
    let mut root = SupervisorSpec::new("root").backoff(steady(ms(10)));
    let mut readers = Vec::new();
    for name in names {
        let mailbox = MailboxSpec::bounded(2).overflow(overflow);
        let spec = ChildSpec::<Reader>::new(*name, None).mailbox(mailbox);
        readers.push(spec.actor_ref());
        root = root.child(spec);
    }
    (ActorSystem::builder("test").local().start(root).await.expect("a system"), readers)
}

const PATIENT: Overflow = Overflow::Block(Duration::from_secs(10));

async fn suspend(reader: &ActorRef<Reader>) {
    reader.suspend();
    while reader.state() != State::Suspended {
        tokio::task::yield_now().await;
    }
}

/// It has handled what was there.
async fn drained(reader: &ActorRef<Reader>) {
    while reader.snapshot().depth > 0 {
        tokio::task::yield_now().await;
    }
}

async fn noted(reader: &ActorRef<Reader>) -> Vec<u32> {
    reader.ask(Noted).await.expect("an answer")
}

#[test]
fn all_who_are_subscribed_get_it_in_order_and_nobody_else() {
    local(async {
        let (system, readers) = readers(&["a", "b", "c"], PATIENT).await;
        let topic = Topic::new("news");
        let first = topic.subscribe(readers[0].clone(), SlowSubscriber::Skip).expect("it lives");
        let second = topic.subscribe(readers[1].recipient(), SlowSubscriber::Skip).expect("it lives");
        topic.subscribe(readers[2].clone(), SlowSubscriber::Skip).expect("it lives").detach();
        assert_eq!((topic.len(), topic.name()), (3, "news"));
        for number in 1..=2 {
            assert_eq!(topic.publish(News(number)).delivered, 3);
        }
        assert!(first.is_active());
        drained(&readers[2]).await;
        drop(first);
        second.unsubscribe();
        assert_eq!(topic.publish_and_wait(News(3)).await.delivered, 1);
        assert_eq!(noted(&readers[0]).await, [1, 2]);
        assert_eq!(noted(&readers[1]).await, [1, 2]);
        assert_eq!(noted(&readers[2]).await, [1, 2, 3], "it has let go of its guard");
        assert_eq!((topic.unsubscribe(readers[2].id()), topic.unsubscribe(readers[2].id())), (1, 0));
        assert!(topic.is_empty());
        assert_eq!(topic.publish(News(4)).delivered, 0);

        // Who is gone for good is no subscriber.
        let guard = topic.subscribe(readers[0].clone(), SlowSubscriber::Skip).expect("it lives");
        topic.subscribe(readers[0].clone(), SlowSubscriber::Skip).expect("twice").detach();
        assert_eq!(topic.publish(News(5)).delivered, 2);
        readers[0].stop();
        readers[0].watch().await;
        assert!(topic.is_empty());
        assert_eq!(topic.publish(News(6)).delivered, 0);
        assert!(!guard.is_active());
        let late = topic.subscribe(readers[0].clone(), SlowSubscriber::Skip);
        assert_eq!(late.err(), Some(SubscribeError::Stopped));
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn each_subscriber_says_what_happens_when_it_has_no_room() {
    local(async {
        let (_system, readers) = readers(&["skips", "leaves"], Overflow::Reject).await;
        let topic = Topic::new("news");
        let skips = topic.subscribe(readers[0].clone(), SlowSubscriber::Skip).expect("it lives");
        let leaves =
            topic.subscribe(readers[1].clone(), SlowSubscriber::UnsubscribeAfter(2)).expect("it lives");
        let publish = |number| {
            let done = topic.publish(News(number));
            (done.delivered, done.skipped, done.removed)
        };
        suspend(&readers[0]).await;
        suspend(&readers[1]).await;
        assert_eq!((publish(1), publish(2)), ((2, 0, 0), (2, 0, 0)));
        assert_eq!(publish(3), (0, 2, 0));
        // One that has caught up begins anew.
        readers[1].resume();
        drained(&readers[1]).await;
        assert_eq!(noted(&readers[1]).await, [1, 2]);
        assert_eq!(publish(4), (1, 1, 0));
        drained(&readers[1]).await;
        suspend(&readers[1]).await;
        assert_eq!((publish(5), publish(6)), ((1, 1, 0), (1, 1, 0)));
        assert_eq!(publish(7), (0, 2, 0));
        assert_eq!(publish(8), (0, 1, 1));
        assert_eq!(publish(9), (0, 1, 0));
        assert_eq!((skips.skipped(), skips.is_active()), (7, true));
        assert_eq!((leaves.skipped(), leaves.is_active()), (3, false));
        // The mailbox itself has counted them, too.
        assert_eq!(readers[0].snapshot().refused, 7);
    });
}

#[test]
fn a_publisher_waits_only_where_it_may() {
    local(async {
        let (_system, readers) = readers(&["patient", "late", "other"], PATIENT).await;
        let topic = Topic::new("news");
        for reader in &readers[..2] {
            topic.subscribe(reader.clone(), SlowSubscriber::Wait(ms(100))).expect("it lives").detach();
            suspend(reader).await;
        }
        topic.subscribe(readers[2].clone(), SlowSubscriber::Skip).expect("it lives").detach();
        for number in 1..=2 {
            assert_eq!(topic.publish_and_wait(News(number)).await.delivered, 3);
        }
        drained(&readers[2]).await;
        assert_eq!(topic.publish(News(3)).skipped, 2, "`publish` never waits");
        let began = tokio::time::Instant::now();
        let (done, ()) = tokio::join!(topic.publish_and_wait(News(4)), async {
            // The one that has room has it already.
            assert_eq!(noted(&readers[2]).await, [1, 2, 3, 4]);
            tokio::time::sleep(ms(50)).await;
            readers[0].resume();
        });
        assert_eq!((done.delivered, done.skipped, done.removed), (2, 1, 0));
        assert_eq!(began.elapsed(), ms(100));
        assert_eq!(noted(&readers[0]).await, [1, 2, 4]);
        assert_eq!(readers[0].snapshot().refused, 1, "only what `publish` could not give it");

        // Who gives up takes the message back.
        let given_up = tokio::time::timeout(ms(10), topic.publish_and_wait(News(5))).await;
        assert!(given_up.is_err());
        readers[1].resume();
        assert_eq!(noted(&readers[1]).await, [1, 2]);
        // One that ends meanwhile is waited for no longer.
        suspend(&readers[1]).await;
        assert_eq!(topic.publish(News(6)).delivered, 3);
        assert_eq!(topic.publish(News(7)).delivered, 3);
        drained(&readers[0]).await;
        drained(&readers[2]).await;
        let (done, ()) = tokio::join!(topic.publish_and_wait(News(8)), async {
            tokio::time::sleep(ms(1)).await;
            readers[1].stop();
        });
        assert_eq!((done.delivered, done.skipped), (2, 0));
        assert_eq!(topic.len(), 2);
    });
}

#[test]
fn a_mailbox_that_rejects_is_not_waited_for() {
    local(async {
        let (_system, readers) = readers(&["rejects"], Overflow::Reject).await;
        let topic = Topic::new("news");
        topic.subscribe(readers[0].clone(), SlowSubscriber::Wait(ms(100))).expect("it lives").detach();
        suspend(&readers[0]).await;
        let began = tokio::time::Instant::now();
        let mut skipped = 0;
        for number in 0..3 {
            skipped += topic.publish_and_wait(News(number)).await.skipped;
        }
        assert_eq!((skipped, began.elapsed()), (1, Duration::ZERO));
    });
}

#[test]
fn an_actor_is_subscribed_for_a_generation_at_a_time() {
    local(async {
        let topic = Topic::new("news");
        let spec = ChildSpec::<Reader>::new("reader", Some(topic.clone()));
        let reader = spec.actor_ref();
        let root = SupervisorSpec::new("root").backoff(steady(ms(10))).child(spec);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        assert_eq!(topic.publish(News(1)).delivered, 1);
        assert_eq!(noted(&reader).await, [1]);
        assert_eq!(topic.publish(News(666)).delivered, 1);
        // Nobody reads between two generations.
        while reader.state() != State::Crashed {
            tokio::task::yield_now().await;
        }
        assert_eq!(topic.publish(News(2)).delivered, 0);
        assert!(noted(&reader).await.is_empty());
        assert_eq!(topic.publish(News(3)).delivered, 1, "once, not twice");
        assert_eq!(noted(&reader).await, [3]);
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        assert!(topic.is_empty());
    });
}

/// A message that panics when it is cloned, if it is set, and when it is dropped.
#[derive(Message)]
struct Brittle {
    set: Arc<AtomicBool>,
    drops: Arc<AtomicUsize>,
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        assert!(!self.set.load(SeqCst), "a bomb in a clone");
        Brittle { set: self.set.clone(), drops: self.drops.clone() }
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        self.drops.fetch_add(1, SeqCst);
        panic!("a bomb in a message");
    }
}

impl PlainHandler<Brittle> for Reader {
    type Reply = ();
    fn handle(&mut self, message: Brittle, _: &mut Context<Self>) {
        std::mem::forget(message);
    }
}

#[test]
fn a_message_that_panics_when_it_is_cloned_or_dropped_breaks_nothing() {
    local(async {
        let (_system, readers) = readers(&["a", "b", "c"], Overflow::Reject).await;
        let topic = Topic::new("brittle");
        for reader in &readers {
            topic.subscribe(reader.clone(), SlowSubscriber::Skip).expect("it lives").detach();
        }
        let (set, drops) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let brittle = || Brittle { set: set.clone(), drops: drops.clone() };
        let broken = catch_unwind(AssertUnwindSafe(|| topic.publish(brittle())));
        assert!(broken.is_err(), "whoever publishes hears of it");
        assert_eq!(drops.load(SeqCst), 1);
        set.store(false, SeqCst);
        // Those that nobody has room for are dropped here, and panic.
        for reader in &readers {
            suspend(reader).await;
        }
        for delivered in [3, 3, 0] {
            assert_eq!(topic.publish(brittle()).delivered, delivered);
        }
        assert_eq!(drops.load(SeqCst), 4);
        assert_eq!(topic.len(), 3);
    });
}

#[test]
fn a_topic_holds_its_bound_and_a_group_too() {
    local(async {
        let (_system, readers) = readers(&["a", "b", "c"], PATIENT).await;
        let topic = Topic::<News>::bounded("news", 2);
        let guards: Vec<_> = readers[..2]
            .iter()
            .map(|reader| topic.subscribe(reader.clone(), SlowSubscriber::Skip).expect("room"))
            .collect();
        let third = topic.subscribe(readers[2].clone(), SlowSubscriber::Skip);
        assert_eq!(third.err(), Some(SubscribeError::Full { max: 2 }));
        drop(guards);
        topic.subscribe(readers[2].clone(), SlowSubscriber::Skip).expect("room").detach();

        let group = Group::bounded("readers", 2);
        assert_eq!((group.join(&readers[0]), group.join(&readers[1])), (Ok(()), Ok(())));
        assert_eq!(group.join(&readers[0]), Ok(()), "it is a member already");
        assert_eq!(group.join(&readers[2]), Err(JoinError::Full { max: 2 }));
        assert!(group.leave(&readers[0]) && !group.leave(&readers[0]));
        assert_eq!(group.join(&readers[2]), Ok(()));
        assert_eq!((group.members(), group.name()), (readers[1..].to_vec(), "readers"));
        readers[1].stop();
        readers[1].watch().await;
        assert!(!group.contains(&readers[1]) && group.contains(&readers[2]));
        assert_eq!((group.len(), group.join(&readers[1])), (1, Err(JoinError::Stopped)));
    });
}

#[test]
fn a_router_over_a_group_follows_it() {
    local(async {
        let root = ["a", "b"].map(|name| ChildSpec::<Worker>::new(name, ()));
        let workers: Vec<_> = root.iter().map(ChildSpec::actor_ref).collect();
        let root = root.into_iter().fold(SupervisorSpec::new("root"), SupervisorSpec::child);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let group = Group::new("workers");
        let router = group.router(Routing::round_robin());
        assert!(router.ask(Who(0)).await.is_err(), "nobody is there yet");
        group.join(&workers[0]).expect("it lives");
        assert_eq!(router.ask(Who(0)).await, Ok("a".to_owned()));
        group.join(&workers[1]).expect("it lives");
        workers[0].stop();
        workers[0].watch().await;
        for _ in 0..3 {
            assert_eq!(router.ask(Who(0)).await, Ok("b".to_owned()));
        }
        group.leave(&workers[1]);
        assert!(router.members().is_empty());
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn subscribers_come_and_go_while_others_publish() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let jobs = DynamicSupervisorSpec::new("jobs").placement(Placement::Workers);
        let handle = jobs.handle();
        let root = SupervisorSpec::new("root").dynamic(jobs);
        let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
        let (topic, group, stop) =
            (Topic::new("news"), Group::new("readers"), Arc::new(AtomicBool::new(false)));
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let (topic, stop) = (topic.clone(), stop.clone());
                std::thread::spawn(move || {
                    let mut delivered = 0;
                    while !stop.load(SeqCst) {
                        delivered += topic.publish(News(1)).delivered;
                    }
                    delivered
                })
            })
            .collect();
        let mut guards = Vec::new();
        for n in 0..200u32 {
            let spec = ChildSpec::<Reader>::new(n.to_string(), None).restart(Restart::Temporary);
            let reader = handle.start_child(spec).await.expect("it starts");
            guards.push(topic.subscribe(reader.clone(), SlowSubscriber::Skip).expect("it lives"));
            group.join(&reader).expect("it lives");
            while noted(&reader).await.is_empty() {}
            match n % 3 {
                0 => drop(guards.pop()),
                // Both at once: whichever comes first, it is gone from both.
                1 => {
                    reader.stop();
                    let _ = (group.join(&reader), topic.subscribe(reader.clone(), SlowSubscriber::Skip));
                }
                _ => reader.kill(),
            }
            if n % 3 == 0 {
                reader.stop();
            }
            reader.watch().await;
            assert!(topic.is_empty() && group.is_empty());
        }
        stop.store(true, SeqCst);
        let delivered = publishers.into_iter().map(|thread| thread.join().expect("no panic"));
        assert!(delivered.sum::<usize>() >= 200);
        assert!(guards.iter().all(|guard| !guard.is_active()));
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn a_publisher_may_be_on_any_thread() {
    local(async {
        let topic = Topic::new("news");
        is_send(&topic.publish_and_wait(News(1)));
    });
}
