//! [`Router`]: one message to one of many.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    actix::Message,
    envelope::{Refused, Sealed},
    error::{AskError, SendError},
    group::Seat,
    pool::{Members, OnFull, Routing, ring::Ring, routing::Choice},
    reference::{ASK_LIMIT, Recipient, patiently, within},
    waiting::is_asking,
};

/// The members at one version.
pub(super) struct Table<M: Message> {
    version: u64,
    pub(super) members: Vec<Seat<Recipient<M>>>,
    ring: Option<Ring>,
}

struct Inner<M: Message> {
    members: Members<M>,
    routing: Routing<M>,
    on_full: OnFull,
    turn: AtomicUsize,
    table: Mutex<Arc<Table<M>>>,
}

/// Sends each message to one of many actors that handle it, or to all of them. Members that are gone for good are
/// passed over; those of a pool are there again when they have been replaced. Members that are stuck come last, except
/// under [`Routing::consistent_hash`].
///
/// Clones share one turn. A router has no task and no queue: a message is either with a member or back with its sender.
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
/// let (a, b) = (ChildSpec::<Worker>::new("a", ()), ChildSpec::<Worker>::new("b", ()));
/// let members = [a.actor_ref().recipient(), b.actor_ref().recipient()];
/// let by_number = Router::new(members, Routing::consistent_hash(|Square(n)| *n));
/// let root = SupervisorSpec::new("root").child(a).child(b);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// assert_eq!(by_number.ask(Square(12)).await, Ok(144));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// assert!(matches!(by_number.tell(Square(12)), Err(SendError::Stopped(Square(12)))));
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
pub struct Router<M: Message>(Arc<Inner<M>>);

impl<M: Message> Clone for Router<M> {
    fn clone(&self) -> Self {
        Router(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Router<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("routing", &self.0.routing)
            .field("on_full", &self.0.on_full)
            .field("members", &self.0.members)
            .finish()
    }
}

/// Nobody took it.
enum NotTaken<'t, M: Message> {
    /// This one lives and has no room.
    Full(Box<Sealed<M>>, &'t Recipient<M>),
    /// Only the actor that asks could, and it waits for the answer.
    OnlyAsker(Box<Sealed<M>>),
    NobodyThere(Box<Sealed<M>>),
}

/// What is sent, and how.
struct Parcel<M: Message> {
    envelope: Box<Sealed<M>>,
    key: Option<u64>,
    /// The sender waits for the reply.
    asks: bool,
}

impl<M: Message> Router<M> {
    /// A router over these members.
    pub fn new(members: impl Into<Members<M>>, routing: Routing<M>) -> Self {
        let on_full = match routing.0 {
            Choice::ConsistentHash(_) => OnFull::GiveBack,
            Choice::RoundRobin | Choice::LeastBusy => OnFull::TryNext,
        };
        Router::assemble(members.into(), routing, on_full)
    }

    fn assemble(members: Members<M>, routing: Routing<M>, on_full: OnFull) -> Self {
        // Older than any version that there is.
        let table = Mutex::new(Arc::new(Table { version: 0, members: Vec::new(), ring: None }));
        Router(Arc::new(Inner { members, routing, on_full, turn: AtomicUsize::new(0), table }))
    }

    /// A router over the same members that does this with full ones.
    pub fn on_full(&self, on_full: OnFull) -> Self {
        Router::assemble(self.0.members.clone(), self.0.routing.clone(), on_full)
    }

    /// The members as they are now. Nobody's lock is held while the ring is made, so two senders may both make it.
    pub(super) fn table(&self) -> Arc<Table<M>> {
        let version = self.0.members.0.version();
        {
            let table = self.0.table.lock();
            if table.version == version {
                return table.clone();
            }
        }
        let (version, members) = self.0.members.0.list();
        let hashed = matches!(self.0.routing.0, Choice::ConsistentHash(_));
        let ring = hashed.then(|| Ring::new(members.iter().map(|seat| seat.number)));
        let fresh = Arc::new(Table { version, members, ring });
        let mut table = self.0.table.lock();
        if fresh.version <= table.version {
            return table.clone();
        }
        let old = std::mem::replace(&mut *table, fresh.clone());
        drop(table);
        drop(old);
        fresh
    }

    /// Offers the message to one after the other, as the routing says. Gives who took it.
    fn offer<'t>(&self, table: &'t Table<M>, parcel: Parcel<M>) -> Result<&'t Recipient<M>, NotTaken<'t, M>> {
        let members = &table.members;
        match (&table.ring, parcel.key) {
            (Some(ring), Some(key)) => {
                self.offer_in(ring.owners(key).filter_map(|index| members.get(index)), parcel)
            }
            _ => {
                let first = self.first(members);
                let (before, from) = members.split_at(first);
                let in_turn = from.iter().chain(before);
                // Those who are stuck only if there is nobody else: nobody knows when they come to it. The others are
                // asked twice then, as one may be free meanwhile.
                let free = in_turn.clone().filter(|member| !member.of.is_stuck());
                self.offer_in(free.chain(in_turn), parcel)
            }
        }
    }

    /// Where to begin, in a list that goes round.
    fn first(&self, members: &[Seat<Recipient<M>>]) -> usize {
        let turn = self.0.turn.fetch_add(1, Relaxed).checked_rem(members.len()).unwrap_or(0);
        if !matches!(self.0.routing.0, Choice::LeastBusy) {
            return turn;
        }
        let (before, from) = members.split_at(turn);
        let in_turn = (turn..).zip(from).chain((0..).zip(before));
        let living = in_turn.filter(|(_, member)| member.of.is_alive());
        living.min_by_key(|(_, member)| member.of.depth()).map_or(turn, |(index, _)| index)
    }

