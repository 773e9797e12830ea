//! Messages that come later, from streams, and from actors that wait.

use std::time::Duration;

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChangeKind, ChildSpec, Context, Handler, Later, MailboxSpec,
    Message, Overflow, PlainHandler, Recipient, Restart, StartError, StreamHandle, SupervisorSpec,
    TimerHandle,
};
use futures_util::stream;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::worker::{Count, Worker, local, ms, steady};

/// Counts what comes, when.
struct Reader {
    came: Vec<(u64, Duration)>,
    born: Instant,
    timer: Option<TimerHandle>,
    stream: Option<StreamHandle>,
    ended: bool,
}

impl Actor for Reader {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Reader { came: Vec::new(), born: Instant::now(), timer: None, stream: None, ended: false })
    }
}

#[derive(Message)]
struct Item(u64);

impl Handler<Item> for Reader {
    async fn handle(&mut self, Item(number): Item, _: &mut Context<Self>) {
        assert_ne!(number, 13, "an unlucky number");
        tokio::task::yield_now().await;
        self.came.push((number, self.born.elapsed()));
    }
}

#[derive(Message)]
#[message(reply = (Vec<(u64, Duration)>, bool))]
struct Came;

impl PlainHandler<Came> for Reader {
    type Reply = (Vec<(u64, Duration)>, bool);
    fn handle(&mut self, _: Came, _: &mut Context<Self>) -> Self::Reply {
        (self.came.clone(), self.ended)
    }
}

type Job = Box<dyn FnOnce(&mut Reader, &mut Context<Reader>) + Send>;

/// Whatever a test wants.
#[derive(Message)]
struct Do(Job);

impl PlainHandler<Do> for Reader {
    type Reply = ();
    fn handle(&mut self, Do(job): Do, cx: &mut Context<Self>) {
        job(self, cx);
    }
}

async fn reader(spec: ChildSpec<Reader>) -> (ActorSystem, ActorRef<Reader>) {
    let reader = spec.actor_ref();
    let root = SupervisorSpec::new("root").backoff(steady(ms(10))).child(spec);
    (ActorSystem::builder("test").local().start(root).await.expect("a system"), reader)
}

fn spec() -> ChildSpec<Reader> {
    ChildSpec::<Reader>::new("reader", ())
}

async fn does(
    reader: &ActorRef<Reader>,
    job: impl FnOnce(&mut Reader, &mut Context<Reader>) + Send + 'static,
) {
    reader.ask(Do(Box::new(job))).await.expect("an answer");
}

#[test]
fn messages_come_after_their_delay_and_in_their_interval_until_they_are_cancelled() {
    local(async {
        let (_system, reader) = reader(spec()).await;
        does(&reader, |reader, cx| {
            cx.send_after(ms(35), cx.myself(), Item(1));
            cx.send_after(ms(5), cx.myself(), Item(2)).cancel();
            let mut next = 100;
            let every = cx.send_every(ms(10), cx.myself(), move || {
                next += 1;
                Item(next)
            });
            reader.timer = Some(every);
        })
        .await;
        tokio::time::sleep(ms(45)).await;
        does(&reader, |reader, _| reader.timer.take().expect("the timer").cancel()).await;
        tokio::time::sleep(ms(500)).await;
        let came = reader.ask(Came).await.expect("an answer").0;
        let due = [(101, ms(10)), (102, ms(20)), (103, ms(30)), (1, ms(35)), (104, ms(40))];
        assert_eq!(came, due);
    });
}

#[test]
fn messages_to_come_end_with_the_generation_and_with_the_one_they_are_for() {
    local(async {
        let (system, reader) = reader(spec()).await;
        let other = ChildSpec::<Worker>::new("other", ()).restart(Restart::Temporary);
        let other = system.root().start_child(other).await.expect("a child");
        let to: Recipient<Count> = other.clone().into();
        does(&reader, move |_, cx| {
            cx.send_after(ms(100), cx.myself(), Item(1));
            cx.send_every(ms(10), to, || Count);
        })
        .await;
        tokio::time::sleep(ms(35)).await;
        assert_eq!(other.ask(Count).await, Ok((0, 4)));
        other.stop();
        other.watch().await;
        tokio::time::sleep(ms(20)).await;
        reader.tell(Item(13)).expect("room");
        tokio::time::sleep(ms(200)).await;
        assert_eq!(reader.ask(Came).await.expect("an answer").0, []);
        assert_eq!(reader.snapshot().generation, 1);
    });
}

#[test]
fn a_stream_is_held_back_by_a_full_mailbox_whatever_its_policy_and_nothing_is_lost() {
    local(async {
        for overflow in [Overflow::Reject, Overflow::DropNewest, Overflow::DropOldest, Overflow::Block(ms(1))]
        {
            let (_system, reader) = reader(spec().mailbox(MailboxSpec::bounded(4).overflow(overflow))).await;
            does(&reader, |_, cx| {
                cx.attach_then(stream::iter((0..1000).filter(|n| *n != 13).map(Item)), |reader, _| {
                    reader.ended = true;
                });
            })
            .await;
            // An ask would push items out where the policy says so.
            while reader.snapshot().handled < 1000 {
                tokio::time::sleep(ms(1)).await;
            }
            let (came, ended) = reader.ask(Came).await.expect("an answer");
            assert_eq!((came.len(), ended), (999, true), "{overflow:?}");
            assert!(came.is_sorted_by_key(|item| item.0));
            assert!(reader.snapshot().high_water <= 5, "{overflow:?}: {}", reader.snapshot().high_water);
        }
    });
}

