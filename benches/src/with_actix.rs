//! Bare actix: no supervision.

use actix::prelude::*;

use crate::contender::Contender;

pub(crate) struct Counter {
    count: u64,
    capacity: usize,
}

impl Actor for Counter {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        // 0 is no bound.
        context.set_mailbox_capacity(self.capacity);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Add;

impl Handler<Add> for Counter {
    type Result = ();
    fn handle(&mut self, _: Add, _: &mut Self::Context) {
        self.count += 1;
    }
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Get;

impl Handler<Get> for Counter {
    type Result = u64;
    fn handle(&mut self, _: Get, _: &mut Self::Context) -> u64 {
        self.count
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct End;

impl Handler<End> for Counter {
    type Result = ();
    fn handle(&mut self, _: End, context: &mut Self::Context) {
        context.stop();
    }
}

pub(crate) struct Actix;

impl Contender for Actix {
    type Address = Addr<Counter>;

    async fn start(capacity: Option<usize>) -> Self::Address {
        Counter { count: 0, capacity: capacity.unwrap_or(0) }.start()
    }

    fn tell(address: &Self::Address) {
        address.do_send(Add);
    }

    async fn send(address: &Self::Address) {
        while address.try_send(Add).is_err() {
            tokio::task::yield_now().await;
        }
    }

    async fn ask(address: &Self::Address) -> u64 {
        address.send(Get).await.expect("an answer")
    }

    async fn stop(address: Self::Address) {
        address.do_send(End);
        while address.connected() {
            tokio::task::yield_now().await;
        }
    }
}
