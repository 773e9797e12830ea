//! Models of admission and of what the two sides of an address count together: loom runs each in every order in which
//! its threads can take turns, within a bound. `scripts/models` runs them.

use std::{collections::VecDeque, future::poll_fn, task::Poll};

use loom::{future::block_on, sync::Arc, thread};

use crate::{
    actor::{Actor, StartError},
    context::Context,
    envelope::{Boxed, Sealed},
    error::SendError,
    handler::PlainHandler,
    mailbox::{Mailbox, MailboxSpec, Overflow},
    reference::{Controlled, Node, Shared},
    task::{ORDERS, Order},
};

struct Anybody;

impl Actor for Anybody {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Anybody)
    }
}

struct Numbered(u64);

impl ::actix::Message for Numbered {
    type Result = ();
}

impl PlainHandler<Numbered> for Anybody {
    type Reply = ();
    fn handle(&mut self, _: Numbered, _: &mut Context<Self>) {}
}

fn open(envelope: Boxed<Anybody>) -> u64 {
    let sealed: Box<Sealed<Numbered>> = envelope.into_any().downcast().expect("no other message is sent");
    sealed.into_message().0
}

fn mailbox(capacity: usize, overflow: Overflow) -> Arc<Mailbox<Anybody>> {
    Arc::new(Mailbox::new(MailboxSpec::bounded(capacity).overflow(overflow)))
}

/// The actor's side: takes messages until it has so many. It sleeps when there are none, so a lost wake-up is a
/// deadlock, which loom finds.
fn take(mailbox: &Mailbox<Anybody>, count: usize) -> Vec<u64> {
    let (mut taken, mut hand, mut replaced) = (Vec::new(), VecDeque::new(), Vec::new());
    block_on(poll_fn(|task| {
        mailbox.awake(task);
        while taken.len() < count {
            let next = hand.pop_front().or_else(|| mailbox.take(&mut hand, &mut replaced));
            let Some(envelope) = next else { return Poll::Pending };
            assert!(mailbox.depth() <= mailbox.spec().capacity(), "the bound holds at every moment");
            taken.push(open(envelope));
        }
        Poll::Ready(())
    }));
    taken
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // Three suffice for all but a few bugs, says the research on bounded search; more takes minutes.
    builder.preemption_bound.get_or_insert(3);
    builder.check(test);
}

#[test]
fn every_message_that_is_taken_in_wakes_the_actor() {
    model(|| {
        let mailbox = mailbox(8, Overflow::Reject);
        let senders: Vec<_> = (0..2)
            .map(|number| {
                let mailbox = mailbox.clone();
                thread::spawn(move || assert!(mailbox.offer(Sealed::tell(Numbered(number))).is_ok()))
            })
            .collect();
        let mut taken = take(&mailbox, 2);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
        senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
    });
}

#[test]
fn one_sender_is_heard_in_order_and_no_more_fit_than_the_capacity() {
    model(|| {
        let mailbox = mailbox(1, Overflow::Reject);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || {
                let sent = (0..3).filter(|number| mailbox.offer(Sealed::tell(Numbered(*number))).is_ok());
                sent.collect::<Vec<_>>()
            }
        });
        // The first always fits.
        let mut taken = take(&mailbox, 1);
        let sent = sender.join().expect("no panic");
        taken.extend(mailbox.close().into_iter().map(open));
        assert_eq!(taken, sent);
        assert_eq!(mailbox.refused() + sent.len() as u64, 3);
    });
}

#[test]
fn senders_that_wait_for_room_are_let_in_and_told() {
    model(|| {
        let mailbox = mailbox(1, Overflow::Reject);
        let senders: Vec<_> = (0..2)
            .map(|number| {
                let mailbox = mailbox.clone();
                thread::spawn(move || {
                    assert!(block_on(mailbox.admit_in_time(Sealed::tell(Numbered(number)))).is_ok());
                })
            })
            .collect();
        let mut taken = take(&mailbox, 2);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
        senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
    });
}

