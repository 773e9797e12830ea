//! [`Forest`]: the tree, the addresses of its actors, and what is left of them at the end.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use callboard_supervisors::{
    ActorRef, ActorSystem, AskError, Backoff, ChildSpec, DynamicSupervisor, DynamicSupervisorSpec,
    OnExhausted, OnStartFailure, Placement, Restart, ShutdownReport, StartChildError, StartSystemError,
    State, Strategy, SupervisorSpec,
};
use parking_lot::Mutex;

use crate::worker::{BadStarts, Echo, Worker};

const BRANCHES: usize = 20;
const TWIGS: usize = 10;
const LEAVES: usize = 30;
const POOLS: usize = 8;
const IN_POOL: usize = 500;

/// After the last trouble, for all restarts to be over.
const QUIET: Duration = Duration::from_secs(3);
const LAST_ANSWER: Duration = Duration::from_secs(20);
const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::RestForOne, Strategy::OneForAll];

/// A place in a pool: its actor is replaced by another one when it has ended.
pub(crate) struct Slot {
    pool: usize,
    restart: Restart,
    actor: Mutex<ActorRef<Worker>>,
}

impl Slot {
    /// After a crash.
    pub(crate) fn comes_back(&self) -> bool {
        self.restart != Restart::Temporary
    }

    pub(crate) fn actor(&self) -> ActorRef<Worker> {
        self.actor.lock().clone()
    }
}

pub(crate) struct Forest {
    system: ActorSystem,
    pools: Vec<DynamicSupervisor>,
    /// Must answer at the end, whatever happened.
    pub(crate) permanent: Vec<ActorRef<Worker>>,
    pub(crate) slots: Vec<Slot>,
    names: AtomicU64,
}

/// What was found at the end.
#[derive(Default)]
pub(crate) struct Census {
    /// Addresses of permanent children that do not answer, and why.
    pub(crate) lost: Vec<String>,
    /// Nodes of the tree that do not run, and children that nobody has the address of.
    pub(crate) odd: Vec<String>,
    pub(crate) crashes: u64,
    pub(crate) ends: u64,
    /// Generations of supervisors beyond their first.
    pub(crate) supervisor_restarts: u64,
}

/// Small pauses: as much trouble as can be.
fn backoff() -> Backoff {
    let ms = Duration::from_millis;
    Backoff { min: ms(1), max: ms(50), ..Backoff::default() }
}

/// Never gives up.
macro_rules! hardy {
    ($spec:expr) => {
        $spec
            .backoff(backoff())
            .on_exhausted(OnExhausted::RetryAtMaxBackoff)
            .on_start_failure(OnStartFailure::Retry)
    };
}

impl Forest {
    pub(crate) async fn plant() -> Result<Self, Box<dyn std::error::Error>> {
        let mut permanent = Vec::new();
        let mut root = hardy!(SupervisorSpec::new("root"));
        for b in 0..BRANCHES {
            let mut branch = hardy!(SupervisorSpec::new(format!("branch-{b}")));
            for t in 0..TWIGS {
                branch = branch.supervisor(twig(t, &mut permanent));
            }
            root = root.supervisor(branch);
        }
        let mut pools = Vec::new();
        for p in 0..POOLS {
            // A child whose first start fails is its caller's affair.
            let pool = hardy!(DynamicSupervisorSpec::new(format!("pool-{p}")));
            let pool = pool.on_start_failure(OnStartFailure::Fail).placement(Placement::Workers);
            pools.push(pool.handle());
            root = root.dynamic(pool);
        }
        let system: Result<_, StartSystemError> = ActorSystem::builder("soak").start(root).await;
        let mut forest =
            Forest { system: system?, pools, permanent, slots: Vec::new(), names: AtomicU64::new(0) };
        for n in 0..POOLS * IN_POOL {
            let pool = n % POOLS;
            match (n / POOLS) % 4 {
                0 | 1 => {
                    let actor = forest.spawn(pool, Restart::Permanent, 0).await?;
                    forest.permanent.push(actor);
                }
                kind => {
                    let restart = if kind == 2 { Restart::Transient } else { Restart::Temporary };
                    let actor = Mutex::new(forest.spawn(pool, restart, 0).await?);
                    forest.slots.push(Slot { pool, restart, actor });
                }
            }
        }
        Ok(forest)
    }

