//! [`Probe`]: an address whose messages the test looks at.

use std::{fmt, future::Future, panic::Location, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    actix::Message,
    envelope::{Refused, Sealed},
    error::{AskError, SendError},
    meta::{Kind, Meta, StopReason},
    reference::{Admitted, Receive, Recipient},
    reply::ReplyTo,
    task::caught,
    testkit::{
        DEADLINE,
        backlog::{Backlog, Missed, Refusal},
    },
    waiting::Target,
};

/// Unless said otherwise, a probe keeps so many messages that were not looked at.
const CAPACITY: usize = 1024;

type Replier<M> = Arc<dyn Fn(&M) -> <M as ::actix::Message>::Result + Send + Sync>;

struct Shared<M: Message> {
    meta: Meta,
    messages: Backlog<Asked<M>>,
    replier: Mutex<Option<Replier<M>>>,
}

impl<M: Message> Shared<M> {
    fn take(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        match self.messages.admit() {
            Ok(()) => {}
            Err(Refusal::Full) => return Err(SendError::Full(envelope)),
            Err(Refusal::Closed) => return Err(SendError::Stopped(envelope)),
        }
        let (message, mut to) = envelope.unseal();
        let replier = self.replier.lock().clone().filter(|_| to.is_asked());
        if let Some(replier) = replier {
            // The sender is not to blame for a panic in here.
            match caught(|| replier(&message)) {
                Ok(reply) => std::mem::replace(&mut to, ReplyTo::nobody()).send(reply),
                Err(_) => to.refuse(AskError::Panicked),
            }
        }
        self.messages.put(Asked { message, to });
        Ok(())
    }
}

impl<M: Message> Receive<M> for Shared<M> {
    fn offer(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        self.take(envelope)
    }

    fn try_admit(&self, envelope: Box<Sealed<M>>) -> Result<(), Refused<M>> {
        self.take(envelope)
    }

    fn admit(self: Arc<Self>, envelope: Box<Sealed<M>>) -> Admitted<M> {
        Box::pin(async move { Err(SendError::Full(envelope)) })
    }

    fn is_alive(&self) -> bool {
        !self.messages.is_closed()
    }

    fn depth(&self) -> usize {
        self.messages.waiting()
    }
}

impl<M: Message> Target for Shared<M> {
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// A message with the way back to whoever asked. Dropped unanswered, it tells the asker `Stopped`.
///
/// ```
/// # use callboard_supervisors::{AskError, Message, testkit::{Asked, Probe, run}};
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Price(&'static str);
/// run(async {
///     let mut shop = Probe::<Price>::new("shop");
///     let address = shop.recipient();
///     let (tea, milk, ()) = tokio::join!(address.ask(Price("tea")), address.ask(Price("milk")), async {
///         let first: Asked<Price> = shop.expect_ask().await;
///         assert_eq!(first.message.0, "tea");
///         let second = shop.expect_ask().await;
///         second.reply(2); // in any order
///         drop(first);
///     });
///     assert_eq!((tea, milk), (Err(AskError::Stopped), Ok(2)));
/// });
/// ```
pub struct Asked<M: Message> {
    /// What came.
    pub message: M,
    to: ReplyTo<M::Result>,
}

impl<M: Message> Asked<M> {
    /// Answers, and gives the message. The answer to an asker who went away is dropped.
    pub fn reply(self, result: M::Result) -> M {
        self.to.send(result);
        self.message
    }
}

impl<M: Message> fmt::Debug for Asked<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked<{}>", std::any::type_name::<M>())
    }
}

/// Stands in for an actor that handles `M`, without a system: it keeps what is sent to it, and the test says what it
/// expects. Asks are answered by [`reply_with`](Self::reply_with), or one by one with [`expect_ask`](Self::expect_ask).
///
/// It keeps 1024 messages that were not looked at; further ones are refused as `Full`, at once. When the probe is
/// dropped, its address is that of an actor that is gone for good.
///
/// ```
/// use callboard_supervisors::{AskError, Message, testkit::{Probe, run}};
///
/// #[derive(Message)]
/// #[message(reply = u64)]
/// struct Price(&'static str);
///
/// run(async {
///     let mut shop = Probe::<Price>::new("shop");
///     let address = shop.recipient();
///     let (price, ()) = tokio::join!(address.ask(Price("tea")), async {
///         let asked = shop.expect_ask().await;
///         assert_eq!(asked.reply(3).0, "tea");
///     });
///     assert_eq!(price, Ok(3));
///
///     shop.reply_with(|price| u64::try_from(price.0.len()).expect("a short name"));
///     assert_eq!(address.ask(Price("milk")).await, Ok(4));
///     shop.expect_matching(|price| price.0 == "milk").await;
///
///     drop(shop);
///     assert_eq!(address.ask(Price("tea")).await, Err(AskError::Stopped));
/// });
/// ```
pub struct Probe<M: Message>(Arc<Shared<M>>);

