//! The cases of the suite of buses.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use callboard_actors::edges::bus::{DEAD_LETTERS, Destination, OutgoingMessage, Publish, PublishError};
use callboard_supervisors::{ActorSystem, SupervisorSpec};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Subject, Taken,
    receiver::{Asked, LETTER, Receiver, Receiving, times},
};
use crate::Server;

/// How long anything may take that normally takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody outside looks again.
const LOOK: Duration = Duration::from_millis(20);
const QUEUE: &str = "callboard.test";

/// Carries a case out.
pub fn start(case: impl Future<Output = ()>) {
    crate::block_on(case);
}

/// A bus that runs.
struct Bus {
    system: ActorSystem,
    publisher: Arc<dyn Publish>,
    receiver: Arc<Receiver>,
}

impl Bus {
    async fn start<S: Subject>(server: &S::Server) -> Self {
        let subject = S::new(server);
        let (publisher, receiver) = (subject.publisher(), Receiver::new());
        let tree = subject.supervisor(Arc::new(Receiving(receiver.clone())));
        let root = SupervisorSpec::new("root").supervisor(tree);
        let system = ActorSystem::builder("test").start(root).await.unwrap();
        Bus { system, publisher, receiver }
    }

    /// On a broker that has the test's queue.
    async fn ready<S: Subject>() -> (S::Server, Self) {
        let mut server = S::server();
        server.start();
        let bus = Self::start::<S>(&server).await;
        S::declare(&server, QUEUE).await;
        (server, bus)
    }

    async fn publish(&self, messages: Vec<OutgoingMessage>) -> Vec<Result<(), PublishError>> {
        let count = messages.len();
        let answers = timeout(PATIENCE, self.publisher.publish(messages)).await.expect("a call ends");
        assert_eq!(answers.len(), count, "each message has its answer");
        answers
    }

    /// Publishes each message until it is confirmed.
    async fn publish_all(&self, messages: Vec<OutgoingMessage>) {
        timeout(PATIENCE, publish_all(&self.publisher, messages)).await.expect("they are confirmed");
    }

    async fn stop(self) {
        self.system.shutdown(PATIENCE).await;
    }
}

async fn publish_all(publisher: &Arc<dyn Publish>, mut messages: Vec<OutgoingMessage>) {
    while !messages.is_empty() {
        let mut answers = publisher.publish(messages.clone()).await.into_iter();
        messages.retain(|_| match answers.next().expect("each message has its answer") {
            Ok(()) => false,
            Err(PublishError::NotReady(_) | PublishError::TimedOut(_)) => true,
            Err(error) => panic!("{error}"),
        });
        if !messages.is_empty() {
            sleep(LOOK).await;
        }
    }
}

fn message(queue: &str, number: usize) -> OutgoingMessage {
    OutgoingMessage {
        destination: Destination::Queue(queue.to_owned()),
        id: Uuid::now_v7(),
        body: number.to_string().into(),
        correlation_id: Uuid::now_v7(),
        passing: None,
    }
}

fn messages(count: usize) -> Vec<OutgoingMessage> {
    (0..count).map(|number| message(QUEUE, number)).collect()
}

fn ids(messages: &[OutgoingMessage]) -> Vec<Uuid> {
    messages.iter().map(|message| message.id).collect()
}

/// Takes all that is in the queue.
async fn drain<S: Subject>(server: &S::Server, queue: &str) -> Vec<Taken> {
    let mut all = Vec::new();
    while let Some(taken) = S::take(server, queue).await {
        all.push(taken);
    }
    all
}

/// Waits until it holds of what was asked about.
async fn until(receiver: &Receiver, what: &str, mut holds: impl FnMut(&Asked) -> bool) {
    let mut asked = receiver.asked.subscribe();
    let waited = timeout(PATIENCE, asked.wait_for(|asked| holds(asked))).await;
    let Ok(waited) = waited else { panic!("{what}: {:?} within {PATIENCE:?}", *receiver.asked.borrow()) };
    drop(waited.expect("the receiver is there"));
}

