//! Messages to actors of other nodes, over a bus that is in the test's hands.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::edges::{
    bus::{Destination, OutgoingMessage, Publish, PublishError},
    remote::{Remote, RemoteError, RemoteMessage},
};
use callboard_supervisors::{
    Actor, ActorSystem, ChildSpec, Context, Message, PlainHandler, StartError, SupervisorSpec,
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const LONG: Duration = Duration::from_secs(30);

/// Adds up what it is told.
struct Counter(u64);

impl Actor for Counter {
    type Args = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Counter(0))
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
        self.0 += number;
        self.0
    }
}

/// The same name, and a form that only newer nodes know.
#[derive(Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = u64)]
struct NewerAdd {
    numbers: Vec<u64>,
}

impl RemoteMessage for NewerAdd {
    const TYPE: &'static str = "add";
}

/// The same form, and another answer.
#[derive(Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = String)]
struct OtherAdd {
    #[schemars(range(max = 100))]
    number: u64,
}

impl RemoteMessage for OtherAdd {
    const TYPE: &'static str = "add";
}

/// A broker of queues, each with the node that consumes it.
#[derive(Default)]
struct Broker {
    consumers: Mutex<HashMap<String, Remote>>,
    answers: Mutex<HashMap<String, Remote>>,
    /// Whether each message is delivered twice.
    twice: AtomicBool,
}

struct Connection(Arc<Broker>);

impl Publish for Connection {
    fn publish(&self, messages: Vec<OutgoingMessage>) -> BoxFuture<'static, Vec<Result<(), PublishError>>> {
        let broker = self.0.clone();
        Box::pin(async move {
            let sent = messages.into_iter().map(|message| {
                let Destination::Queue(queue) = message.destination else { panic!("a topic") };
                let reply_to = message.passing.expect("it is of use for a time only").reply_to;
                if let Some(asker) = broker.answers.lock().get(&queue).cloned() {
                    asker.answer(&message.body);
                    return Ok(());
                }
                let found = broker.consumers.lock().get(&queue).cloned();
                let consumer = found.ok_or(PublishError::NoQueue(queue))?;
                for _ in 0..=u8::from(broker.twice.load(SeqCst)) {
                    let (consumer, body, reply_to) =
                        (consumer.clone(), message.body.clone(), reply_to.clone());
                    tokio::spawn(async move { consumer.question(&body, reply_to.as_deref()).await });
                }
                Ok(())
            });
            sent.collect()
        })
    }
}

fn node(broker: &Arc<Broker>, name: &str) -> Remote {
    let remote = Remote::new(name, Arc::new(Connection(broker.clone())));
    broker.consumers.lock().insert(Remote::questions_queue(name), remote.clone());
    broker.answers.lock().insert(remote.answers_queue().to_owned(), remote.clone());
    remote.listening(Ok(()));
    remote
}

#[tokio::test]
async fn an_actor_of_another_node_is_asked_once_and_answers() {
    let broker = Arc::<Broker>::default();
    let (here, there) = (node(&broker, "here"), node(&broker, "there"));
    let counter = ChildSpec::<Counter>::new("counter", ());
    there.offer::<Add>("counter", counter.actor_ref().recipient()).unwrap();
    let system =
        ActorSystem::builder("test").start(SupervisorSpec::new("root").child(counter)).await.unwrap();
    let remote = here.actor::<Add>("there", "counter");
    assert_eq!(remote.ask_within(LONG, Add { number: 5 }).await.unwrap(), 5);
    // What the broker delivers twice is handled once, and answered once.
    broker.twice.store(true, SeqCst);
    for expected in 6..20 {
        assert_eq!(remote.ask_within(LONG, Add { number: 1 }).await.unwrap(), expected);
    }
    broker.twice.store(false, SeqCst);
    // What does not fit the schema of the other node reaches no actor.
    let error = remote.ask_within(LONG, Add { number: 101 }).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Refused(why) if why.contains("/number")), "{error}");
    let newer = here.actor::<NewerAdd>("there", "counter");
    let error = newer.ask_within(LONG, NewerAdd { numbers: vec![1] }).await.unwrap_err();
    assert!(matches!(&error, RemoteError::OtherSchema { .. }), "{error}");
    let other_answer = here.actor::<OtherAdd>("there", "counter");
    let error = other_answer.ask_within(LONG, OtherAdd { number: 1 }).await.unwrap_err();
    assert!(matches!(&error, RemoteError::OtherSchema { .. }), "{error}");
    let nobody = here.actor::<Add>("there", "nobody");
    let error = nobody.ask_within(LONG, Add { number: 1 }).await.unwrap_err();
    assert!(matches!(&error, RemoteError::NotOffered { actor, .. } if actor == "nobody"), "{error}");
    // A crash there is told here, and the actor is there again.
    let error = remote.ask_within(LONG, Add { number: 13 }).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Failed(why) if why.contains("panicked")), "{error}");
    assert_eq!(remote.ask_within(LONG, Add { number: 2 }).await.unwrap(), 2);
    system.shutdown(LONG).await;
    let error = remote.ask_within(LONG, Add { number: 1 }).await.unwrap_err();
    assert!(matches!(error, RemoteError::Failed(_)), "{error}");
}

#[tokio::test]
async fn a_node_that_is_away_costs_its_asker_a_bounded_time() {
    let broker = Arc::<Broker>::default();
    let here = node(&broker, "here");
    let nowhere = here.actor::<Add>("nowhere", "counter");
    let error = nowhere.ask_within(LONG, Add { number: 1 }).await.unwrap_err();
    assert!(matches!(&error, RemoteError::NoNode(node) if node == "nowhere"), "{error}");
    // Its queue is there, and nobody takes anything from it.
    let silent = Remote::new("silent", Arc::new(Connection(Arc::default())));
    broker.consumers.lock().insert(Remote::questions_queue("silent"), silent);
    let asked = here.actor::<Add>("silent", "counter");
    let error = asked.ask_within(Duration::from_millis(20), Add { number: 1 }).await.unwrap_err();
    assert!(matches!(error, RemoteError::TimedOut(_)), "{error}");
    // What comes in and is nothing harms nobody.
    for body in ["", "{}", r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057"}"#, "[1]"] {
        here.question(body.as_bytes(), Some(here.answers_queue())).await;
        here.answer(body.as_bytes());
    }
}
