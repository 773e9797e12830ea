//! Messages, replies, and the kinds of handler.

use std::{error::Error, time::Duration};

use callboard_supervisors::{
    Actor, AskError, ChildSpec, Context, Handler, Later, Message, PlainHandler, Recipient, StartError,
    SupervisorSpec,
    testkit::{TestSystem, run},
};
use tokio::{task::spawn_blocking, time::sleep};

#[derive(Message)]
#[message(reply = u32)]
struct Put(u32);

#[derive(Message)]
#[message(reply = bool)]
struct Take(u32);

#[derive(Message)]
#[message(reply = u32)]
struct Price;

#[derive(Message)]
#[message(reply = u64)]
struct Checksum(Vec<u8>);

#[derive(Message)]
struct Audit;

struct Stock {
    pieces: u32,
    auditor: Recipient<Audit>,
}

impl Actor for Stock {
    type Args = Recipient<Audit>;
    async fn start(auditor: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Stock { pieces: 0, auditor })
    }
}

/// Stand for a disk and for a network.
async fn write_down(_pieces: u32) {
    sleep(Duration::from_millis(1)).await;
}
async fn look_up() -> u32 {
    sleep(Duration::from_secs(1)).await;
    3
}

/// Plain: at once.
impl PlainHandler<Put> for Stock {
    type Reply = u32;
    fn handle(&mut self, Put(more): Put, _: &mut Context<Self>) -> u32 {
        self.pieces += more;
        self.pieces
    }
}

/// Async: nothing else is handled between the awaits, so nothing changes `pieces` meanwhile.
impl Handler<Take> for Stock {
    async fn handle(&mut self, Take(wanted): Take, _: &mut Context<Self>) -> bool {
        let Some(left) = self.pieces.checked_sub(wanted) else { return false };
        write_down(left).await;
        self.pieces = left;
        true
    }
}

/// Later: the future does not borrow the actor, which goes on with other messages.
impl PlainHandler<Price> for Stock {
    type Reply = Later<u32>;
    fn handle(&mut self, _: Price, _: &mut Context<Self>) -> Later<u32> {
        Later::new(look_up())
    }
}

/// Blocking work goes to threads that may block.
impl PlainHandler<Checksum> for Stock {
    type Reply = Later<u64>;
    fn handle(&mut self, Checksum(bytes): Checksum, _: &mut Context<Self>) -> Later<u64> {
        let sum = spawn_blocking(move || bytes.into_iter().map(u64::from).sum());
        Later::new(async { sum.await.expect("a sum does not panic") })
    }
}

impl PlainHandler<Audit> for Stock {
    type Reply = ();
    fn handle(&mut self, _: Audit, _: &mut Context<Self>) {
        if self.auditor.tell(Audit).is_err() {
            tracing::warn!("the auditor is away");
        }
    }
}

#[test]
fn three_ways_to_send_and_three_kinds_of_handler() -> Result<(), Box<dyn Error>> {
    run(async {
        let mut auditor = callboard_supervisors::testkit::Probe::<Audit>::new("auditor");
        let spec = ChildSpec::<Stock>::new("stock", auditor.recipient());
        let stock = spec.actor_ref();
        let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;

        stock.tell(Put(1))?; // now or not at all: it never waits
        stock.send(Put(1)).await?; // waits for room in the mailbox, if the mailbox says so
        assert_eq!(stock.ask(Put(1)).await?, 3); // and for the reply, 5 s at most
        let hurried = stock.ask_within(Duration::from_millis(100), Price).await;
        assert_eq!(hurried, Err(AskError::TimedOut(Duration::from_millis(100))));

        // Who needs to know only that somebody handles it keeps a recipient.
        let taker: Recipient<Take> = stock.recipient();
        assert!(taker.ask(Take(2)).await?);

        assert!(!taker.ask(Take(2)).await?);
        assert_eq!(stock.ask(Price).await?, 3);
        assert_eq!(stock.ask(Checksum(vec![1, 2, 3])).await?, 6);
        stock.tell(Audit)?;
        auditor.expect().await;
        system.shutdown().await;
        Ok(())
    })
}