pub async fn what_is_confirmed_has_arrived_in_its_order<S: Subject>() {
    let (server, bus) = Bus::ready::<S>().await;
    bus.publish_all(messages(1)).await;
    assert_eq!(drain::<S>(&server, QUEUE).await.len(), 1);
    let sent = messages(500);
    for answer in bus.publish(sent.clone()).await {
        answer.unwrap();
    }
    let expected: Vec<_> = sent.into_iter().map(|sent| Taken { id: sent.id, body: sent.body }).collect();
    assert_eq!(drain::<S>(&server, QUEUE).await, expected);
    bus.stop().await;
}

pub async fn a_message_for_a_queue_that_is_not_there_is_refused_alone<S: Subject>() {
    let (server, bus) = Bus::ready::<S>().await;
    bus.publish_all(messages(1)).await;
    drain::<S>(&server, QUEUE).await;
    let sent = [message(QUEUE, 0), message("callboard.nowhere", 1), message(QUEUE, 2)];
    let answers = bus.publish(sent.to_vec()).await;
    assert!(
        matches!(&answers[..], [Ok(()), Err(PublishError::NoQueue(_) | PublishError::Refused(_)), Ok(())]),
        "{answers:?}"
    );
    let found: Vec<_> = drain::<S>(&server, QUEUE).await.into_iter().map(|taken| taken.id).collect();
    assert_eq!(found, [sent[0].id, sent[2].id]);
    bus.stop().await;
}

pub async fn many_publish_at_once_and_each_hears_of_his_own<S: Subject>() {
    let (server, bus) = Bus::ready::<S>().await;
    bus.publish_all(messages(1)).await;
    drain::<S>(&server, QUEUE).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let publisher = bus.publisher.clone();
        calls.spawn(async move {
            let queue = |number| if number % 5 == 3 { "callboard.nowhere" } else { QUEUE };
            let sent: Vec<_> = (0..50).map(|number| message(queue(number), number)).collect();
            let answers = publisher.publish(sent.clone()).await;
            for (number, answer) in answers.iter().enumerate() {
                assert_eq!(answer.is_err(), number % 5 == 3, "{number}: {answer:?}");
            }
            let good = sent.iter().enumerate().filter(|(number, _)| number % 5 != 3);
            good.map(|(_, sent)| sent.id).collect::<Vec<_>>()
        });
    }
    let sent = timeout(PATIENCE, calls.join_all()).await.expect("each call ends");
    let found: Vec<_> = drain::<S>(&server, QUEUE).await.into_iter().map(|taken| taken.id).collect();
    assert_eq!(found.len(), 16 * 40);
    for sent in sent {
        let of_one: Vec<_> = found.iter().filter(|id| sent.contains(id)).copied().collect();
        assert_eq!(of_one, sent, "the messages of a call are in their order");
    }
    bus.stop().await;
}

pub async fn a_broker_that_is_absent_is_an_answer_and_is_found_when_it_comes<S: Subject>() {
    let mut server = S::server();
    let bus = Bus::start::<S>(&server).await;
    for answer in bus.publish(messages(3)).await {
        assert!(matches!(answer, Err(PublishError::NotReady(_) | PublishError::TimedOut(_))), "{answer:?}");
    }
    server.start();
    S::declare(&server, QUEUE).await;
    let sent = messages(3);
    bus.publish_all(sent.clone()).await;
    let found: BTreeSet<_> = drain::<S>(&server, QUEUE).await.into_iter().map(|taken| taken.id).collect();
    assert_eq!(found, ids(&sent).into_iter().collect());
    bus.stop().await;
}

