//! What a user writes for each message: a [`Handler`] (async, exclusive) or a [`PlainHandler`] (plain, or concurrent).

use std::{
    future::{Future, pending},
    task::Context as Task,
};

use tracing::Span;

use crate::{
    actix::Message,
    actor::Actor,
    context::Context,
    core::{Core, run_exclusive, run_plain},
    reply::ReplyTo,
};

/// Handles `M` with the actor held exclusively: the next message waits until the future is done.
///
/// This is also the one bound that generic code needs, whatever the kind: `A: Handler<M>`.
///
/// While the future waits, futures spawned earlier and [`Later`](crate::Later) replies go on; timers that want the
/// actor fire when it is free again. A body that is ready at once costs little more than a plain one.
///
/// A kill drops the future at its next await, and whoever asked hears `Stopped`.
///
/// ```
/// use callboard_supervisors::*;
///
/// #[derive(Message)]
/// #[message(reply = usize)]
/// struct Append(&'static str);
///
/// /// Stands for a file.
/// async fn write(_text: &str) -> std::io::Result<()> {
///     Ok(())
/// }
///
/// struct Journal(usize);
/// # impl Actor for Journal {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Journal(0)) }
/// # }
///
/// impl Handler<Append> for Journal {
///     async fn handle(&mut self, Append(line): Append, _: &mut Context<Self>) -> usize {
///         write(line).await.expect("a disk with room"); // no other line comes in between
///         self.0 += 1;
///         self.0
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Journal>::new("journal", ());
/// # let journal = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// assert_eq!(journal.ask(Append("first")).await, Ok(1));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "the actor `{Self}` does not handle the message `{M}`",
    note = "implement `Handler<{M}>` (async) or `PlainHandler<{M}>` (plain or concurrent) for `{Self}`"
)]
pub trait Handler<M: Message>: Actor {
    /// Handles one message. A panic ends this generation of the actor; the asker hears `Panicked`.
    fn handle(&mut self, message: M, cx: &mut Context<Self>) -> impl Future<Output = M::Result>;

    /// Of waiting messages of this type with the same key only the newest is handled, in the place of the oldest. The
    /// one that is replaced is [undelivered](crate::Undelivered), its asker hears `Evicted`. What the actor has taken
    /// already, a batch of up to 64, is out of reach. A replacement finds room also in a full mailbox, unless others
    /// wait for room before it. Runs on the sender's side, and a panic in here is the sender's. Default: no key.
    ///
    /// ```
    /// # use callboard_supervisors::*;
    /// #[derive(Message)]
    /// struct Moved {
    ///     window: u64,
    ///     to: (u32, u32),
    /// }
    /// # struct Screen;
    /// # impl Actor for Screen {
    /// #     type Args = ();
    /// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Screen) }
    /// # }
    ///
    /// impl PlainHandler<Moved> for Screen {
    ///     type Reply = ();
    ///     fn handle(&mut self, moved: Moved, _: &mut Context<Self>) {
    ///         println!("window {} is at {:?}", moved.window, moved.to);
    ///     }
    ///
    ///     /// Where a window was in between does not matter.
    ///     fn coalesce(moved: &Moved) -> Option<u64> {
    ///         Some(moved.window)
    ///     }
    /// }
    /// assert_eq!(<Screen as Handler<Moved>>::coalesce(&Moved { window: 7, to: (0, 0) }), Some(7));
    /// ```
    fn coalesce(_message: &M) -> Option<u64> {
        None
    }

    #[doc(hidden)]
    fn __run(
        core: &mut Core<Self>,
        message: M,
        to: ReplyTo<M::Result>,
        span: Option<Box<Span>>,
        task: &mut Task<'_>,
    ) {
        run_exclusive(core, message, to, span, task);
    }
}

