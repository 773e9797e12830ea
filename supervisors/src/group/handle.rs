//! [`Group`]: a named set of actors.

use std::{fmt, sync::Arc};

use crate::{
    actix::Message,
    actor::Actor,
    group::{JoinError, Roster},
    handler::Handler,
    pool::{Members, Router, Routing},
    reference::ActorRef,
};

/// A named set of actors of one type, wherever they hang in the tree. One that is gone for good leaves by itself;
/// restarts do not matter. Clones are handles of the same one; a group has no task, and needs no system.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = &'static str)]
/// # struct Hello;
/// # struct Greeter;
/// # impl Actor for Greeter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Greeter) }
/// # }
/// # impl PlainHandler<Hello> for Greeter {
/// #     type Reply = &'static str;
/// #     fn handle(&mut self, _: Hello, _: &mut Context<Self>) -> &'static str { "hello" }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let (a, b) = (ChildSpec::<Greeter>::new("a", ()), ChildSpec::<Greeter>::new("b", ()));
/// # let (first, second) = (a.actor_ref(), b.actor_ref());
/// # let root = SupervisorSpec::new("root").child(a).child(b);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let greeters = Group::new("greeters");
/// greeters.join(&first).expect("it lives");
/// greeters.join(&second).expect("it lives");
/// assert_eq!(greeters.router(Routing::round_robin()).ask(Hello).await, Ok("hello"));
/// first.stop();
/// first.watch().await;
/// assert_eq!(greeters.members(), [second]);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
pub struct Group<A: Actor> {
    name: Arc<str>,
    max: usize,
    roster: Arc<Roster<A>>,
}

impl<A: Actor> Clone for Group<A> {
    fn clone(&self) -> Self {
        Group { name: self.name.clone(), max: self.max, roster: self.roster.clone() }
    }
}

impl<A: Actor> fmt::Debug for Group<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group(`{}`, {} members)", self.name, self.len())
    }
}

impl<A: Actor> Group<A> {
    /// A group of at most 1024 members. The name is for people.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Group::bounded(name, 1024)
    }

    /// A group of at most so many members.
    pub fn bounded(name: impl Into<Arc<str>>, max: usize) -> Self {
        Group { name: name.into(), max, roster: Roster::new() }
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the actor in. Nothing happens if it is a member already.
    ///
    /// # Errors
    /// `Full` when there are as many members as there may be, `Stopped` when the actor is gone for good.
    pub fn join(&self, actor: &ActorRef<A>) -> Result<(), JoinError> {
        if self.roster.seat(actor.id().get(), actor, |members| members < self.max) {
            Ok(())
        } else if actor.is_alive() {
            Err(JoinError::Full { max: self.max })
        } else {
            Err(JoinError::Stopped)
        }
    }

    /// False: it was no member.
    pub fn leave(&self, actor: &ActorRef<A>) -> bool {
        self.roster.leave(actor.id().get()).is_some()
    }

    /// Whether the actor is a member, and lives.
    pub fn contains(&self, actor: &ActorRef<A>) -> bool {
        actor.is_alive() && self.roster.get(actor.id().get()).is_some()
    }

    /// Those that are members now, the oldest actor first.
    pub fn members(&self) -> Vec<ActorRef<A>> {
        self.roster.actors()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.roster.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A router over the members as they come and go. Each router has its own turn.
    pub fn router<M: Message>(&self, routing: Routing<M>) -> Router<M>
    where
        A: Handler<M>,
    {
        Router::new(Members::of_roster(self.roster.clone()), routing)
    }
}
