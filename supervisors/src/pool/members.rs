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
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Square(u64);
/// # struct Worker;
/// # impl Actor for Worker {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Worker) }
/// # }
/// # impl PlainHandler<Square> for Worker {
/// #     type Reply = u64;
/// #     fn handle(&mut self, Square(n): Square, _: &mut Context<Self>) -> u64 { n * n }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let (a, b) = (ChildSpec::<Worker>::new("a", ()), ChildSpec::<Worker>::new("b", ()));
/// # let (first, second) = (a.actor_ref(), b.actor_ref());
/// # let root = SupervisorSpec::new("root").child(a).child(b);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let members: Members<Square> = [&first, &second].into_iter().map(|worker| worker.recipient()).collect();
/// let in_turn = Router::new(members.clone(), Routing::round_robin());
/// let by_number = Router::new(members, Routing::consistent_hash(|Square(n)| *n));
/// assert_eq!(in_turn.ask(Square(3)).await, Ok(9));
/// first.stop();
/// first.watch().await;
/// for n in 0..8 {
///     assert_eq!(by_number.ask(Square(n)).await, Ok(n * n)); // who is gone is passed over
/// }
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