/// Handles `M` at once (`type Reply = M::Result`), or hands back a future that does not borrow the actor
/// (`type Reply = Later<M::Result>`) while further messages are handled.
///
/// ```
/// use callboard_supervisors::*;
///
/// #[derive(Message)]
/// #[message(reply = u32)]
/// struct Put(u32);
///
/// #[derive(Message)]
/// #[message(reply = u32)]
/// struct Price;
///
/// struct Stock(u32);
/// # impl Actor for Stock {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Stock(0)) }
/// # }
///
/// /// At once.
/// impl PlainHandler<Put> for Stock {
///     type Reply = u32;
///     fn handle(&mut self, Put(more): Put, _: &mut Context<Self>) -> u32 {
///         self.0 += more;
///         self.0
///     }
/// }
///
/// /// Beside other messages.
/// impl PlainHandler<Price> for Stock {
///     type Reply = Later<u32>;
///     fn handle(&mut self, _: Price, _: &mut Context<Self>) -> Later<u32> {
///         Later::new(async {
///             tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///             3
///         })
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Stock>::new("stock", ());
/// # let stock = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// assert_eq!(stock.ask(Put(2)).await, Ok(2));
/// assert_eq!(stock.ask(Price).await, Ok(3));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait PlainHandler<M: Message>: Actor {
    /// The message's result, or [`Later`](crate::Later).
    type Reply: Reply<Self, M::Result>;

    /// Handles one message. A panic ends this generation of the actor; the asker hears `Panicked`.
    fn handle(&mut self, message: M, cx: &mut Context<Self>) -> Self::Reply;

    /// As [`Handler::coalesce`].
    fn coalesce(_message: &M) -> Option<u64> {
        None
    }
}

/// The one blanket impl that the coherence rules leave room for (as `ToString` beside `Display`).
impl<A: PlainHandler<M>, M: Message> Handler<M> for A {
    async fn handle(&mut self, message: M, cx: &mut Context<Self>) -> M::Result {
        let (to, reply) = ReplyTo::pair();
        PlainHandler::handle(self, message, cx).answer(to, cx);
        match reply.await {
            Ok(Ok(result)) => result,
            // The reply was dropped because this generation ends, and with it this future.
            _ => pending().await,
        }
    }

    fn coalesce(message: &M) -> Option<u64> {
        <A as PlainHandler<M>>::coalesce(message)
    }

    fn __run(
        core: &mut Core<Self>,
        message: M,
        to: ReplyTo<M::Result>,
        span: Option<Box<Span>>,
        _: &mut Task<'_>,
    ) {
        run_plain(core, message, to, span);
    }
}

/// What a [`PlainHandler`] may return. Implemented for every type and for [`Later`](crate::Later); nobody else
/// implements it.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = Result<u32, String>)]
/// # struct Parse(&'static str);
/// # struct Parser;
/// # impl Actor for Parser {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Parser) }
/// # }
/// # struct Patient;
/// # impl Actor for Patient {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Patient) }
/// # }
/// impl PlainHandler<Parse> for Parser {
///     type Reply = Result<u32, String>; // the message's result
///     fn handle(&mut self, Parse(text): Parse, _: &mut Context<Self>) -> Self::Reply {
///         text.parse().map_err(|_| format!("`{text}` is no number"))
///     }
/// }
///
/// impl PlainHandler<Parse> for Patient {
///     type Reply = Later<Result<u32, String>>; // or the same, later
///     fn handle(&mut self, Parse(text): Parse, _: &mut Context<Self>) -> Self::Reply {
///         Later::new(async move { text.parse().map_err(|_| format!("`{text}` is no number")) })
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let (a, b) = (ChildSpec::<Parser>::new("a", ()), ChildSpec::<Patient>::new("b", ()));
/// # let (parser, patient) = (a.actor_ref(), b.actor_ref());
/// # let root = SupervisorSpec::new("root").child(a).child(b);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// assert_eq!(parser.ask(Parse("7")).await?, Ok(7));
/// assert_eq!(patient.ask(Parse("x")).await?, Err("`x` is no number".to_owned()));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Reply<A: Actor, R> {
    #[doc(hidden)]
    fn answer(self, to: ReplyTo<R>, cx: &mut Context<A>);
}

impl<A: Actor, R> Reply<A, R> for R {
    fn answer(self, to: ReplyTo<R>, _: &mut Context<A>) {
        to.send(self);
    }
}
