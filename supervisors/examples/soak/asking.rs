//! Asks without a pause, and counts what comes of them.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use callboard_supervisors::{ActorRef, AskError};
use tokio::runtime::{Builder, Runtime};

use crate::{
    random::Random,
    tree::Forest,
    worker::{Echo, EchoAsync, EchoLater, Worker},
};

/// Asks that one thread has under way.
const AT_ONCE: u64 = 16;
/// So long no restart takes, nor many in a row: who waits longer was forgotten.
const LIMIT: Duration = Duration::from_secs(30);
/// Asks after which others of this machine have their turn.
const BREATH: u64 = 32;

/// What came of the asks.
#[derive(Clone, Default)]
pub(crate) struct Outcomes {
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) panicked: u64,
    pub(crate) stopped: u64,
    pub(crate) full: u64,
    /// Refused or displaced: no mailbox here does that.
    pub(crate) dropped: u64,
    pub(crate) timed_out: u64,
    /// The answer to another question.
    pub(crate) wrong: u64,
    /// Of the stopped ones those of children that never end.
    pub(crate) gone: u64,
}

impl Outcomes {
    pub(crate) fn add(&mut self, other: &Outcomes) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.panicked += other.panicked;
        self.stopped += other.stopped;
        self.full += other.full;
        self.dropped += other.dropped;
        self.timed_out += other.timed_out;
        self.wrong += other.wrong;
        self.gone += other.gone;
    }

    /// Every ask has had its answer, or its reason.
    pub(crate) fn is_complete(&self) -> bool {
        let settled = self.answered + self.panicked + self.stopped + self.full + self.dropped;
        self.asked == settled + self.timed_out + self.wrong
    }

    fn count(&mut self, question: u64, answer: Result<u64, AskError>) {
        self.asked += 1;
        *match answer {
            Ok(answer) if answer == question => &mut self.answered,
            Ok(_) => &mut self.wrong,
            Err(AskError::Panicked) => &mut self.panicked,
            Err(AskError::Stopped) => &mut self.stopped,
            Err(AskError::Full) => &mut self.full,
            Err(AskError::TimedOut(_)) => &mut self.timed_out,
            Err(_) => &mut self.dropped,
        } += 1;
    }
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a timer needs nothing of the system")
}

pub(crate) fn ask_until(over: &AtomicBool, forest: &Forest, seed: u64) -> Outcomes {
    runtime().block_on(async {
        let loops = (0..AT_ONCE).map(|n| ask_in_a_row(over, forest, Random::new(seed * 1000 + n)));
        let mut all = Outcomes::default();
        for outcomes in futures_util::future::join_all(loops).await {
            all.add(&outcomes);
        }
        all
    })
}

async fn ask_in_a_row(over: &AtomicBool, forest: &Forest, mut random: Random) -> Outcomes {
    let mut outcomes = Outcomes::default();
    while !over.load(Relaxed) {
        let n = random.below(forest.len());
        let question = random.next();
        match forest.permanent.get(n) {
            Some(actor) => {
                let answer = ask(actor, question).await;
                outcomes.gone += u64::from(answer == Err(AskError::Stopped) && !actor.is_alive());
                outcomes.count(question, answer);
            }
            None => {
                let actor = forest.slots[n - forest.permanent.len()].actor();
                outcomes.count(question, ask(&actor, question).await);
            }
        }
        if outcomes.asked % BREATH == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    outcomes
}

async fn ask(actor: &ActorRef<Worker>, question: u64) -> Result<u64, AskError> {
    match question % 3 {
        0 => actor.ask_within(LIMIT, Echo(question)).await,
        1 => actor.ask_within(LIMIT, EchoAsync(question)).await,
        _ => actor.ask_within(LIMIT, EchoLater(question)).await,
    }
}
