//! ractor, whose mailboxes have no bound.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::contender::Contender;

pub(crate) struct Counter;

pub(crate) enum Message {
    Add,
    Get(RpcReplyPort<u64>),
}

impl Actor for Counter {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add => *count += 1,
            // Whoever asked may have gone away.
            Message::Get(port) => drop(port.send(*count)),
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

    fn tell(address: &Self::Address) {
        address.cast(Message::Add).expect("it lives");
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
