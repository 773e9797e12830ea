//! kameo.

use std::{convert::Infallible, time::Duration};

use kameo::{mailbox, prelude::*};
use tokio::sync::mpsc::UnboundedSender;

use crate::contender::{ARRIVED, AsyncHandlers, Branch, Contender, Once, Ring, Skynet};

#[derive(Actor, Clone)]
pub(crate) struct Counter {
    count: u64,
    next: Option<ActorRef<Counter>>,
}

const NEW: Counter = Counter { count: 0, next: None };

struct Add;

impl Message<Add> for Counter {
    type Reply = ();
    async fn handle(&mut self, _: Add, _: &mut Context<Self, ()>) {
        self.count += 1;
    }
}

struct AddPending;

impl Message<AddPending> for Counter {
    type Reply = ();
    async fn handle(&mut self, _: AddPending, _: &mut Context<Self, ()>) {
        Once::default().await;
        self.count += 1;
    }
}

struct Get;

impl Message<Get> for Counter {
    type Reply = u64;
    async fn handle(&mut self, _: Get, _: &mut Context<Self, u64>) -> u64 {
        self.count
    }
}

struct Link(ActorRef<Counter>);

impl Message<Link> for Counter {
    type Reply = ();
    async fn handle(&mut self, link: Link, _: &mut Context<Self, ()>) {
        self.next = Some(link.0);
    }
}

struct Hop(u64);

impl Message<Hop> for Counter {
    type Reply = ();
    async fn handle(&mut self, hop: Hop, _: &mut Context<Self, ()>) {
        match (hop.0, &self.next) {
            (1.., Some(next)) => next.tell(Hop(hop.0 - 1)).try_send().expect("there is room"),
            _ => ARRIVED.notify_one(),
        }
    }
}

struct Break;

impl Message<Break> for Counter {
    type Reply = ();
    async fn handle(&mut self, _: Break, _: &mut Context<Self, ()>) {
        panic!("{}", crate::EXPECTED_PANIC);
    }
}

pub(crate) struct Kameo;

impl Contender for Kameo {
    type Address = ActorRef<Counter>;

    async fn start(capacity: Option<usize>) -> Self::Address {
        let mailbox = capacity.map_or_else(mailbox::unbounded, mailbox::bounded);
        Counter::spawn_with_mailbox(NEW, mailbox)
    }

    fn offer(address: &Self::Address) -> bool {
        address.tell(Add).try_send().is_ok()
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

impl AsyncHandlers for Kameo {
    fn tell_ready(address: &Self::Address) {
        // Every handler of kameo's is async.
        Self::tell(address);
    }

    fn tell_pending(address: &Self::Address) {
        address.tell(AddPending).try_send().expect("there is room");
    }
}

impl Ring for Kameo {
    fn link(address: &Self::Address, next: Self::Address) {
        address.tell(Link(next)).try_send().expect("there is room");
    }

    fn hop(address: &Self::Address, hops: u64) {
        address.tell(Hop(hops)).try_send().expect("there is room");
    }
}

#[derive(Actor)]
pub(crate) struct Supervisor;

impl Kameo {
    /// A counter that its supervisor restarts under the same address, as long as the supervisor is referred to.
    pub(crate) async fn supervised() -> (ActorRef<Supervisor>, ActorRef<Counter>) {
        let supervisor = Supervisor::spawn(Supervisor);
        let child = Counter::supervise(&supervisor, NEW).restart_limit(u32::MAX, Duration::from_millis(1));
        let child = child.spawn().await;
        (supervisor, child)
    }

    /// The message that panics, and the wait until the asker has heard of it.
    pub(crate) async fn crash(address: &ActorRef<Counter>) {
        drop(address.ask(Break).await);
    }
}

#[derive(Clone)]
enum Above {
    Branch(ActorRef<Node>),
    Asker(UnboundedSender<u64>),
}

impl Above {
    fn report(&self, sum: u64) {
        match self {
            Above::Branch(above) => above.tell(Sum(sum)).try_send().expect("there is room"),
            Above::Asker(asker) => asker.send(sum).expect("it waits"),
        }
    }
}

struct Node {
    branch: Branch,
    above: Above,
}

impl Node {
    fn begin(branch: Branch, above: Above) {
        Node::spawn_with_mailbox(Node { branch, above }, mailbox::unbounded());
    }
}

impl Actor for Node {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(this: Self, myself: ActorRef<Self>) -> Result<Self, Infallible> {
        if let Some(number) = this.branch.leaf() {
            this.above.report(number);
            // There is room for it, so nothing is waited for.
            myself.stop_gracefully().await.expect("it lives");
        }
        for branch in this.branch.children() {
            Node::begin(branch, Above::Branch(myself.clone()));
        }
        Ok(this)
    }
}

struct Sum(u64);

impl Message<Sum> for Node {
    type Reply = ();
    async fn handle(&mut self, sum: Sum, context: &mut Context<Self, ()>) {
        if let Some(sum) = self.branch.add(sum.0) {
            self.above.report(sum);
            context.stop();
        }
    }
}

impl Skynet for Kameo {
    async fn skynet(sum: UnboundedSender<u64>) {
        Node::begin(Branch::ROOT, Above::Asker(sum));
    }
}