#[test]
fn a_sender_that_goes_away_while_it_waits_takes_its_message_along_or_it_is_in() {
    model(|| {
        let mailbox = mailbox(1, Overflow::Reject);
        assert!(mailbox.offer(Sealed::tell(Numbered(0))).is_ok());
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || {
                let mut waiting = Box::pin(mailbox.admit_in_time(Sealed::tell(Numbered(1))));
                // One look, and away.
                let waker = std::task::Waker::noop();
                waiting.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready()
            }
        });
        let first = take(&mailbox, 1);
        let was_in = sender.join().expect("no panic");
        let left: Vec<_> = {
            let (mut hand, mut replaced) = (VecDeque::new(), Vec::new());
            let next = mailbox.take(&mut hand, &mut replaced);
            next.into_iter().chain(hand).map(open).collect()
        };
        assert_eq!(first, [0]);
        assert!(left == [1] || (left.is_empty() && !was_in), "{left:?} {was_in}");
    });
}

#[test]
fn a_message_beside_a_close_is_given_back_or_left_over_but_never_lost() {
    model(|| {
        let mailbox = mailbox(2, Overflow::Reject);
        let blocked = thread::spawn({
            let mailbox = mailbox.clone();
            move || match block_on(mailbox.admit_in_time(Sealed::tell(Numbered(0)))) {
                Ok(_) => true,
                Err(SendError::Stopped(_)) => false,
                Err(SendError::Full(_)) => unreachable!("it waits"),
            }
        });
        let plain = thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.offer(Sealed::tell(Numbered(1))).is_ok()
        });
        let left = mailbox.close().len();
        let taken = [blocked, plain].map(|sender| sender.join().expect("no panic"));
        assert_eq!(taken.into_iter().filter(|taken| *taken).count(), left);
        assert_eq!(mailbox.depth(), 0);
    });
}

#[test]
fn the_last_address_that_is_dropped_ends_the_actor_and_loses_no_message() {
    model(|| {
        let mut shared = Shared::<Anybody>::new("session".into(), MailboxSpec::bounded(8));
        shared.count_references(true);
        let shared = Arc::new(shared);
        let holders: Vec<_> = (0..2)
            .map(|number| {
                shared.retain();
                let shared = shared.clone();
                thread::spawn(move || {
                    assert!(shared.mailbox.offer(Sealed::tell(Numbered(number))).is_ok());
                    shared.release();
                })
            })
            .collect();
        let (mut taken, mut hand, mut replaced) = (0, VecDeque::new(), Vec::new());
        block_on(poll_fn(|task| {
            shared.mailbox.awake(task);
            loop {
                match hand.pop_front().or_else(|| shared.mailbox.take(&mut hand, &mut replaced)) {
                    Some(envelope) => {
                        open(envelope);
                        taken += 1;
                    }
                    None if shared.is_deserted() => return Poll::Ready(()),
                    None => return Poll::Pending,
                }
            }
        }));
        assert_eq!(taken, 2);
        holders.into_iter().for_each(|holder| holder.join().expect("no panic"));
    });
}

#[test]
fn an_order_is_seen_even_if_it_comes_before_the_task_was_ever_polled() {
    model(|| {
        let shared = Arc::new(Shared::<Anybody>::new("actor".into(), MailboxSpec::bounded(8)));
        let orders: Vec<_> = [Order::Stop, Order::Suspend]
            .into_iter()
            .map(|order| {
                let shared = shared.clone();
                thread::spawn(move || shared.order(order))
            })
            .collect();
        let mut obeyed = 0;
        block_on(poll_fn(|task| {
            shared.awake(task);
            if shared.control.flags.load(std::sync::atomic::Ordering::Relaxed) & ORDERS != 0 {
                obeyed += shared.control.take_orders().len();
            }
            if obeyed == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        orders.into_iter().for_each(|order| order.join().expect("no panic"));
    });
}