    pub(crate) fn len(&self) -> usize {
        self.permanent.len() + self.slots.len()
    }

    async fn spawn(
        &self,
        pool: usize,
        restart: Restart,
        bad_starts: u32,
    ) -> Result<ActorRef<Worker>, StartChildError> {
        let name = format!("worker-{}", self.names.fetch_add(1, Relaxed));
        let spec = ChildSpec::<Worker>::new(name, BadStarts::of(bad_starts)).restart(restart);
        match self.pools.get(pool) {
            Some(pool) => pool.start_child(spec).await,
            None => Err(StartChildError::NotRunning),
        }
    }

    /// Puts another actor into the place of one that has ended.
    pub(crate) async fn replace(
        &self,
        slot: &Slot,
        old: &ActorRef<Worker>,
        bad_starts: u32,
    ) -> Result<(), StartChildError> {
        let new = self.spawn(slot.pool, slot.restart, bad_starts).await?;
        let mut actor = slot.actor.lock();
        if *actor == *old {
            *actor = new;
        } else {
            // Another thread was faster.
            new.stop();
        }
        Ok(())
    }

    /// Restarts a branch or a twig with all below it.
    pub(crate) fn shake(&self, branch: usize, twig: Option<usize>) {
        let branch = format!("branch-{}", branch % BRANCHES);
        let path = match twig {
            Some(twig) => format!("{branch}/twig-{}", twig % TWIGS),
            None => branch,
        };
        if let Some(handle) = self.system.root().child(&path) {
            handle.restart();
        }
    }

    /// Asks every permanent actor for the last time, and looks at every node.
    pub(crate) async fn census(&self) -> Census {
        tokio::time::sleep(QUIET).await;
        let mut census = Census::default();
        for (number, actor) in (0..).zip(&self.permanent) {
            actor.resume();
            let answer = actor.ask_within(LAST_ANSWER, Echo(number)).await;
            if answer != Ok(number) {
                census.lost.push(format!("{}: {answer:?} ({})", actor.path(), actor.state().as_str()));
            }
        }
        for slot in &self.slots {
            let actor = slot.actor();
            let answer = actor.ask_within(LAST_ANSWER, Echo(7)).await;
            if answer != Ok(7) && (answer != Err(AskError::Stopped) || actor.is_alive()) {
                census.odd.push(format!("{}: {answer:?} ({})", actor.path(), actor.state().as_str()));
            }
        }
        let snapshot = self.system.snapshot();
        for node in snapshot.root.walk() {
            if node.state != State::Running {
                census.odd.push(format!("{}: {}", node.path, node.state.as_str()));
            }
            if let Some(supervision) = &node.supervision {
                census.crashes += supervision.crashes;
                census.ends += supervision.exits;
                census.supervisor_restarts += node.generation;
            }
        }
        for (n, pool) in self.pools.iter().enumerate() {
            let known = self.slots.iter().filter(|slot| slot.pool == n && slot.actor().is_alive()).count();
            let expected = known + IN_POOL / 2;
            if pool.len() != expected {
                census.odd.push(format!("{}: {} children, {expected} addresses", pool.path(), pool.len()));
            }
        }
        census
    }

    pub(crate) async fn fell(&self) -> ShutdownReport {
        self.system.shutdown(Duration::from_secs(60)).await
    }
}

/// Gives up soon, so that its branch has to start it again: addresses and queues outlive that, too.
fn twig(t: usize, permanent: &mut Vec<ActorRef<Worker>>) -> SupervisorSpec {
    let strategy = STRATEGIES.get(t % STRATEGIES.len()).copied().unwrap_or_default();
    let on_start_failure = if t.is_multiple_of(2) { OnStartFailure::Fail } else { OnStartFailure::Retry };
    let mut twig = SupervisorSpec::new(format!("twig-{t}"))
        .strategy(strategy)
        .intensity(5, Duration::from_secs(5))
        .backoff(backoff())
        .on_start_failure(on_start_failure)
        .placement(Placement::Workers);
    for l in 0..LEAVES {
        let leaf = ChildSpec::<Worker>::new(format!("leaf-{l}"), BadStarts::default());
        permanent.push(leaf.actor_ref());
        twig = twig.child(leaf);
    }
    twig
}
