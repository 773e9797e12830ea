//! Bare tokio: a task that reads a channel. Nobody watches over it.

use tokio::{
    sync::{
        mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel},
        oneshot,
    },
    task::spawn_local,
};

use crate::contender::{ARRIVED, AsyncHandlers, Branch, Contender, Once, Ring, Skynet};

pub(crate) enum Message {
    Add,
    AddPending,
    Get(oneshot::Sender<u64>),
    Link(Address),
    Hop(u64),
    /// The sender is dropped when the task is at its end.
    End(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(crate) enum Address {
    Bounded(Sender<Message>),
    Unbounded(UnboundedSender<Message>),
}

impl Address {
    fn offer(&self, message: Message) -> bool {
        match self {
            Address::Bounded(sender) => sender.try_send(message).is_ok(),
            Address::Unbounded(sender) => sender.send(message).is_ok(),
        }
    }

    async fn send(&self, message: Message) {
        let sent = match self {
            Address::Bounded(sender) => sender.send(message).await.is_ok(),
            Address::Unbounded(sender) => sender.send(message).is_ok(),
        };
        assert!(sent, "it lives");
    }
}

trait Receive {
    async fn next(&mut self) -> Option<Message>;
}

impl Receive for Receiver<Message> {
    async fn next(&mut self) -> Option<Message> {
        self.recv().await
    }
}

impl Receive for UnboundedReceiver<Message> {
    async fn next(&mut self) -> Option<Message> {
        self.recv().await
    }
}

async fn count(mut receiver: impl Receive) {
    let (mut count, mut next) = (0, None::<Address>);
    while let Some(message) = receiver.next().await {
        match message {
            Message::Add => count += 1,
            Message::AddPending => {
                Once::default().await;
                count += 1;
            }
            // Whoever asked may have gone away.
            Message::Get(to) => drop(to.send(count)),
            Message::Link(to) => next = Some(to),
            Message::Hop(hops) => match (hops, &next) {
                (1.., Some(next)) => assert!(next.offer(Message::Hop(hops - 1)), "there is room"),
                _ => ARRIVED.notify_one(),
            },
            Message::End(done) => {
                drop((next, receiver));
                drop(done);
                return;
            }
        }
    }
}

pub(crate) struct Tokio;

impl Contender for Tokio {
    type Address = Address;

    async fn start(capacity: Option<usize>) -> Address {
        match capacity {
            Some(capacity) => {
                let (sender, receiver) = channel(capacity);
                spawn_local(count(receiver));
                Address::Bounded(sender)
            }
            None => {
                let (sender, receiver) = unbounded_channel();
                spawn_local(count(receiver));
                Address::Unbounded(sender)
            }
        }
    }

    fn offer(address: &Address) -> bool {
        address.offer(Message::Add)
    }

    async fn send(address: &Address) {
        address.send(Message::Add).await;
    }

    async fn ask(address: &Address) -> u64 {
        let (to, answer) = oneshot::channel();
        address.send(Message::Get(to)).await;
        answer.await.expect("an answer")
    }

    async fn stop(address: Address) {
        let (done, end) = oneshot::channel::<()>();
        address.send(Message::End(done)).await;
        assert!(end.await.is_err(), "it is dropped");
    }
}

impl AsyncHandlers for Tokio {
    fn tell_ready(address: &Address) {
        Self::tell(address);
    }

    fn tell_pending(address: &Address) {
        assert!(address.offer(Message::AddPending), "there is room");
    }
}

impl Ring for Tokio {
    fn link(address: &Address, next: Address) {
        assert!(address.offer(Message::Link(next)), "there is room");
    }

    fn hop(address: &Address, hops: u64) {
        assert!(address.offer(Message::Hop(hops)), "there is room");
    }
}

async fn node(mut branch: Branch, above: UnboundedSender<u64>) {
    let report = |sum| above.send(sum).expect("it waits");
    if let Some(number) = branch.leaf() {
        return report(number);
    }
    let (myself, mut below) = unbounded_channel();
    for branch in branch.children() {
        spawn_local(node_boxed(branch, myself.clone()));
    }
    while let Some(number) = below.recv().await {
        if let Some(sum) = branch.add(number) {
            return report(sum);
        }
    }
}

/// A future cannot contain itself.
fn node_boxed(branch: Branch, above: UnboundedSender<u64>) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(node(branch, above))
}

impl Skynet for Tokio {
    async fn skynet(sum: UnboundedSender<u64>) {
        spawn_local(node(Branch::ROOT, sum));
    }
}
