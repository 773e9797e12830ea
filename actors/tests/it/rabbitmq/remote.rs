//! Messages to actors of other nodes, by a real broker. Nodes have names that nobody else has.

use std::time::{Duration, Instant};

use callboard_actors::{
    edges::{
        bus::{
            BusNumbers, Destination, OutgoingMessage, Passing,
            rabbitmq::{Declare, RabbitBus, RabbitSettings},
        },
        remote::{Remote, RemoteError, RemoteMessage, RemoteRef},
    },
    roles::{Condition, Conditions},
};
use callboard_contracts::Timestamp;
use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, ChildSpec, Context, Later, MailboxSpec, Message, PlainHandler, StartError,
    SupervisorSpec,
};
use callboard_testsupport::{PrivateRabbit, rabbitmq_url};
use futures_util::future::join_all;
use lapin::{options::QueueDeclareOptions, types::FieldTable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::support::{
    Bus, Outside, PATIENCE, name, private_broker, settings, settings_at, to_queue, until, with,
};

const REMOTE: &str = "bus/consumers/remote";
const SHORT: Duration = Duration::from_millis(300);

/// Adds up what it is told.
struct Counter {
    sum: u64,
    /// Whether those may be answered who wait.
    open: watch::Receiver<bool>,
}

impl Actor for Counter {
    type Args = watch::Receiver<bool>;

    async fn start(open: watch::Receiver<bool>, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Counter { sum: 0, open })
    }
}

#[derive(Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = u64)]
struct Add {
    #[schemars(range(max = 100))]
    number: u64,
}

impl RemoteMessage for Add {
    const TYPE: &'static str = "add";
}

impl PlainHandler<Add> for Counter {
    type Reply = u64;

    fn handle(&mut self, Add { number }: Add, _: &mut Context<Self>) -> u64 {
        assert_ne!(number, 13, "not this one");
        self.sum += number;
        self.sum
    }
}

/// What another version calls the same.
#[derive(Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = u64)]
struct NewerAdd {
    number: u64,
    #[serde(default)]
    twice: bool,
}

impl RemoteMessage for NewerAdd {
    const TYPE: &'static str = "add";
}

/// Is answered once that is let.
#[derive(Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = ())]
struct Wait;

impl RemoteMessage for Wait {
    const TYPE: &'static str = "wait";
}

impl PlainHandler<Wait> for Counter {
    type Reply = Later<()>;

    fn handle(&mut self, Wait: Wait, _: &mut Context<Self>) -> Later<()> {
        let mut open = self.open.clone();
        Later::new(async move {
            let _ = open.wait_for(|open| *open).await;
        })
    }
}

/// Is answered with as many letters as it says, and has some itself.
#[derive(Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = String)]
struct Letters {
    answer: usize,
    text: String,
}

impl RemoteMessage for Letters {
    const TYPE: &'static str = "letters";
}

impl PlainHandler<Letters> for Counter {
    type Reply = String;

    fn handle(&mut self, Letters { answer, .. }: Letters, _: &mut Context<Self>) -> String {
        "a".repeat(answer)
    }
}

/// A node with a counter that others can ask.
struct Node {
    name: String,
    remote: Remote,
    bus: Bus,
    actors: ActorSystem,
    counter: ActorRef<Counter>,
    open: watch::Sender<bool>,
}

impl Node {
    async fn start(what: &str) -> Self {
        let node = Self::begin(name(what), settings()).await;
        node.listens().await;
        node
    }

    async fn begin(name: String, settings: RabbitSettings) -> Self {
        let conditions = Conditions::new();
        let bus = RabbitBus::new(settings, conditions.clone(), BusNumbers::default()).unwrap();
        let remote = Remote::new(&*name, bus.publisher());
        let (open, opened) = watch::channel(false);
        let mailbox = MailboxSpec::bounded(4).concurrent_replies(2);
        let counter = ChildSpec::<Counter>::new("counter", opened).mailbox(mailbox);
        let address = counter.actor_ref();
        remote.offer::<Add>("counter", address.recipient()).unwrap();
        remote.offer::<Wait>("counter", address.recipient()).unwrap();
        remote.offer::<Letters>("counter", address.recipient()).unwrap();
        let root = SupervisorSpec::new("root").child(counter);
        let actors = ActorSystem::builder("test").executors(1).start(root).await.unwrap();
        let bus = Bus::run(bus.with_remote(&remote), conditions, None).await;
        Node { name, remote, bus, actors, counter: address, open }
    }