impl<M: Message> fmt::Debug for Probe<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe<{}>(`{}`)", std::any::type_name::<M>(), self.0.meta.name())
    }
}

impl<M: Message> Drop for Probe<M> {
    fn drop(&mut self) {
        self.0.messages.close();
        self.0.meta.end(StopReason::Normal);
    }
}

impl<M: Message> Probe<M> {
    /// The name shows in failures.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Probe::bounded(name, CAPACITY)
    }

    /// One that keeps at most so many messages.
    pub fn bounded(name: impl Into<Arc<str>>, capacity: usize) -> Self {
        Probe(Arc::new(Shared {
            meta: Meta::new(name.into(), Kind::Actor, std::any::type_name::<Self>()),
            messages: Backlog::new(capacity),
            replier: Mutex::new(None),
        }))
    }

    /// Its address.
    pub fn recipient(&self) -> Recipient<M> {
        Recipient::of(self.0.clone())
    }

    /// Answers asks from now on, at once and on the asker's thread; the messages are kept as before. A panic in `reply`
    /// is the asker's [`AskError::Panicked`].
    pub fn reply_with(&self, reply: impl Fn(&M) -> M::Result + Send + Sync + 'static) {
        let before = self.0.replier.lock().replace(Arc::new(reply));
        drop(before);
    }

    /// How many messages came, taken or refused.
    pub fn count(&self) -> u64 {
        self.0.messages.came()
    }

    /// How many messages are there that were not looked at.
    pub fn waiting(&self) -> usize {
        self.0.messages.waiting()
    }

    /// All messages that are there, oldest first, without waiting. Their askers hear `Stopped` if they were not
    /// answered.
    pub fn take_all(&mut self) -> Vec<M> {
        self.0.messages.take_all().into_iter().map(|asked| asked.message).collect()
    }

    /// The next message, within 3 s. An asker without an answer hears `Stopped`. Dropping the future takes nothing.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect(&mut self) -> impl Future<Output = M> {
        self.expect_within(DEADLINE)
    }

    /// As [`expect`](Self::expect), with another limit.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect_within(&mut self, limit: Duration) -> impl Future<Output = M> {
        let at = Location::caller();
        async move { self.next(at, limit, "a", |_| true).await.message }
    }

    /// The first message, within 3 s, of which `matches` is true. Those before it stay for later expectations.
    ///
    /// # Panics
    /// When none comes that matches.
    #[track_caller]
    pub fn expect_matching(&mut self, matches: impl FnMut(&M) -> bool) -> impl Future<Output = M> {
        self.expect_matching_within(DEADLINE, matches)
    }

    /// As [`expect_matching`](Self::expect_matching), with another limit.
    ///
    /// # Panics
    /// When none comes that matches.
    #[track_caller]
    pub fn expect_matching_within(
        &mut self,
        limit: Duration,
        mut matches: impl FnMut(&M) -> bool,
    ) -> impl Future<Output = M> {
        let at = Location::caller();
        async move { self.next(at, limit, "a matching", |asked| matches(&asked.message)).await.message }
    }

    /// The next message that somebody waits on the answer of, within 3 s. Others stay for later expectations.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect_ask(&mut self) -> impl Future<Output = Asked<M>> {
        let at = Location::caller();
        async move { self.next(at, DEADLINE, "an asked", |asked| asked.to.is_asked()).await }
    }

    /// Checks that for so long no message comes, and that none is there. On the paused clock this is exact: everything
    /// that can happen until then has happened.
    ///
    /// # Panics
    /// When there is one.
    #[track_caller]
    pub fn expect_none_within(&mut self, time: Duration) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let began = Instant::now();
            if self.0.messages.next(time, |_| true).await.is_ok() {
                let (probe, after) = (&*self, began.elapsed());
                let more = probe.waiting();
                panic!(
                    "{at}: {probe:?} was to get nothing for {time:?}; one came after {after:?}, and {more} more"
                );
            }
        }
    }

    async fn next(
        &self,
        at: &Location<'_>,
        limit: Duration,
        what: &str,
        matches: impl FnMut(&Asked<M>) -> bool,
    ) -> Asked<M> {
        match self.0.messages.next(limit, matches).await {
            Ok(asked) => asked,
            Err(Missed { others, came, lost }) => {
                let name = std::any::type_name::<M>();
                panic!(
                    "{at}: {self:?} expected {what} `{name}` within {limit:?}; it has {others} others, and got {came} in \
                     all, of which {lost} found no room"
                );
            }
        }
    }
}
