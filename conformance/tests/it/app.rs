//! An app whose store, broker and readers are an embedding program's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard::{
    App, AppError, SupervisorSpec,
    config::{QueueSettings, ServedBy},
    contracts::{JobState, api::SubmitJob},
    ports::{
        Sharing,
        breaker::GuardSettings,
        bus::{Delivery, Inbound, OutgoingMessage, Outward, Publish, PublishError, Verdict},
        outside::OutsideEdge,
        store::{SqliteOptions, SqliteStore, Store, StoreError},
    },
};
use callboard_conformance::node::PATIENCE;
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

/// A broker that keeps what it is sent, and nothing else.
#[derive(Clone, Default)]
struct Broker(Arc<watch::Sender<Vec<OutgoingMessage>>>);

impl Publish for Broker {
    fn publish(&self, messages: Vec<OutgoingMessage>) -> BoxFuture<'static, Vec<Result<(), PublishError>>> {
        let count = messages.len();
        self.0.send_modify(|sent| sent.extend(messages));
        std::future::ready(vec![Ok(()); count]).boxed()
    }
}

#[tokio::test]
async fn a_store_and_a_broker_of_ones_own_carry_a_job_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let options = SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join("ours.db")) };
    let open = {
        let opened = opened.clone();
        move || match opened.fetch_add(1, SeqCst) {
            // One that comes later is waited for.
            0 => Err(StoreError::NotReady("it is mounted soon".to_owned())),
            _ => Ok(SqliteStore::open(options.clone())? as Arc<dyn Store>),
        }
    };
    let broker = Broker::default();
    let (give, receive) = oneshot::channel();
    let events = Outward { exchange: Some("events".to_owned()), queues: Vec::new() };
    let telling = events.sink(Arc::new(broker.clone()), Duration::from_secs(10)).unwrap();
    let app = App::builder()
        .data_dir(folder.path().join("data"))
        .configure(|settings| {
            let outside = QueueSettings { served_by: ServedBy::Bus, ..settings.queues["default"].clone() };
            settings.queues.insert("outside".to_owned(), outside);
        })
        .store("our own store", Sharing::OneNode, open)
        .sink(telling)
        .publisher(Arc::new(broker.clone()))
        .consumers(|receive| {
            give.send(receive).ok().expect("the test waits for it");
            SupervisorSpec::new("ours")
        })
        .start()
        .await
        .unwrap();
    assert!(opened.load(SeqCst) > 1 && folder.path().join("ours.db").exists());
    let receive = receive.await.unwrap();

    let job =
        SubmitJob { job_type: "noop".to_owned(), queue: Some("outside".to_owned()), ..SubmitJob::default() };
    let id = app.submit_job(job).await.unwrap().id;
    let mut sent = broker.0.subscribe();
    let is_job =
        |message: &&OutgoingMessage| format!("{:?}", message.destination).contains("callboard.jobs.outside");
    let message = {
        let sent = timeout(PATIENCE, sent.wait_for(|sent| sent.iter().any(|message| is_job(&message)))).await;
        sent.expect("the job is sent").unwrap().iter().find(is_job).unwrap().clone()
    };
    let mut outcome: Value = serde_json::from_slice(&message.body).unwrap();
    outcome["eventType"] = json!("job.completed");
    outcome["eventId"] = json!(Uuid::now_v7());
    outcome["payload"]["result"] = json!({"sum": 17});
    let delivery =
        Delivery { inbound: Inbound::Outcome, body: outcome.to_string().into(), redelivered: false };
    assert_eq!(receive.receive(delivery).await, Verdict::Done);
    let job = timeout(PATIENCE, app.wait(id)).await.unwrap().unwrap();
    assert_eq!((job.summary.state, job.result), (JobState::Completed, Some(json!({"sum": 17}))));
    // And the world is told.
    let told = |sent: &Vec<OutgoingMessage>| {
        sent.iter().any(|message| format!("{:?}", message.destination).contains("job.completed"))
    };
    timeout(PATIENCE, sent.wait_for(told)).await.expect("the end is told").unwrap();
    app.stop().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_named_and_two_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Err(StoreError::Corrupt("it is torn".to_owned()));
    let builder = App::builder().data_dir(folder.path());
    let refused = builder.store("our own store", Sharing::OneNode, open).start().await.err().unwrap();
    assert_eq!(refused.to_string(), "our own store: the store is damaged: it is torn");

    let builder = App::builder().data_dir(folder.path());
    let guard = builder.guard("disk", GuardSettings::default());
    let edge = OutsideEdge { guard, ping: Arc::new(|| std::future::ready(()).boxed()), upkeep: None };
    let refused = builder.edge(edge.clone()).edge(edge).start().await.err().unwrap();
    assert!(matches!(refused, AppError::SameName(_)), "{refused}");
    assert!(refused.to_string().contains("\"disk\" among the edges"), "{refused}");
}
