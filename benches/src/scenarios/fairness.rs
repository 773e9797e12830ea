//! How late timers are beside an actor that is flooded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{
    contender::Contender,
    libraries::{
        Callboard,
        callboard::{Counter, Tick},
    },
    scenarios::{CAPACITY, milliseconds, quantile},
};

const PERIOD: Duration = Duration::from_millis(5);
const LENGTH: Duration = Duration::from_secs(1);

/// Two threads send as fast as they can into a bounded mailbox.
struct Flood {
    over: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
}

impl Flood {
    fn begin<C: Contender>(address: &C::Address) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let sender = |_| {
            let (address, over) = (address.clone(), over.clone());
            std::thread::spawn(move || {
                while !over.load(Relaxed) {
                    C::offer(&address);
                }
            })
        };
        Flood { senders: (0..2).map(sender).collect(), over }
    }

    fn end(self) {
        self.over.store(true, Relaxed);
        for sender in self.senders {
            sender.join().expect("it only sends");
        }
    }
}

fn figures(mut lateness: Vec<Duration>) -> [f64; 2] {
    lateness.sort_unstable();
    [milliseconds(quantile(&lateness, 0.99)), milliseconds(quantile(&lateness, 1.0))]
}

/// A 5 ms timer of another task on the thread of an actor that is flooded: p99 and the greatest lateness.
pub(crate) async fn beside<C: Contender>() -> [f64; 2] {
    let counter = C::start(Some(CAPACITY)).await;
    C::ask(&counter).await;
    let flood = Flood::begin::<C>(&counter);
    let (began, mut lateness) = (Instant::now(), Vec::new());
    while began.elapsed() < LENGTH {
        let due = Instant::now() + PERIOD;
        tokio::time::sleep_until(due.into()).await;
        lateness.push(due.elapsed());
    }
    flood.end();
    C::stop(counter).await;
    figures(lateness)
}

/// A 5 ms timer of the flooded actor itself (`own`), or of its neighbour.
async fn timer_of(own: bool) -> [f64; 2] {
    let flooded = Callboard::start(Some(CAPACITY)).await;
    let ticking = if own { flooded.clone() } else { Callboard::start(Some(CAPACITY)).await };
    let (sender, mut heard) = mpsc::unbounded_channel();
    callboard_supervisors::ActorRef::<Counter>::ask(&ticking, Tick(PERIOD, sender)).await.expect("an answer");
    let flood = Flood::begin::<Callboard>(&flooded);
    let (began, mut lateness) = (Instant::now(), Vec::new());
    while began.elapsed() < LENGTH {
        lateness.extend(heard.recv().await);
    }
    flood.end();
    Callboard::stop(flooded).await;
    figures(lateness)
}

/// A 5 ms timer of an actor beside the flooded one.
pub(crate) async fn neighbour() -> [f64; 2] {
    timer_of(false).await
}

/// A 5 ms timer of the flooded actor itself.
pub(crate) async fn own() -> [f64; 2] {
    timer_of(true).await
}