pub async fn what_was_confirmed_outlives_the_death_of_the_broker<S: Subject>() {
    let (mut server, bus) = Bus::ready::<S>().await;
    // It is the messages that are to be kept; the queue has been there for long.
    server.stop();
    server.start();
    let (enough, stop) = watch::channel(false);
    let (confirmed, mut count) = watch::channel(Vec::new());
    let publisher = bus.publisher.clone();
    let publishing = tokio::spawn(async move {
        while !*stop.borrow() {
            let sent = messages(50);
            publish_all(&publisher, sent.clone()).await;
            confirmed.send_modify(|confirmed: &mut Vec<_>| confirmed.extend(ids(&sent)));
        }
        confirmed.borrow().clone()
    });
    let more = async |count: &mut watch::Receiver<Vec<Uuid>>, than: usize| {
        let waited = timeout(PATIENCE, count.wait_for(|ids| ids.len() > than)).await;
        waited.expect("messages are confirmed").expect("somebody publishes").len()
    };
    let before = more(&mut count, 200).await;
    server.kill();
    server.start();
    more(&mut count, before + 200).await;
    enough.send_replace(true);
    let confirmed = timeout(PATIENCE, publishing).await.expect("it ends").unwrap();
    let found: BTreeSet<_> = drain::<S>(&server, QUEUE).await.into_iter().map(|taken| taken.id).collect();
    let lost = confirmed.iter().filter(|id| !found.contains(id)).count();
    assert_eq!(lost, 0, "of {} that were confirmed", confirmed.len());
    bus.stop().await;
}

pub async fn a_broker_that_does_not_answer_keeps_nobody<S: Subject>() {
    let (server, bus) = Bus::ready::<S>().await;
    bus.publish_all(messages(1)).await;
    server.freeze();
    let answers = bus.publish(messages(3)).await;
    server.thaw();
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    let sent = messages(3);
    bus.publish_all(sent.clone()).await;
    let found: Vec<_> = drain::<S>(&server, QUEUE).await.into_iter().map(|taken| taken.id).collect();
    assert!(ids(&sent).iter().all(|id| found.contains(id)));
    bus.stop().await;
}

pub async fn each_message_that_comes_in_is_decided_about<S: Subject>() {
    let (server, bus) = Bus::ready::<S>().await;
    let reads = S::READS.name();
    S::declare(&server, reads).await;
    S::declare(&server, DEAD_LETTERS).await;
    for text in ["\"done\"", "\"invalid\""] {
        S::send(&server, reads, text).await;
    }
    let receiver = bus.receiver.clone();
    until(&receiver, "each message", |asked| {
        ["\"done\"", "\"invalid\""].iter().all(|text| times(asked, text) > 0)
    })
    .await;
    let letter = async {
        loop {
            match S::take(&server, DEAD_LETTERS).await {
                Some(letter) => break letter,
                None => sleep(LOOK).await,
            }
        }
    };
    let letter = timeout(PATIENCE, letter).await.expect("a dead letter");
    assert_eq!(&*letter.body, LETTER.as_bytes());
    // What is put off may hold up the others: nothing is said of them.
    S::send(&server, reads, "\"later\"").await;
    until(&receiver, "the message again", |asked| times(asked, "\"later\"") > 1).await;
    let before = receiver.times("\"later\"");
    receiver.well.send_replace(true);
    until(&receiver, "the one that was put off", |asked| times(asked, "\"later\"") > before).await;
    S::send(&server, reads, "\"last\"").await;
    until(&receiver, "the last one", |asked| times(asked, "\"last\"") > 0).await;
    assert!(receiver.asked.borrow().iter().all(|(inbound, _)| *inbound == S::READS.inbound()));
    bus.stop().await;
    // What is done with does not come again.
    let bus = Bus::start::<S>(&server).await;
    S::send(&server, reads, "\"new\"").await;
    let receiver = bus.receiver.clone();
    until(&receiver, "the new one", |asked| times(asked, "\"new\"") > 0).await;
    assert_eq!([receiver.times("\"done\""), receiver.times("\"invalid\"")], [0, 0]);
    bus.stop().await;
}

pub async fn what_was_not_decided_comes_again<S: Subject>() {
    let (server, bus) = Bus::ready::<S>().await;
    let reads = S::READS.name();
    S::declare(&server, reads).await;
    S::send(&server, reads, "\"never\"").await;
    let receiver = bus.receiver.clone();
    until(&receiver, "the message", |asked| times(asked, "\"never\"") > 0).await;
    bus.system.shutdown(Duration::ZERO).await;
    let bus = Bus::start::<S>(&server).await;
    let receiver = bus.receiver.clone();
    until(&receiver, "the message again", |asked| times(asked, "\"never\"") > 0).await;
    bus.system.shutdown(Duration::ZERO).await;
}
