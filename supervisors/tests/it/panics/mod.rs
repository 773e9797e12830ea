//! Every place where a panic can happen, and what each party sees of it: the table of `docs/runtime-semantics.md`.

mod aborts;
mod drops;
mod handlers;
mod side_work;
mod starts;
mod stopping;
mod victim;

use std::{cell::RefCell, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChildExited, ChildSpec, Context, MailboxSpec, PlainHandler,
    Restart, StartError, StopReason, SupervisorSpec,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_local,
    time::sleep,
};

use self::victim::{
    Args, Arm, ArmTwice, AsyncMessage, Count, Fuse, InFlight, LaterMessage, Leave, Place, PlainMessage,
    Victim,
};
use crate::worker::{self, Answer, Worker, ms, steady};

/// Passes on what a supervisor says of its children's ends.
struct Recorder(UnboundedSender<ChildExited>);

impl Actor for Recorder {
    type Args = UnboundedSender<ChildExited>;

    async fn start(to: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Recorder(to))
    }
}

impl PlainHandler<ChildExited> for Recorder {
    type Reply = ();
    fn handle(&mut self, exited: ChildExited, _: &mut Context<Self>) {
        self.0.send(exited).expect("the test listens");
    }
}

/// `root` with a recorder and `part`, which has a sibling and the victim.
struct Scene {
    system: ActorSystem,
    sibling: ActorRef<Worker>,
    victim: ActorRef<Victim>,
    fuse: Fuse,
    exits: RefCell<UnboundedReceiver<ChildExited>>,
}

impl Scene {
    async fn new(restart: Restart, mailbox: MailboxSpec) -> Self {
        let (to, exits) = unbounded_channel();
        let fuse = Fuse::default();
        let recorder = ChildSpec::<Recorder>::new("recorder", to);
        let sibling = ChildSpec::<Worker>::new("sibling", ());
        let victim = ChildSpec::<Victim>::new("victim", Args::new(&fuse)).restart(restart).mailbox(mailbox);
        let (sibling_ref, victim_ref) = (sibling.actor_ref(), victim.actor_ref());
        let part = SupervisorSpec::new("part").on_exit(recorder.actor_ref().recipient());
        let part = part.intensity(100, Duration::from_secs(60)).backoff(steady(ms(10)));
        let root = SupervisorSpec::new("root").child(recorder).supervisor(part.child(sibling).child(victim));
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        Scene { system, sibling: sibling_ref, victim: victim_ref, fuse, exits: RefCell::new(exits) }
    }

    /// Generation, reason, whether it was a crash, and whether another generation follows, of each end until now.
    async fn exits(&self) -> Vec<(u64, String, bool, bool)> {
        idle().await;
        let mut exits = self.exits.borrow_mut();
        std::iter::from_fn(|| exits.try_recv().ok())
            .filter(|exited| &*exited.name == "victim")
            .map(|exited| {
                (exited.generation, short(&exited.reason), exited.crash.is_some(), exited.restarting)
            })
            .collect()
    }

    /// Ends the system, which must have no trouble with it.
    async fn end(self) {
        let report = self.system.shutdown(Duration::from_secs(5)).await;
        assert!(report.is_clean(), "{report:?}");
        assert!(self.fuse.is_out(), "a place was never come to: {:?}", self.fuse);
    }
}

/// Returns when nothing else can happen without the clock: it is paused.
async fn idle() {
    sleep(ms(100)).await;
}

/// `place`, or `place in message type`.
fn short(reason: &StopReason) -> String {
    match reason {
        StopReason::Panicked { message: None, payload } => payload.clone(),
        StopReason::Panicked { message: Some(message), payload } => {
            format!("{payload} in {}", message.rsplit("::").next().unwrap_or(message))
        }
        reason => reason.to_string(),
    }
}

/// What brings the panic about.
#[derive(Clone, Copy, Debug)]
enum Trigger {
    /// A message of this kind.
    Plain,
    Later,
    Async,
    Leave,
    /// Work beside the mailbox, begun by an earlier message.
    Beside(Place),
    BesideTwice,
    /// Orders.
    Kill,
    Stop,
    Restart,
}

/// What the parties see.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    /// The asker of the message concerned. None: there is no such message.
    asker: Option<Result<(), AskError>>,
    /// The asker of another message, whose answer was under way.
    in_flight: Result<(), AskError>,
    /// The asker of a message that waited behind: generation and count within it.
    behind: Result<(u64, u64), AskError>,
    /// What the supervisor heard: generation, reason, a crash?, is another generation to follow?
    exits: Vec<(u64, String, bool, bool)>,
    /// Restarts that cost the supervisor's budget.
    counted: usize,
    /// Panics that the victim's snapshot shows.
    panics: u64,
    /// The sibling's generation and count, and the answer that was under way there.
    sibling: ((u64, u64), Result<(), AskError>),
}

