//! The bus on RabbitMQ.
//!
//! Three actors rest on each other, each started anew with the one before it: the connection, the publisher, and one consumer for
//! each queue that is read, and for what other nodes say to this one. While the broker is away the connection is, as a state, being made; a channel that dies ends its
//! actor, whose next generation opens another one.

mod acks;
mod broker;
mod connection;
mod consumer;
mod gate;
mod link;
mod outbox;
mod pauses;
mod publisher;
mod remote;
mod settings;
mod topology;
mod window;

use std::{sync::Arc, time::Duration};

use callboard_supervisors::{
    Backoff, ChildSpec, OnExhausted, OnStartFailure, Placement, Strategy, SupervisorSpec,
};

use self::{
    broker::{Broker, brokers},
    connection::{BusConnection, ConnectionArgs},
    consumer::{Consumer, ConsumerArgs},
    link::Link,
    publisher::{Publisher, PublisherHandle},
    remote::{RemoteArgs, RemoteConsumer},
};
use super::{
    BusNumbers, Publish, Receive,
    sink::{BusSink, NAME},
};
use crate::{
    edges::{
        remote::Remote,
        sink::{SinkContext, SinkSpec},
    },
    roles::condition::Conditions,
};

pub use self::{
    broker::RabbitError,
    settings::{Declare, RabbitSettings},
};

/// Events of one page of the log.
const PAGE: u32 = 1000;
/// What a page of the log may take beside the broker's confirmations.
const MARGIN: Duration = Duration::from_secs(15);

/// A bus that is set up and does not run yet.
#[must_use = "a bus runs when its supervisor does"]
pub struct RabbitBus {
    link: Arc<Link>,
    brokers: Arc<[Broker]>,
    publisher: ChildSpec<Publisher>,
    handle: Arc<dyn Publish>,
    remote: Option<Remote>,
}

impl RabbitBus {
    /// Sets a bus up. Reads the file of certificate authorities, so it blocks; nothing is connected yet.
    ///
    /// # Errors
    /// A setting cannot work.
    pub fn new(
        settings: RabbitSettings,
        conditions: Conditions,
        numbers: BusNumbers,
    ) -> Result<Self, RabbitError> {
        let brokers = brokers(&settings)?.into();
        let link = Arc::new(Link::new(settings, conditions, numbers));
        let publisher = ChildSpec::<Publisher>::new("publisher", link.clone());
        let handle = Arc::new(PublisherHandle(publisher.actor_ref()));
        Ok(RabbitBus { link, brokers, publisher, handle, remote: None })
    }

    /// What sends messages; good before anything runs.
    pub fn publisher(&self) -> Arc<dyn Publish> {
        self.handle.clone()
    }

    /// Has other nodes ask this one, and this one them. The queues for it are declared each time, so it works only where the bus
    /// [declares](Declare::Declare) them; elsewhere whoever asks is told that.
    pub fn with_remote(mut self, remote: &Remote) -> Self {
        if self.link.settings.declare == Declare::Declare {
            self.remote = Some(remote.clone());
        } else {
            remote.listening(Err("it may not declare queues (`bus.declare`)".to_owned()));
        }
        self
    }

    /// What tells the bus of the log, if it is told anything.
    pub fn sink(&self) -> Option<SinkSpec> {
        let outward = self.link.settings.outward.clone();
        if outward.is_empty() {
            return None;
        }
        let publisher = self.publisher();
        let open = move |context: SinkContext| {
            Box::new(BusSink::new(outward.clone(), publisher.clone(), context)) as Box<_>
        };
        // Two windows may have to wait for the broker, one after the other.
        let timeout = 2 * self.link.settings.confirm_timeout + MARGIN;
        Some(SinkSpec { name: NAME.to_owned(), open: Arc::new(open), batch: PAGE, timeout })
    }

    /// The tree `bus`, to be put under the edges. `receive` decides about the messages of the queues that are read; without it none
    /// is.
    pub fn supervisor(self, receive: Option<Arc<dyn Receive>>) -> SupervisorSpec {
        let RabbitBus { link, brokers, publisher, handle, remote } = self;
        let settings = &link.settings;
        let (min, max) = (settings.backoff_min, settings.backoff_max.max(settings.backoff_min));
        let backoff =
            Backoff { min, max, reset_after: max.max(Duration::from_secs(1)), ..Backoff::default() };
        let subtree = |name: &str| {
            SupervisorSpec::new(name)
                .on_start_failure(OnStartFailure::Retry)
                .on_exhausted(OnExhausted::RetryAtMaxBackoff)
                .placement(Placement::Control)
                .backoff(backoff)
        };
        let mut queues = settings.consume.clone();
        queues.sort_unstable();
        queues.dedup();
        let read = receive.iter().flat_map(|receive| queues.iter().map(move |queue| (receive, *queue)));
        let consumers = read.fold(subtree("consumers"), |consumers, (receive, queue)| {
            let (link, receive, publish) = (link.clone(), receive.clone(), handle.clone());
            let args = ConsumerArgs { link, queue, receive, publish };
            consumers.child(ChildSpec::<Consumer>::new(queue.name(), args))
        });
        let consumers = match remote {
            Some(remote) => consumers.child(
                ChildSpec::<RemoteConsumer>::new("remote", RemoteArgs { link: link.clone(), remote })
                    .placement(Placement::Workers),
            ),
            None => consumers,
        };
        let connection =
            ChildSpec::<BusConnection>::new("connection", ConnectionArgs { link: link.clone(), brokers });
        subtree("bus").strategy(Strategy::RestForOne).child(connection).child(publisher).supervisor(consumers)
    }
}