#[test]
fn a_channel_is_read_until_it_is_cancelled_and_a_cancelled_one_tells_of_no_end() {
    local(async {
        let (_system, reader) = reader(spec()).await;
        let (sender, receiver) = mpsc::channel(2);
        does(&reader, |reader, cx| reader.stream = Some(cx.attach_receiver(receiver))).await;
        for number in 0..5 {
            sender.send(Item(number)).await.expect("a reader");
        }
        tokio::time::sleep(ms(1)).await;
        does(&reader, |reader, _| reader.stream.take().expect("the stream").cancel()).await;
        sender.closed().await;
        let (came, ended) = reader.ask(Came).await.expect("an answer");
        assert_eq!((came.len(), ended), (5, false));
    });
}

#[test]
fn a_stream_ends_with_the_generation_and_its_waiting_items_do_not() {
    local(async {
        let (_system, reader) = reader(spec()).await;
        let (sender, receiver) = mpsc::channel(16);
        for number in 11..16 {
            sender.try_send(Item(number)).expect("room");
        }
        does(&reader, |_, cx| drop(cx.attach_receiver(receiver))).await;
        sender.closed().await;
        let came: Vec<_> = reader.ask(Came).await.expect("an answer").0.iter().map(|item| item.0).collect();
        assert_eq!(came, [14, 15], "what came before went with the first generation");
    });
}

/// Asks whomever it is told to, and holds itself meanwhile.
struct Asker;

impl Actor for Asker {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Asker)
    }
}

#[derive(Message)]
#[message(reply = Result<(), AskError>)]
struct Ask(Vec<ActorRef<Asker>>);

impl Handler<Ask> for Asker {
    async fn handle(&mut self, Ask(mut rest): Ask, _: &mut Context<Self>) -> Result<(), AskError> {
        let Some(next) = rest.pop() else { return Ok(()) };
        next.ask_within(ms(500), Ask(rest)).await?
    }
}

/// Asks itself without holding itself.
#[derive(Message)]
#[message(reply = Result<Result<(), AskError>, AskError>)]
struct AskBeside;

impl PlainHandler<AskBeside> for Asker {
    type Reply = Later<Result<Result<(), AskError>, AskError>>;
    fn handle(&mut self, _: AskBeside, cx: &mut Context<Self>) -> Self::Reply {
        let myself = cx.myself();
        Later::new(async move { myself.ask(Ask(Vec::new())).await })
    }
}

#[test]
fn an_actor_that_holds_itself_cannot_ask_itself_and_hears_so_at_once() {
    local(async {
        let one = ChildSpec::<Asker>::new("one", ());
        let asker = one.actor_ref();
        let root = SupervisorSpec::new("root").child(one);
        let _system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let began = Instant::now();
        assert_eq!(asker.ask(Ask(vec![asker.clone()])).await, Ok(Err(AskError::SelfAsk)));
        assert_eq!(asker.ask(AskBeside).await, Ok(Ok(Ok(()))));
        assert_eq!(began.elapsed(), ms(0));
    });
}

#[test]
fn actors_that_wait_in_a_circle_are_shown_and_reported() {
    local(async {
        let specs = ["one", "two", "three"].map(|name| ChildSpec::<Asker>::new(name, ()));
        let [one, two, three] = specs.each_ref().map(ChildSpec::actor_ref);
        let root = specs.into_iter().fold(SupervisorSpec::new("root"), SupervisorSpec::child);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let mut changes = system.changes();
        let circle = async {
            let route = vec![one.clone(), three.clone(), two.clone()];
            one.ask(Ask(route)).await
        };
        let seen = async {
            loop {
                let change = changes.next().await.expect("the system lives").expect("none is missed");
                if let ChangeKind::WaitCircle { paths } = change.kind {
                    return (change.path, paths);
                }
            }
        };
        let (said, seen) = tokio::join!(circle, async {
            let seen = seen.await;
            let snapshot = system.snapshot();
            let waits = |path: &str| {
                let node = snapshot.find(path).expect("it is there");
                node.waits_for.iter().map(|waiting| waiting.path.clone()).collect::<Vec<_>>()
            };
            assert_eq!(
                (waits("one"), waits("two"), waits("three")),
                (vec!["two".into()], vec!["three".into()], vec!["one".into()])
            );
            seen
        });
        assert_eq!(seen, ("three".into(), vec!["one".into(), "two".into(), "three".into()]));
        assert!(matches!(said, Ok(Err(AskError::TimedOut(_)))), "{said:?}");
        tokio::time::sleep(ms(1000)).await;
        assert!(system.snapshot().root.walk().all(|node| node.waits_for.is_empty()));
        drop((two, three));
    });
}

#[test]
fn an_ask_of_nobody_in_particular_makes_no_edge() {
    local(async {
        let (system, reader) = reader(spec()).await;
        let (go, wait) = oneshot::channel::<()>();
        reader.suspend();
        let asked = tokio::join!(reader.ask(Came), async {
            tokio::time::sleep(ms(10)).await;
            assert!(system.snapshot().root.walk().all(|node| node.waits_for.is_empty()));
            reader.resume();
            drop(go);
        });
        assert!(asked.0.is_ok() && wait.await.is_err());
    });
}
