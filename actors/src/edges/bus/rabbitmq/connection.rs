//! [`BusConnection`]: the actor that owns the connection.
//!
//! While there is none it tries the brokers in turn, with growing pauses: an outage is a state of this actor. Once a
//! connection is lost the actor ends, and the supervisor starts the whole stack anew on the next one.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use callboard_supervisors::{Actor, Context, StartError};
use futures_util::{Stream, StreamExt};
use lapin::{Connection, Event};
use tokio::time::{sleep, timeout};

use super::{broker::Broker, link::Link, pauses::Pauses};
use crate::roles::condition::Condition;

/// How often a connection is looked at that nobody complains of.
const LOOK: Duration = Duration::from_secs(1);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Owns the connection to the broker.
pub(super) struct BusConnection {
    link: Arc<Link>,
    path: String,
}

#[derive(Clone)]
pub(super) struct ConnectionArgs {
    pub(super) link: Arc<Link>,
    pub(super) brokers: Arc<[Broker]>,
}

impl Actor for BusConnection {
    type Args = ConnectionArgs;

    async fn start(args: ConnectionArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let path = cx.path();
        let link = args.link.clone();
        // Nothing of an earlier generation is left to the others.
        drop(link.disconnected());
        // Why the last connection was lost stays to be seen until there is another one.
        if !matches!(link.conditions.get(&path), Some(Condition::Degraded(_))) {
            link.say(&path, Condition::Starting("connecting to the broker".to_owned()));
        }
        let actor = path.clone();
        cx.spawn_then(live(args, actor), |(), _, cx| cx.stop());
        Ok(BusConnection { link, path })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        if let Some(connection) = self.link.disconnected()
            && connection.status().connected()
        {
            self.link.say(&self.path, Condition::Stopping);
            // A broker that does not answer any more loses the connection all the same.
            let _ = timeout(FAREWELL, connection.close(200, "goodbye".into())).await;
        }
    }
}

/// One connection's life.
async fn live(ConnectionArgs { link, brokers }: ConnectionArgs, path: String) {
    let connection = Arc::new(connect(&link, &brokers, &path).await);
    let events = connection.events_listener();
    link.connected(connection.clone());
    link.say(&path, Condition::Ready);
    let why = watch(&link, &connection, events, &path).await;
    link.disconnected();
    link.say(&path, Condition::Degraded(format!("the connection is lost: {why}")));
}

/// Tries the brokers in turn until one takes us.
async fn connect(link: &Link, brokers: &[Broker], path: &str) -> Connection {
    let limit = link.settings.connect_timeout;
    let mut pauses = Pauses::new(&link.settings);
    // What a broker that stands still has not answered is waited for again in the next round, and not asked a second time.
    let mut tries: Vec<_> = brokers.iter().map(|_| None).collect();
    loop {
        let mut problems = Vec::new();
        for (broker, open) in brokers.iter().zip(&mut tries) {
            let connecting = open.get_or_insert_with(|| broker.connect());
            match timeout(limit, connecting).await {
                Ok(Ok(connection)) => {
                    tracing::info!(%broker, "connected to the broker");
                    return connection;
                }
                Ok(Err(problem)) => {
                    *open = None;
                    problems.push(problem);
                }
                Err(_) => problems.push(format!("{broker}: no answer within {limit:?}")),
            }
        }
        link.say(path, Condition::Degraded(format!("no broker can be reached: {}", problems.join("; "))));
        sleep(pauses.next()).await;
    }
}

/// Returns when the connection is gone, and why it is.
async fn watch(
    link: &Link,
    connection: &Connection,
    events: impl Stream<Item = Event>,
    path: &str,
) -> String {
    let mut events = pin!(events);
    let mut why = None;
    loop {
        // In this order: the broker's own word says more than that it is gone.
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    link.set_blocked(Some(reason.to_string()));
                    link.say(path, Condition::Degraded(format!("the broker takes no messages: {reason}")));
                }
                Some(Event::ConnectionUnblocked) => {
                    link.set_blocked(None);
                    link.say(path, Condition::Ready);
                }
                // Of a channel, too: whose it is will hear of it.
                Some(Event::Error(error)) => why = Some(error.to_string()),
                Some(_) => {}
                None => return why.unwrap_or_else(|| "it was closed".to_owned()),
            },
            () = link.suspected() => {}
            () = sleep(LOOK) => {}
        }
        if !connection.status().connected() {
            // The last word may be on its way.
            let last = poll_fn(|task| match events.as_mut().poll_next(task) {
                Poll::Ready(Some(Event::Error(error))) => Poll::Ready(Some(error.to_string())),
                _ => Poll::Ready(None),
            });
            return last.await.or(why).unwrap_or_else(|| "the broker has gone".to_owned());
        }
    }
}