impl Seen {
    /// The actor and all others go on as if nothing had happened.
    fn nothing() -> Self {
        Seen {
            asker: Some(Ok(())),
            in_flight: Ok(()),
            behind: Ok((0, 2)),
            exits: Vec::new(),
            counted: 0,
            panics: 0,
            sibling: ((0, 2), Ok(())),
        }
    }

    /// A crash as it should be: one generation, its message and what ran with it are lost.
    fn crash(reason: &str) -> Self {
        Seen {
            asker: Some(Err(AskError::Panicked)),
            in_flight: Err(AskError::Panicked),
            behind: Ok((1, 1)),
            exits: vec![(0, reason.to_owned(), true, true)],
            counted: 1,
            panics: 1,
            ..Seen::nothing()
        }
    }

    /// Beside the mailbox no message is concerned.
    fn without_asker(self) -> Self {
        Seen { asker: None, ..self }
    }
}

/// Lets a permanent victim panic at these places.
fn observe(lit: &[Place], trigger: Trigger) -> Seen {
    observe_restart(Restart::Permanent, lit, trigger)
}

fn observe_restart(restart: Restart, lit: &[Place], trigger: Trigger) -> Seen {
    worker::local(async {
        let scene = Scene::new(restart, MailboxSpec::default()).await;
        let Scene { victim, sibling, fuse, .. } = &scene;
        let in_flight = spawn_local({
            let victim = victim.clone();
            async move { victim.ask(InFlight).await }
        });
        let beside = spawn_local({
            let sibling = sibling.clone();
            async move { sibling.ask(Answer(ms(1000))).await }
        });
        tokio::task::yield_now().await;
        assert_eq!((victim.ask(Count).await, sibling.ask(worker::Count).await), (Ok((0, 1)), Ok((0, 1))));
        match trigger {
            Trigger::Beside(place) => victim.ask(Arm(place)).await.expect("an answer"),
            Trigger::BesideTwice => victim.ask(ArmTwice).await.expect("an answer"),
            _ => {}
        }
        // So that the message concerned and the one behind it are there together.
        victim.suspend();
        victim.inspect().await.expect("it is there");
        fuse.light(lit);
        let asker = concerned(trigger, victim, fuse);
        let behind = spawn_local({
            let victim = victim.clone();
            async move { victim.ask(Count).await }
        });
        let waiting = 1 + usize::from(asker.is_some());
        while victim.snapshot().depth < waiting {
            tokio::task::yield_now().await;
        }
        match trigger {
            Trigger::Kill => victim.kill(),
            Trigger::Stop => victim.stop(),
            Trigger::Restart => victim.restart(),
            Trigger::Beside(_) | Trigger::BesideTwice => idle().await,
            _ => {}
        }
        let mut exits = match trigger {
            Trigger::Plain | Trigger::Later | Trigger::Async | Trigger::Leave => Vec::new(),
            // What waits must still wait when the panic happens.
            _ => scene.exits().await,
        };
        victim.resume();
        let asker = match asker {
            Some(asker) => Some(asker.await.expect("the asker does not panic")),
            None => None,
        };
        let (in_flight, behind, beside) = tokio::join!(in_flight, behind, beside);
        exits.extend(scene.exits().await);
        let snapshot = scene.system.snapshot();
        let part = snapshot.find("part").and_then(|part| part.supervision.clone()).expect("a supervisor");
        let crashes = exits.iter().filter(|(.., crash, _)| *crash).count();
        assert_eq!(part.crashes, u64::try_from(crashes).expect("few"), "each crash is told once");
        let seen = Seen {
            asker,
            in_flight: in_flight.expect("the asker does not panic"),
            behind: behind.expect("the asker does not panic"),
            exits,
            counted: part.recent_restarts,
            panics: victim.snapshot().panics,
            sibling: (
                sibling.ask(worker::Count).await.expect("it lives"),
                beside.expect("the asker does not panic"),
            ),
        };
        scene.end().await;
        seen
    })
}

type Asker = tokio::task::JoinHandle<Result<(), AskError>>;

/// Asks with the message in which it is to happen.
fn concerned(trigger: Trigger, victim: &ActorRef<Victim>, fuse: &Fuse) -> Option<Asker> {
    let (victim, fuse) = (victim.clone(), fuse.clone());
    Some(match trigger {
        Trigger::Plain => spawn_local(async move { victim.ask(PlainMessage::new(&fuse)).await.map(drop) }),
        Trigger::Later => spawn_local(async move { victim.ask(LaterMessage::new(&fuse)).await.map(drop) }),
        Trigger::Async => spawn_local(async move { victim.ask(AsyncMessage::new(&fuse)).await.map(drop) }),
        Trigger::Leave => spawn_local(async move { victim.ask(Leave).await.map(drop) }),
        _ => return None,
    })
}
