//! kameo.

use kameo::{mailbox, prelude::*};

use crate::contender::Contender;

#[derive(Actor)]
pub(crate) struct Counter(u64);

pub(crate) struct Add;

impl Message<Add> for Counter {
    type Reply = ();
    async fn handle(&mut self, _: Add, _: &mut Context<Self, ()>) {
        self.0 += 1;
    }
}

pub(crate) struct Get;

impl Message<Get> for Counter {
    type Reply = u64;
    async fn handle(&mut self, _: Get, _: &mut Context<Self, u64>) -> u64 {
        self.0
    }
}

pub(crate) struct Kameo;

impl Contender for Kameo {
    type Address = ActorRef<Counter>;

    async fn start(capacity: Option<usize>) -> Self::Address {
        let mailbox = capacity.map_or_else(mailbox::unbounded, mailbox::bounded);
        Counter::spawn_with_mailbox(Counter(0), mailbox)
    }

    fn tell(address: &Self::Address) {
        address.tell(Add).try_send().expect("there is room");
    }

    async fn send(address: &Self::Address) {
        address.tell(Add).await.expect("there is room in time");
    }

    async fn ask(address: &Self::Address) -> u64 {
        address.ask(Get).await.expect("an answer")
    }

    async fn stop(address: Self::Address) {
        address.stop_gracefully().await.expect("it lives");
        address.wait_for_shutdown().await;
    }
}