    async fn listens(&self) {
        self.bus.says(REMOTE, |condition| *condition == Condition::Ready).await;
        self.bus.ready().await;
    }

    /// The counter of another.
    fn asks<M: RemoteMessage>(&self, other: &Node) -> RemoteRef<M> {
        self.remote.actor(&*other.name, "counter")
    }

    async fn stop(self) {
        self.bus.stop().await;
        self.actors.shutdown(PATIENCE).await;
    }
}

fn add(number: u64) -> Add {
    Add { number }
}

#[tokio::test]
async fn an_actor_of_another_node_is_asked_and_answers_many_at_once() {
    let (front, back) = (Node::start("front").await, Node::start("back").await);
    let counter = front.asks::<Add>(&back);
    assert_eq!(counter.ask(add(5)).await.unwrap(), 5);
    // And the other way, and itself.
    assert_eq!(back.asks::<Add>(&front).ask(add(1)).await.unwrap(), 1);
    assert_eq!(front.asks::<Add>(&front).ask(add(1)).await.unwrap(), 2);
    // Two at a time each, so that the small mailbox has room: each is handled once, and each asker has his own answer.
    let asker = async |counter: RemoteRef<Add>| {
        let mut sums = Vec::new();
        for _ in 0..100 {
            sums.push(counter.ask_within(PATIENCE, add(1)).await.unwrap());
        }
        sums
    };
    let sums = join_all((0..2).map(|_| asker(counter.clone()))).await;
    let mut sums: Vec<u64> = sums.into_iter().flatten().collect();
    sums.sort_unstable();
    assert_eq!(sums, (6..=205).collect::<Vec<_>>());
    // More than the mailbox takes: each is handled and answered, or refused and not handled.
    let answers = join_all((0..500).map(|_| counter.ask_within(PATIENCE, add(1)))).await;
    let handled = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    let refused = answers.iter().filter(|answer| matches!(answer, Err(RemoteError::Refused(_)))).count();
    assert_eq!(handled as usize + refused, 500, "{answers:?}");
    assert_eq!(counter.ask_within(PATIENCE, add(0)).await.unwrap(), 205 + handled);
    front.stop().await;
    back.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_with_the_reason() {
    let (front, back) = (Node::start("front").await, Node::start("back").await);
    let counter = front.asks::<Add>(&back);
    // Nobody of that name.
    let nowhere = name("nowhere");
    let began = Instant::now();
    let error =
        front.remote.actor::<Add>(&*nowhere, "counter").ask_within(PATIENCE, add(1)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::NoNode(node) if *node == nowhere), "{error}");
    assert!(began.elapsed() < PATIENCE / 2, "it is said at once");
    let error = front.remote.actor::<Add>(&*back.name, "clerk").ask(add(1)).await.unwrap_err();
    let said = format!("node {:?} offers no actor \"clerk\" for messages of type \"add\"", back.name);
    assert_eq!(error.to_string(), said);
    // Another form, and the same with a number that may not be.
    let newer = NewerAdd { number: 1, twice: true };
    let error = front.asks::<NewerAdd>(&back).ask(newer).await.unwrap_err();
    assert!(matches!(&error, RemoteError::OtherSchema { .. }), "{error}");
    let error = counter.ask(add(101)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Refused(why) if why.contains("/number")), "{error}");
    // Too large, either way.
    let letters = front.asks::<Letters>(&back);
    let large = |answer: usize, text: usize| Letters { answer, text: "b".repeat(text) };
    let error = letters.ask(large(1, 2 << 20)).await.unwrap_err();
    assert!(matches!(error, RemoteError::TooLarge { .. }), "{error}");
    let error = letters.ask_within(PATIENCE, large(2 << 20, 1)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Failed(why) if why.contains("too large")), "{error}");
    assert_eq!(letters.ask_within(PATIENCE, large(1 << 19, 1 << 19)).await.unwrap().len(), 1 << 19);
    // A panic there is told here; the actor is there again.
    let error = counter.ask(add(13)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Failed(why) if why.contains("panicked")), "{error}");
    assert_eq!(counter.ask(add(2)).await.unwrap(), 2);
    // Whoever takes too long.
    let wait = front.asks::<Wait>(&back);
    let error = wait.ask_within(SHORT, Wait).await.unwrap_err();
    assert!(matches!(error, RemoteError::TimedOut(SHORT)), "{error}");
    back.stop().await;
    until("the broker has seen it go", async || match counter.ask_within(SHORT, add(1)).await.unwrap_err() {
        RemoteError::NoNode(_) => Some(()),
        // What came before that is lost with the queue.
        RemoteError::TimedOut(_) => None,
        other => panic!("{other}"),
    })
    .await;
    front.stop().await;
}

