//! Streams into an actor.

use std::pin::pin;

use futures_util::{Stream, StreamExt};

use crate::{
    actix::Message,
    actor::Actor,
    context::{Cancel, Context},
    envelope::Sealed,
    handler::Handler,
};

impl<A: Actor> Context<A> {
    /// Sends this actor all that a stream yields, each item as a message in its turn, until the stream or this
    /// generation ends or the handle cancels it. The stream is polled on the actor's thread, and only when there is
    /// room in the mailbox, whatever the mailbox's policy: no item is refused, though a newer one of its
    /// [key](Handler::coalesce) may replace it, and the actor holds the stream back when it is slower. A panic in the
    /// stream ends this generation; items that wait in the mailbox then are handled by the next, the stream is not:
    /// attach it in [`Actor::start`].
    ///
    /// Of tokio's channels an `mpsc::Receiver` has [`attach_receiver`](Self::attach_receiver); the others become
    /// streams by the wrappers of the crate `tokio-stream`.
    pub fn attach<M: Message>(&mut self, stream: impl Stream<Item = M> + 'static) -> StreamHandle
    where
        A: Handler<M>,
    {
        self.attach_then(stream, |_, _| {})
    }

    /// As [`attach`](Self::attach); `ended` runs on the actor when the stream has ended by itself. Items of it may
    /// still wait in the mailbox then.
    ///
    /// ```
    /// # use callboard_supervisors::*;
    /// use futures_util::stream;
    ///
    /// #[derive(Message)]
    /// struct Line(&'static str);
    ///
    /// #[derive(Message)]
    /// struct End;
    ///
    /// struct Reader(Vec<&'static str>);
    ///
    /// impl Actor for Reader {
    ///     type Args = ();
    ///     async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
    ///         cx.attach_then(stream::iter([Line("one"), Line("two")]), |_, cx| {
    ///             // Sent to itself, the end comes after the lines that wait.
    ///             cx.send_after(std::time::Duration::ZERO, cx.myself(), End);
    ///         });
    ///         Ok(Reader(Vec::new()))
    ///     }
    /// }
    ///
    /// impl PlainHandler<Line> for Reader {
    ///     type Reply = ();
    ///     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
    ///         self.0.push(line);
    ///     }
    /// }
    ///
    /// impl PlainHandler<End> for Reader {
    ///     type Reply = ();
    ///     fn handle(&mut self, _: End, cx: &mut Context<Self>) {
    ///         assert_eq!(self.0, ["one", "two"]);
    ///         cx.stop();
    ///     }
    /// }
    /// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// # let spec = ChildSpec::<Reader>::new("reader", ()).restart(Restart::Temporary);
    /// # let reader = spec.actor_ref();
    /// # let root = SupervisorSpec::new("root").child(spec);
    /// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
    /// assert_eq!(reader.watch().await, StopReason::Normal);
    /// # system.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn attach_then<M: Message>(
        &mut self,
        stream: impl Stream<Item = M> + 'static,
        ended: impl FnOnce(&mut A, &mut Context<A>) + 'static,
    ) -> StreamHandle
    where
        A: Handler<M>,
    {
        let (handle, shared) = (StreamHandle::default(), self.shared.clone());
        let cancel = handle.0.clone();
        let reading = async move {
            let mut stream = pin!(stream);
            while let Some(Some(item)) = cancel.or(stream.next()).await {
                // Refused only when the actor is gone, and this future with it.
                if cancel
                    .or(shared.admit_in_time(Sealed::tell(item)))
                    .await
                    .is_none_or(|taken| taken.is_err())
                {
                    return false;
                }
            }
            !cancel.is_cancelled()
        };
        self.spawn_then(reading, |by_itself, actor, cx| {
            if by_itself {
                ended(actor, cx);
            }
        });
        handle
    }

    /// As [`attach`](Self::attach), for the receiving end of a tokio channel.
    pub fn attach_receiver<M: Message>(
        &mut self,
        mut receiver: tokio::sync::mpsc::Receiver<M>,
    ) -> StreamHandle
    where
        A: Handler<M>,
    {
        self.attach(futures_util::stream::poll_fn(move |task| receiver.poll_recv(task)))
    }
}

/// A stream that an actor reads. Dropping it does nothing: the stream is read on.
///
/// ```
/// # use callboard_supervisors::*;
/// # use tokio::sync::mpsc;
/// # #[derive(Message)]
/// # struct Line(String);
/// # #[derive(Message)]
/// # struct Read(mpsc::Receiver<Line>);
/// struct Reader(Option<StreamHandle>);
/// # impl Actor for Reader {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Reader(None)) }
/// # }
/// # impl PlainHandler<Line> for Reader {
/// #     type Reply = ();
/// #     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) { println!("{line}"); }
/// # }
///
/// impl PlainHandler<Read> for Reader {
///     type Reply = ();
///     fn handle(&mut self, Read(lines): Read, cx: &mut Context<Self>) {
///         let before = self.0.replace(cx.attach_receiver(lines));
///         before.iter().for_each(StreamHandle::cancel); // one at a time
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Reader>::new("reader", ());
/// # let reader = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// let (first, receiver) = mpsc::channel(8);
/// reader.ask(Read(receiver)).await?;
/// first.send(Line("one".to_owned())).await?;
/// let (_second, receiver) = mpsc::channel(8);
/// reader.ask(Read(receiver)).await?;
/// first.closed().await; // its stream is dropped
/// assert!(first.send(Line("two".to_owned())).await.is_err());
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct StreamHandle(Cancel);

impl StreamHandle {
    /// The stream is dropped, and no item of it is taken any more. Those that wait in the mailbox are handled.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
