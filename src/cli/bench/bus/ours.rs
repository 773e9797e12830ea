//! Our edge: its actors, in a tree of their own.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use callboard::{ActorSystem, SupervisorSpec};
use callboard_actors::{
    edges::bus::{
        BusNumbers, Delivery, Destination, InboundQueue, OutgoingMessage, Publish, Receive, Verdict,
        rabbitmq::{RabbitBus, RabbitSettings},
    },
    roles::{Condition, Conditions},
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{Task, Times, broken, queue::NAME};
use crate::cli::output::Failure;

/// Messages of one call, as the log's pages are.
const PAGE: usize = 1000;
/// How long anything may take that normally takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes whatever comes, and counts it.
struct Counting {
    taken: AtomicUsize,
    all: usize,
    began: OnceLock<Instant>,
    done: Notify,
}

/// The same, as the bus knows it.
struct Taking(Arc<Counting>);

impl Receive for Taking {
    fn receive(&self, _: Delivery) -> BoxFuture<'static, Verdict> {
        let counting = &self.0;
        counting.began.get_or_init(Instant::now);
        if counting.taken.fetch_add(1, Relaxed) + 1 == counting.all {
            counting.done.notify_one();
        }
        std::future::ready(Verdict::Done).boxed()
    }
}

pub(super) async fn run(task: &Task) -> Result<Times, Failure> {
    let settings = RabbitSettings {
        window: task.window.into(),
        prefetch: task.prefetch,
        ..RabbitSettings::new(task.url.clone())
    };
    let publish = publish(task, settings.clone()).await?;
    let consume = consume(task, RabbitSettings { consume: vec![InboundQueue::Outcomes], ..settings }).await?;
    Ok(Times { publish, consume })
}

async fn publish(task: &Task, settings: RabbitSettings) -> Result<Duration, Failure> {
    let bus = Bus::start(settings, None).await?;
    bus.ready("bus/publisher").await?;
    let began = Instant::now();
    let mut left = task.messages;
    // The next page is put together while the one before is under way, as two programs would that publish at once.
    let mut under_way: Option<tokio::task::JoinHandle<_>> = None;
    while left > 0 {
        let page = left.min(PAGE);
        left -= page;
        let messages = (0..page).map(|_| OutgoingMessage {
            destination: Destination::Queue(NAME.to_owned()),
            id: Uuid::now_v7(),
            body: task.body.clone(),
            correlation_id: Uuid::now_v7(),
            passing: None,
        });
        let publishing = tokio::spawn(bus.publisher.publish(messages.collect()));
        if let Some(before) = under_way.replace(publishing) {
            settled(before).await?;
        }
    }
    if let Some(last) = under_way {
        settled(last).await?;
    }
    let took = began.elapsed();
    bus.system.shutdown(PATIENCE).await;
    Ok(took)
}

async fn settled(
    publishing: tokio::task::JoinHandle<Vec<Result<(), callboard_actors::edges::bus::PublishError>>>,
) -> Result<(), Failure> {
    let results = publishing.await.map_err(broken)?;
    results.into_iter().try_for_each(|result| result.map_err(broken))
}

async fn consume(task: &Task, settings: RabbitSettings) -> Result<Duration, Failure> {
    let counting = Arc::new(Counting {
        taken: AtomicUsize::new(0),
        all: task.messages,
        began: OnceLock::new(),
        done: Notify::new(),
    });
    let bus = Bus::start(settings, Some(Arc::new(Taking(counting.clone())))).await?;
    let limit = PATIENCE + Duration::from_millis(task.messages as u64);
    timeout(limit, counting.done.notified()).await.map_err(|_| broken("not all messages came"))?;
    let took = counting.began.get().map(Instant::elapsed).unwrap_or_default();
    bus.system.shutdown(PATIENCE).await;
    Ok(took)
}

struct Bus {
    system: ActorSystem,
    publisher: Arc<dyn Publish>,
    conditions: Conditions,
}

impl Bus {
    async fn start(settings: RabbitSettings, receive: Option<Arc<dyn Receive>>) -> Result<Self, Failure> {
        let conditions = Conditions::new();
        let bus = RabbitBus::new(settings, conditions.clone(), BusNumbers::default()).map_err(broken)?;
        let publisher = bus.publisher();
        let root = SupervisorSpec::new("root").supervisor(bus.supervisor(receive));
        let system = ActorSystem::builder("bench").executors(1).start(root).await.map_err(broken)?;
        Ok(Bus { system, publisher, conditions })
    }

    async fn ready(&self, actor: &str) -> Result<(), Failure> {
        let began = Instant::now();
        while self.conditions.get(actor) != Some(Condition::Ready) {
            if began.elapsed() > PATIENCE {
                return Err(broken("it cannot be reached"));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}
