//! Who is told what the log says, through outages of his own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::{
    edges::{
        sink::{EventSink, SinkContext, SinkError, SinkSpec, Standing, StoredPosition},
        store::record::LogPage,
    },
    roles::Condition,
};
use callboard_contracts::{JobState, api::LogCursor};
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use serde_json::json;

use super::harness::{Folder, Node};

/// What the sinks of one name have in common: what was told, and whether they take anything.
#[derive(Default)]
struct Outside {
    told: Mutex<Vec<LogCursor>>,
    away: AtomicBool,
    /// Events after which the next page is taken, but not answered.
    lose_answer_after: AtomicU64,
    resumed: AtomicU64,
}

struct Sink {
    outside: Arc<Outside>,
    position: StoredPosition,
    from: Standing,
}

impl EventSink for Sink {
    fn resume(&mut self) -> BoxFuture<'_, Result<Standing, SinkError>> {
        async {
            if self.outside.away.load(SeqCst) {
                return Err(SinkError::NotReady("it is away".to_owned()));
            }
            self.outside.resumed.fetch_add(1, SeqCst);
            Ok(self.position.load().await?.map_or(self.from, Standing::At))
        }
        .boxed()
    }

    fn deliver(&mut self, page: LogPage) -> BoxFuture<'_, Result<(), SinkError>> {
        async move {
            if self.outside.away.load(SeqCst) {
                return Err(SinkError::NotReady("it is away".to_owned()));
            }
            let told = {
                let mut told = self.outside.told.lock();
                told.extend(page.events.iter().map(|event| event.cursor));
                told.len() as u64
            };
            let lose = self.outside.lose_answer_after.load(SeqCst);
            if lose > 0 && told >= lose {
                self.outside.lose_answer_after.store(0, SeqCst);
                return std::future::pending().await;
            }
            self.position.save(page.events.last().expect("pages have events").cursor).await
        }
        .boxed()
    }
}

fn spec(outside: &Arc<Outside>, from: Standing) -> SinkSpec {
    let outside = outside.clone();
    let open = move |SinkContext { store }| {
        let position = StoredPosition::new(store, "test");
        Box::new(Sink { outside: outside.clone(), position, from }) as Box<dyn EventSink>
    };
    SinkSpec { name: "test".to_owned(), open: Arc::new(open), batch: 3, timeout: Duration::from_millis(200) }
}

async fn node(folder: &Folder, outside: &Arc<Outside>, from: Standing) -> Node {
    Node::configured(folder, |config| config.sinks.push(spec(outside, from))).await
}

async fn run_jobs(node: &Node, count: usize) {
    let jobs = node.submit_all((0..count).map(|_| json!({"type": "noop"})).collect()).await;
    for job in jobs {
        node.reaches(job, JobState::Completed).await;
    }
}

/// Waits until the sink was told all that the log says, and that it says so.
async fn up_to_date(node: &Node, outside: &Outside) {
    node.until("a sink that is up to date", async || {
        let newest = *node.store.committed().borrow();
        let told = outside.told.lock().last().copied();
        let ready = node.conditions.get("observers/relay-test") == Some(Condition::Ready);
        (told == Some(newest) && ready).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_sink_is_told_each_event_once_and_in_order_and_goes_on_where_it_was() {
    let (folder, outside) = (Folder::new(), Arc::new(Outside::default()));
    let first = node(&folder, &outside, Standing::FromOldest).await;
    run_jobs(&first, 5).await;
    up_to_date(&first, &outside).await;
    first.stop().await;
    let second = node(&folder, &outside, Standing::FromOldest).await;
    run_jobs(&second, 5).await;
    up_to_date(&second, &outside).await;
    let told: Vec<u64> = outside.told.lock().iter().map(|cursor| cursor.position).collect();
    assert_eq!(told, (1..=40).collect::<Vec<_>>());
    second.stop().await;
}

#[tokio::test]
async fn a_sink_that_was_away_is_told_what_it_has_missed() {
    let (folder, outside) = (Folder::new(), Arc::new(Outside::default()));
    outside.away.store(true, SeqCst);
    let node = node(&folder, &outside, Standing::FromOldest).await;
    run_jobs(&node, 5).await;
    let why = node
        .until("a word about the sink", async || match node.conditions.get("observers/relay-test")? {
            Condition::Degraded(why) => Some(why),
            _ => None,
        })
        .await;
    assert_eq!(why, "not ready: it is away");
    outside.away.store(false, SeqCst);
    up_to_date(&node, &outside).await;
    assert_eq!(outside.told.lock().len(), 20);
    node.stop().await;
}

#[tokio::test]
async fn what_was_not_answered_in_time_is_told_again() {
    let (folder, outside) = (Folder::new(), Arc::new(Outside::default()));
    outside.lose_answer_after.store(7, SeqCst);
    let node = node(&folder, &outside, Standing::FromOldest).await;
    run_jobs(&node, 5).await;
    up_to_date(&node, &outside).await;
    assert!(outside.resumed.load(SeqCst) > 1);
    let mut told: Vec<u64> = outside.told.lock().iter().map(|cursor| cursor.position).collect();
    assert!(told.len() > 20, "the page without an answer was not told again: {told:?}");
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, (1..=20).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test]
async fn a_sink_that_begins_now_is_not_told_what_was_before() {
    let (folder, outside) = (Folder::new(), Arc::new(Outside::default()));
    let before = Node::start(&folder).await;
    run_jobs(&before, 5).await;
    before.stop().await;
    let node = node(&folder, &outside, Standing::FromNow).await;
    node.until("a sink that was asked", async || {
        (outside.resumed.load(SeqCst) > 0
            && node.conditions.get("observers/relay-test") == Some(Condition::Ready))
        .then_some(())
    })
    .await;
    run_jobs(&node, 1).await;
    up_to_date(&node, &outside).await;
    let told: Vec<u64> = outside.told.lock().iter().map(|cursor| cursor.position).collect();
    assert_eq!(told, [21, 22, 23, 24]);
    node.stop().await;
}
