//! RabbitMQ as the suite of buses sees it.

use std::{sync::Arc, time::Duration};

use callboard_actors::{
    edges::bus::{
        BusNumbers, InboundQueue, Publish, Receive,
        rabbitmq::{RabbitBus, RabbitSettings},
    },
    roles::Conditions,
};
use callboard_conformance::{
    Server,
    bus::{Subject, Taken},
};
use callboard_supervisors::SupervisorSpec;
use callboard_testsupport::PrivateRabbit;
use lapin::options::QueueDeclareOptions;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::support::{Outside, PATIENCE, settings_at};

callboard_conformance::bus_suite!(cases: Rabbit);

/// A broker of a test's own, and who is outside, connected once he is needed.
struct Broker {
    broker: PrivateRabbit,
    outside: Mutex<Option<Arc<Outside>>>,
}

impl Broker {
    async fn outside(&self) -> Arc<Outside> {
        let known = self.outside.lock().clone();
        if let Some(known) = known {
            return known;
        }
        let outside = Arc::new(Outside::connect(&self.broker.url()).await);
        self.outside.lock().insert(outside).clone()
    }
}

impl Server for Broker {
    fn start(&mut self) {
        self.broker.start_again();
    }

    fn stop(&mut self) {
        *self.outside.lock() = None;
        self.broker.stop();
    }

    fn kill(&mut self) {
        *self.outside.lock() = None;
        self.broker.kill();
    }

    fn freeze(&self) {
        self.broker.freeze();
    }

    fn thaw(&self) {
        self.broker.thaw();
    }
}

struct Rabbit {
    bus: RabbitBus,
}

impl Subject for Rabbit {
    const READS: InboundQueue = InboundQueue::Outcomes;

    type Server = Broker;

    fn server() -> Broker {
        Broker { broker: PrivateRabbit::prepare(), outside: Mutex::default() }
    }

    fn new(server: &Broker) -> Self {
        let settings = RabbitSettings {
            consume: vec![Self::READS],
            confirm_timeout: Duration::from_secs(2),
            ..settings_at(&server.broker.url())
        };
        Rabbit { bus: RabbitBus::new(settings, Conditions::new(), BusNumbers::default()).unwrap() }
    }

    fn publisher(&self) -> Arc<dyn Publish> {
        self.bus.publisher()
    }

    fn supervisor(self, receive: Arc<dyn Receive>) -> SupervisorSpec {
        self.bus.supervisor(Some(receive))
    }

    async fn declare(server: &Broker, queue: &str) {
        // Those that everybody knows the bus makes, in its own way.
        if queue == "callboard.test" {
            return server.outside().await.queue(queue, &[]).await;
        }
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = async {
            loop {
                // What is not there ends the channel.
                let outside = Outside::connect(&server.broker.url()).await;
                if outside.channel.queue_declare(queue.into(), passive, Default::default()).await.is_ok() {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, declared).await.expect("the bus makes its queues");
    }

    async fn send(server: &Broker, queue: &str, body: &str) {
        server.outside().await.send(queue, body.as_bytes()).await;
    }

    async fn take(server: &Broker, queue: &str) -> Option<Taken> {
        let taken = server.outside().await.get(queue).await?.delivery;
        let id = taken.properties.message_id().as_ref()?.as_str().parse().ok()?;
        Some(Taken { id, body: taken.data.into() })
    }
}
