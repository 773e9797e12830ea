//! The mailbox compared with a naive one, over any order of sends and takes.

use std::collections::VecDeque;

use proptest::{
    prelude::{Just, ProptestConfig, Strategy as Random, any, prop},
    prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use crate::{
    actor::{Actor, StartError},
    context::Context,
    envelope::Sealed,
    error::SendError,
    handler::PlainHandler,
    mailbox::{Mailbox, MailboxSpec, Overflow},
    telemetry::UndeliveredReason,
};

struct Anybody;

impl Actor for Anybody {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Anybody)
    }
}

/// A number, and a key for some.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Numbered(usize, Option<u64>);

impl ::actix::Message for Numbered {
    type Result = ();
}

impl PlainHandler<Numbered> for Anybody {
    type Reply = ();
    fn handle(&mut self, _: Numbered, _: &mut Context<Self>) {}
    fn coalesce(message: &Numbered) -> Option<u64> {
        message.1
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(Option<u64>),
    /// The actor handles all that is in its hand, and takes the next batch.
    Take,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Taken,
    Full,
    Displaced(Numbered, UndeliveredReason),
}

/// What the mailbox is to do, said as simply as can be.
struct Model {
    spec: MailboxSpec,
    queue: VecDeque<Numbered>,
    in_hand: usize,
    high_water: usize,
}

impl Model {
    fn send(&mut self, message: Numbered) -> Sent {
        if message.1.is_some()
            && let Some(older) = self.queue.iter_mut().find(|waiting| waiting.1 == message.1)
        {
            return Sent::Displaced(std::mem::replace(older, message), UndeliveredReason::Replaced);
        }
        let mut sent = Sent::Taken;
        if self.queue.len() + self.in_hand >= self.spec.capacity() {
            match self.spec.overflow {
                Overflow::DropNewest => return Sent::Displaced(message, UndeliveredReason::Refused),
                Overflow::DropOldest => {
                    if let Some(oldest) = self.queue.pop_front() {
                        sent = Sent::Displaced(oldest, UndeliveredReason::Evicted);
                    }
                }
                _ => return Sent::Full,
            }
        }
        self.queue.push_back(message);
        self.high_water = self.high_water.max(self.queue.len() + self.in_hand);
        sent
    }

    fn take(&mut self) -> Vec<Numbered> {
        self.in_hand = self.queue.len().min(self.spec.batch());
        self.queue.drain(..self.in_hand).collect()
    }
}

fn open(envelope: crate::envelope::Boxed<Anybody>) -> Numbered {
    let sealed: Box<Sealed<Numbered>> = envelope.into_any().downcast().expect("no other message is sent");
    sealed.into_message()
}

fn send(mailbox: &Mailbox<Anybody>, message: Numbered) -> Sent {
    match mailbox.offer(Sealed::tell(message)) {
        Ok(None) => Sent::Taken,
        Ok(Some((envelope, reason))) => Sent::Displaced(open(envelope), reason),
        Err(SendError::Full(_)) => Sent::Full,
        Err(SendError::Stopped(_)) => unreachable!("it is not closed"),
    }
}

fn take(mailbox: &Mailbox<Anybody>) -> Vec<Numbered> {
    let (mut hand, mut replaced) = (VecDeque::new(), Vec::new());
    let next = mailbox.take(&mut hand, &mut replaced);
    assert!(replaced.is_empty(), "nobody waits for room");
    next.into_iter().chain(hand).map(open).collect()
}

fn steps() -> impl Random<Value = Vec<Step>> {
    let key = prop_oneof![2 => Just(None), 3 => (0u64..4).prop_map(Some)];
    let step = prop_oneof![5 => key.prop_map(Step::Send), 1 => Just(Step::Take)];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn it_holds_and_gives_what_a_naive_one_does(
        capacity in 1usize..40,
        overflow in prop_oneof![
            Just(Overflow::Reject), Just(Overflow::DropNewest), Just(Overflow::DropOldest)
        ],
        steps in steps(),
        whole in any::<bool>(),
    ) {
        let spec = MailboxSpec::bounded(capacity).overflow(overflow);
        let mailbox = Mailbox::<Anybody>::new(spec);
        let mut model = Model { spec, queue: VecDeque::new(), in_hand: 0, high_water: 0 };
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(key) => {
                    let message = Numbered(number, key);
                    prop_assert_eq!(send(&mailbox, message), model.send(message));
                }
                Step::Take => prop_assert_eq!(take(&mailbox), model.take()),
            }
            prop_assert_eq!(mailbox.depth(), model.queue.len() + model.in_hand);
            prop_assert_eq!(mailbox.high_water(), model.high_water);
            // With `DropOldest` the one in hand may come on top.
            prop_assert!(mailbox.depth() <= capacity + usize::from(overflow == Overflow::DropOldest));
        }
        if whole {
            while !model.queue.is_empty() {
                prop_assert_eq!(take(&mailbox), model.take());
            }
        }
        let left: Vec<_> = mailbox.close().into_iter().map(open).collect();
        prop_assert_eq!(left, model.queue.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(mailbox.depth(), 0);
    }
}
