//! [`Members`]: whom a router sends to.

use std::{fmt, sync::Arc};

use crate::{
    actix::Message,
    group::{Roster, Seat},
    handler::Handler,
    reference::Recipient,
};

pub(super) trait Source<M: Message>: Send + Sync {
    fn version(&self) -> u64;
    /// And the version of which this is true.
    fn list(&self) -> (u64, Vec<Seat<Recipient<M>>>);
}

/// They never change; who is gone is passed over.
struct Fixed<M: Message>(Vec<Recipient<M>>);

impl<M: Message> Source<M> for Fixed<M> {
    fn version(&self) -> u64 {
        1
    }

    fn list(&self) -> (u64, Vec<Seat<Recipient<M>>>) {
        let seat = |recipient: &Recipient<M>| Seat { number: recipient.id().get(), of: recipient.clone() };
        (1, self.0.iter().map(seat).collect())
    }
}

impl<A: Handler<M>, M: Message> Source<M> for Roster<A> {
    fn version(&self) -> u64 {
        self.version()
    }

    fn list(&self) -> (u64, Vec<Seat<Recipient<M>>>) {
        let (version, seats) = self.list();
        let seat = |Seat { number, of }: Seat<crate::ActorRef<A>>| Seat { number, of: of.recipient() };
        (version, seats.into_iter().map(seat).collect())
    }
}

/// Whom a [`Router`](crate::Router) sends to: the members of a [`Pool`](crate::Pool) or of a [`Group`](crate::Group) as
/// they come and go, or recipients that stay the same.
pub struct Members<M: Message>(pub(super) Arc<dyn Source<M>>);

impl<M: Message> Clone for Members<M> {
    fn clone(&self) -> Self {
        Members(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Members<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, members) = self.0.list();
        f.debug_list().entries(members.iter().map(|seat| &seat.of)).finish()
    }
}

impl<M: Message> Members<M> {
    pub(crate) fn of_roster<A: Handler<M>>(roster: Arc<Roster<A>>) -> Self {
        Members(roster)
    }
}

impl<M: Message> From<Vec<Recipient<M>>> for Members<M> {
    fn from(recipients: Vec<Recipient<M>>) -> Self {
        Members(Arc::new(Fixed(recipients)))
    }
}

impl<M: Message, const N: usize> From<[Recipient<M>; N]> for Members<M> {
    fn from(recipients: [Recipient<M>; N]) -> Self {
        Vec::from(recipients).into()
    }
}

impl<M: Message> FromIterator<Recipient<M>> for Members<M> {
    fn from_iter<T: IntoIterator<Item = Recipient<M>>>(recipients: T) -> Self {
        recipients.into_iter().collect::<Vec<_>>().into()
    }
}
