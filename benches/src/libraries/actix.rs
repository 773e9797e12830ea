//! Bare actix: no supervision.

use actix::prelude::*;
use tokio::sync::mpsc::UnboundedSender;

use crate::contender::{ARRIVED, AsyncHandlers, Branch, Contender, Once, Ring, Skynet};

pub(crate) struct Counter {
    count: u64,
    capacity: usize,
    next: Option<Addr<Counter>>,
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
#[rtype(result = "()")]
struct AddReady;

impl Handler<AddReady> for Counter {
    type Result = AtomicResponse<Self, ()>;
    fn handle(&mut self, _: AddReady, _: &mut Self::Context) -> Self::Result {
        AtomicResponse::new(Box::pin(async {}.into_actor(self).map(|(), this, _| this.count += 1)))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct AddPending;

impl Handler<AddPending> for Counter {
    type Result = AtomicResponse<Self, ()>;
    fn handle(&mut self, _: AddPending, _: &mut Self::Context) -> Self::Result {
        AtomicResponse::new(Box::pin(Once::default().into_actor(self).map(|(), this, _| this.count += 1)))
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
struct Link(Addr<Counter>);

impl Handler<Link> for Counter {
    type Result = ();
    fn handle(&mut self, link: Link, _: &mut Self::Context) {
        self.next = Some(link.0);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Hop(u64);

impl Handler<Hop> for Counter {
    type Result = ();
    fn handle(&mut self, hop: Hop, _: &mut Self::Context) {
        match (hop.0, &self.next) {
            (1.., Some(next)) => next.do_send(Hop(hop.0 - 1)),
            _ => ARRIVED.notify_one(),
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct End;

impl Handler<End> for Counter {
    type Result = ();
    fn handle(&mut self, _: End, context: &mut Self::Context) {
        self.next = None;
        context.stop();
    }
}

pub(crate) struct Actix;

impl Contender for Actix {
    type Address = Addr<Counter>;

    async fn start(capacity: Option<usize>) -> Self::Address {
        Counter { count: 0, capacity: capacity.unwrap_or(0), next: None }.start()
    }

    fn offer(address: &Self::Address) -> bool {
        address.try_send(Add).is_ok()
    }

    fn tell(address: &Self::Address) {
        address.do_send(Add);
    }

    async fn send(address: &Self::Address) {
        // `Addr::send` waits for room, but for the reply as well.
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
            Once::default().await;
        }
    }
}

impl AsyncHandlers for Actix {
    fn tell_ready(address: &Self::Address) {
        address.do_send(AddReady);
    }

    fn tell_pending(address: &Self::Address) {
        address.do_send(AddPending);
    }
}

impl Ring for Actix {
    fn link(address: &Self::Address, next: Self::Address) {
        address.do_send(Link(next));
    }

    fn hop(address: &Self::Address, hops: u64) {
        address.do_send(Hop(hops));
    }
}

enum Above {
    Branch(Addr<Node>),
    Asker(UnboundedSender<u64>),
}

impl Above {
    fn report(&self, sum: u64) {
        match self {
            Above::Branch(above) => above.do_send(Sum(sum)),
            Above::Asker(asker) => asker.send(sum).expect("it waits"),
        }
    }
}

struct Node {
    branch: Branch,
    above: Above,
}

impl Actor for Node {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        if let Some(number) = self.branch.leaf() {
            self.above.report(number);
            return context.stop();
        }
        for branch in self.branch.children() {
            Node { branch, above: Above::Branch(context.address()) }.start();
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Sum(u64);

impl Handler<Sum> for Node {
    type Result = ();
    fn handle(&mut self, sum: Sum, context: &mut Self::Context) {
        if let Some(sum) = self.branch.add(sum.0) {
            self.above.report(sum);
            context.stop();
        }
    }
}

impl Skynet for Actix {
    async fn skynet(sum: UnboundedSender<u64>) {
        Node { branch: Branch::ROOT, above: Above::Asker(sum) }.start();
    }
}