    fn offer_in<'t>(
        &self,
        members: impl Iterator<Item = &'t Seat<Recipient<M>>>,
        parcel: Parcel<M>,
    ) -> Result<&'t Recipient<M>, NotTaken<'t, M>> {
        let Parcel { mut envelope, asks, .. } = parcel;
        let (mut full, mut only_asker, mut passed) = (None, false, 0);
        for Seat { of: member, .. } in members {
            if asks && is_asking(member.id()) {
                only_asker = true;
                if self.0.on_full == OnFull::GiveBack {
                    break;
                }
                passed += 1;
                continue;
            }
            match member.try_admit(envelope) {
                Ok(()) => {
                    // Else whoever comes after one that is gone would have the turn of both.
                    if passed > 0 && matches!(self.0.routing.0, Choice::RoundRobin) {
                        self.0.turn.fetch_add(passed, Relaxed);
                    }
                    return Ok(member);
                }
                Err(SendError::Full(back)) => {
                    envelope = back;
                    full.get_or_insert(member);
                    if self.0.on_full == OnFull::GiveBack {
                        break;
                    }
                }
                Err(SendError::Stopped(back)) => {
                    envelope = back;
                    passed += 1;
                }
            }
        }
        Err(match full {
            Some(full) => NotTaken::Full(envelope, full),
            None if only_asker => NotTaken::OnlyAsker(envelope),
            None => NotTaken::NobodyThere(envelope),
        })
    }

    /// Sends to one member now, or gives the message back. Never waits, whatever the mailboxes' policies.
    ///
    /// # Errors
    /// `Full` when those that live have no room, or the chosen one has none and [`OnFull::GiveBack`] is set; `Stopped`
    /// when nobody is there.
    pub fn tell(&self, message: M) -> Result<(), SendError<M>> {
        let key = self.0.routing.key(&message);
        let table = self.table();
        match self.offer(&table, Parcel { envelope: Sealed::tell(message), key, asks: false }) {
            Ok(_) => Ok(()),
            // It counts as a refusal of the first one that had no room.
            Err(NotTaken::Full(envelope, full)) => Ok(full.offer(envelope)?),
            Err(NotTaken::OnlyAsker(envelope) | NotTaken::NobodyThere(envelope)) => {
                Err(Refused::Stopped(envelope).into())
            }
        }
    }

    /// As [`tell`](Self::tell); if nobody has room, it waits at the first one that lives, as that one's mailbox says.
    /// Should that one go meanwhile, the message goes to another. Dropping the future takes back a message that is
    /// still waiting.
    ///
    /// # Errors
    /// `Full` when there was no room in time, `Stopped` when nobody is there.
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        let key = self.0.routing.key(&message);
        self.admit(Parcel { envelope: Sealed::tell(message), key, asks: false }).await?;
        Ok(())
    }

    /// Gives who took it. None: the asker has been told why nobody did.
    async fn admit(&self, parcel: Parcel<M>) -> Result<Option<Recipient<M>>, Refused<M>> {
        let Parcel { mut envelope, key, asks } = parcel;
        // Who goes while it is waited for is another each time; a pool that cannot stop replacing them is no reason to
        // wait for ever.
        let mut tries = self.table().members.len();
        loop {
            let table = self.table();
            let (full, back) = match self.offer(&table, Parcel { envelope, key, asks }) {
                Ok(member) => return Ok(Some(member.clone())),
                Err(NotTaken::Full(back, full)) => (full, back),
                Err(NotTaken::OnlyAsker(back)) => {
                    back.turn_away(AskError::SelfAsk);
                    return Ok(None);
                }
                Err(NotTaken::NobodyThere(back)) => return Err(SendError::Stopped(back)),
            };
            match patiently(full.admit(back), || asks.then(|| full.while_waiting())).await {
                Ok(()) => return Ok(Some(full.clone())),
                Err(SendError::Stopped(back)) if tries > 0 => {
                    tries -= 1;
                    envelope = back;
                }
                Err(refused) => return Err(refused),
            }
        }
    }

    /// Sends to one member, as [`send`](Self::send) does, and waits for the reply, 5 s at most. A member that asks here
    /// itself and waits for the reply cannot give it: it is passed over as if it were full.
    ///
    /// # Errors
    /// See [`AskError`]; `SelfAsk` when only the one that asks could answer. A member that panics on the message is not
    /// replaced by another: it was handled, perhaps.
    pub async fn ask(&self, message: M) -> Result<M::Result, AskError> {
        self.ask_within(ASK_LIMIT, message).await
    }

    /// [`ask`](Self::ask) with a limit on the whole of it.
    ///
    /// # Errors
    /// See [`ask`](Self::ask).
    pub async fn ask_within(&self, limit: Duration, message: M) -> Result<M::Result, AskError> {
        let key = self.0.routing.key(&message);
        let (envelope, answer) = Sealed::ask(message);
        let asked = async {
            let asked = Parcel { envelope, key, asks: true };
            let member = self.admit(asked).await.map_err(SendError::<M>::from)?;
            let waiting = || member.as_ref().map(Recipient::while_waiting);
            patiently(answer, waiting).await.unwrap_or(Err(AskError::Stopped))
        };
        within(limit, asked, || ()).await.unwrap_or(Err(AskError::TimedOut(limit)))
    }

    /// The members that live now.
    pub fn members(&self) -> Vec<Recipient<M>> {
        let table = self.table();
        table.members.iter().map(|seat| &seat.of).filter(|member| member.is_alive()).cloned().collect()
    }
}