#[tokio::test]
async fn a_full_mailbox_refuses_at_once() {
    let (front, back) = (Node::start("front").await, Node::start("back").await);
    let wait = front.asks::<Wait>(&back);
    let mut waiting = Vec::new();
    // Two are under way, and further ones wait in the mailbox; those that came too soon for that were refused.
    until("the mailbox is full", async || {
        let wait = wait.clone();
        waiting.push(tokio::spawn(async move { wait.ask_within(PATIENCE, Wait).await }));
        (back.counter.depth() >= 4).then_some(())
    })
    .await;
    let began = Instant::now();
    let error = front.asks::<Add>(&back).ask_within(PATIENCE, add(1)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Refused(why) if why.contains("full")), "{error}");
    assert!(began.elapsed() < PATIENCE / 2, "it does not wait for room");
    back.open.send_replace(true);
    for asked in waiting {
        let answer = asked.await.unwrap();
        assert!(matches!(answer, Ok(()) | Err(RemoteError::Refused(_))), "{answer:?}");
    }
    front.stop().await;
    back.stop().await;
}

/// A question as a node would send it that began to wait for its answer at this time.
fn question(front: &Remote, back: &str, sent_at: Timestamp, reply_to: &str) -> OutgoingMessage {
    let id = Uuid::now_v7();
    let body = json!({
        "id": id, "from": front.node(), "actor": "counter", "type": "add", "schema": "none", "payload": {},
        "sent_at": sent_at, "valid_for_ms": 60_000,
    });
    OutgoingMessage {
        destination: Destination::Queue(Remote::questions_queue(back)),
        id,
        body: body.to_string().into(),
        correlation_id: id,
        passing: Some(Passing {
            until: Instant::now() + Duration::from_secs(60),
            reply_to: Some(reply_to.to_owned()),
        }),
    }
}

#[tokio::test]
async fn what_nobody_has_taken_in_time_is_gone() {
    let front = Node::start("front").await;
    let outside = Outside::connect(&rabbitmq_url()).await;
    // A node that takes nothing.
    let back = name("back");
    let queue = Remote::questions_queue(&back);
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    outside.channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
    let counter = front.remote.actor::<Add>(&*back, "counter");
    let asked = tokio::spawn({
        let counter = counter.clone();
        async move { counter.ask_within(Duration::from_secs(20), add(1)).await }
    });
    let seen = outside.take(&queue, 1).await.remove(0);
    let properties = &seen.delivery.properties;
    let left: u64 = properties.expiration().as_ref().unwrap().as_str().parse().unwrap();
    assert!((1..=20_000).contains(&left), "{left}");
    assert_eq!(*properties.delivery_mode(), Some(1), "it is kept in memory alone");
    assert_eq!(properties.reply_to().as_ref().unwrap().as_str(), front.remote.answers_queue());
    asked.abort();
    // One that nobody takes is gone when its asker has stopped to wait.
    let error = counter.ask_within(SHORT, add(1)).await.unwrap_err();
    assert!(matches!(error, RemoteError::TimedOut(_)), "{error}");
    until("it is dropped", async || (outside.waiting(&queue).await == 0).then_some(())).await;
    assert!(outside.get(&queue).await.is_none());
    outside.delete_queue(&queue).await;
    // And the node handles what it is asked when it is there.
    let back = Node::begin(back, settings()).await;
    back.listens().await;
    assert_eq!(counter.ask(add(1)).await.unwrap(), 1, "the one before was not handled");
    front.stop().await;
    back.stop().await;
}

