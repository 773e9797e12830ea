//! ractor, whose mailboxes have no bound.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::mpsc::UnboundedSender;

use crate::contender::{ARRIVED, AsyncHandlers, Branch, Contender, Once, Ring, Skynet};

pub(crate) struct Counter;

#[derive(Default)]
pub(crate) struct State {
    count: u64,
    next: Option<ActorRef<Message>>,
}

pub(crate) enum Message {
    Add,
    AddPending,
    Get(RpcReplyPort<u64>),
    Link(ActorRef<Message>),
    Hop(u64),
}

impl Actor for Counter {
    type Msg = Message;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State::default())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add => state.count += 1,
            Message::AddPending => {
                Once::default().await;
                state.count += 1;
            }
            // Whoever asked may have gone away.
            Message::Get(port) => drop(port.send(state.count)),
            Message::Link(next) => state.next = Some(next),
            Message::Hop(hops) => match (hops, &state.next) {
                (1.., Some(next)) => next.cast(Message::Hop(hops - 1))?,
                _ => ARRIVED.notify_one(),
            },
        }
        Ok(())
    }
}

pub(crate) struct Ractor;

impl Contender for Ractor {
    type Address = ActorRef<Message>;

    async fn start(_: Option<usize>) -> Self::Address {
        Actor::spawn(None, Counter, ()).await.expect("it starts").0
    }

    fn offer(address: &Self::Address) -> bool {
        address.cast(Message::Add).is_ok()
    }

    async fn send(address: &Self::Address) {
        Self::tell(address);
    }

    async fn ask(address: &Self::Address) -> u64 {
        address.call(Message::Get, None).await.expect("it lives").expect("an answer")
    }

    async fn stop(address: Self::Address) {
        address.stop_and_wait(None, None).await.expect("it lives");
    }
}

impl AsyncHandlers for Ractor {
    fn tell_ready(address: &Self::Address) {
        // Every handler of ractor's is async.
        Self::tell(address);
    }

    fn tell_pending(address: &Self::Address) {
        address.cast(Message::AddPending).expect("it lives");
    }
}

impl Ring for Ractor {
    fn link(address: &Self::Address, next: Self::Address) {
        address.cast(Message::Link(next)).expect("it lives");
    }

    fn hop(address: &Self::Address, hops: u64) {
        address.cast(Message::Hop(hops)).expect("it lives");
    }
}

enum Above {
    Branch(ActorRef<u64>),
    Asker(UnboundedSender<u64>),
}

impl Above {
    fn report(&self, sum: u64) {
        match self {
            Above::Branch(above) => above.cast(sum).expect("it lives"),
            Above::Asker(asker) => asker.send(sum).expect("it waits"),
        }
    }
}

struct Node;

impl Actor for Node {
    type Msg = u64;
    type State = (Branch, Above);
    type Arguments = (Branch, Above);

    async fn pre_start(
        &self,
        _: ActorRef<u64>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(arguments)
    }

    async fn post_start(
        &self,
        myself: ActorRef<u64>,
        (branch, above): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(number) = branch.leaf() {
            above.report(number);
            myself.stop(None);
            return Ok(());
        }
        for branch in branch.children() {
            Actor::spawn(None, Node, (branch, Above::Branch(myself.clone()))).await?;
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<u64>,
        sum: u64,
        (branch, above): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(sum) = branch.add(sum) {
            above.report(sum);
            myself.stop(None);
        }
        Ok(())
    }
}

impl Skynet for Ractor {
    async fn skynet(sum: UnboundedSender<u64>) {
        Actor::spawn(None, Node, (Branch::ROOT, Above::Asker(sum))).await.expect("it starts");
    }
}