#[tokio::test]
async fn what_a_node_finds_too_late_or_is_no_question_of_a_node_reaches_no_actor() {
    let (front, back) = (Node::start("front").await, Node::start("back").await);
    let outside = Outside::connect(&rabbitmq_url()).await;
    let answers = format!("callboard.answers.{}", name("answers"));
    outside.quorum_queue(&answers).await;
    let victim = name("victim");
    outside.quorum_queue(&victim).await;
    let long_ago = Timestamp::now().saturating_sub(Duration::from_secs(70));
    let sent = [
        question(&front.remote, &back.name, Timestamp::now(), &victim),
        question(&front.remote, &back.name, long_ago, &answers),
        question(&front.remote, &back.name, Timestamp::now(), &answers),
    ];
    for question in sent {
        assert!(front.bus.publish(vec![question]).await[0].is_ok());
    }
    // Answers come as they are found.
    let mut said: Vec<String> = Vec::new();
    for answer in outside.take(&answers, 2).await {
        said.push(String::from_utf8(answer.delivery.data).unwrap());
    }
    said.sort_unstable_by_key(String::len);
    assert!(said[0].contains("other_schema"), "{said:?}");
    assert!(said[1].contains("refused") && said[1].contains("by the clock"), "{said:?}");
    assert!(outside.get(&victim).await.is_none(), "nothing is written into queues of others");
    // What is no question harms nobody.
    let questions = Remote::questions_queue(&back.name);
    for body in ["", "{}", "[1]"] {
        assert!(front.bus.publish(vec![to_queue(&questions, body)]).await[0].is_ok());
    }
    assert_eq!(front.asks::<Add>(&back).ask(add(4)).await.unwrap(), 4);
    for queue in [answers, victim] {
        outside.delete_queue(&queue).await;
    }
    front.stop().await;
    back.stop().await;
}

#[tokio::test]
async fn two_nodes_of_one_name_are_told_and_one_that_may_not_declare_asks_nobody() {
    let first = Node::start("twin").await;
    let second = Node::begin(first.name.clone(), settings()).await;
    let why = second.bus.trouble(REMOTE).await;
    assert!(why.contains("another node has the same name"), "{why}");
    let error = second.asks::<Add>(&first).ask(add(1)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::NotConnected(why) if why.contains("the same name")), "{error}");
    // It takes over once the other is gone.
    first.stop().await;
    second.listens().await;
    assert_eq!(second.asks::<Add>(&second).ask(add(1)).await.unwrap(), 1);
    let checks = RabbitSettings { declare: Declare::Check, ..settings() };
    let third = Node::begin(name("checks"), checks).await;
    third.bus.ready().await;
    let error = third.asks::<Add>(&second).ask(add(1)).await.unwrap_err();
    assert!(matches!(&error, RemoteError::NotConnected(why) if why.contains("bus.declare")), "{error}");
    second.stop().await;
    third.stop().await;
}

#[tokio::test]
async fn nodes_find_each_other_again_when_the_broker_was_away() {
    let mut broker = private_broker().await;
    let url = broker.url();
    let start = async |what: &str| Node::begin(name(what), settings_at(&url)).await;
    let (front, back) = (start("front").await, start("back").await);
    front.listens().await;
    back.listens().await;
    let counter = front.asks::<Add>(&back);
    assert_eq!(counter.ask(add(1)).await.unwrap(), 1);
    for kill in [true, false] {
        let end = move |broker: &mut PrivateRabbit| if kill { broker.kill() } else { broker.stop() };
        (broker, ()) = with(broker, end).await;
        front.bus.trouble(super::support::CONNECTION).await;
        let began = Instant::now();
        let error = counter.ask_within(PATIENCE, add(1)).await.unwrap_err();
        let told = matches!(error, RemoteError::NotConnected(_) | RemoteError::NotSent(_));
        assert!(told && began.elapsed() < PATIENCE / 2, "{error}");
        (broker, ()) = with(broker, PrivateRabbit::start_again).await;
        front.listens().await;
        back.listens().await;
        // What failed was not handled.
        let before = if kill { 1 } else { 2 };
        assert_eq!(counter.ask_within(PATIENCE, add(1)).await.unwrap(), before + 1);
    }
    front.stop().await;
    back.stop().await;
    drop(broker);
}
