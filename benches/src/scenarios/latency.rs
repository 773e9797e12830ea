//! How long one asker waits while others are busy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    contender::Contender,
    scenarios::{microseconds, quantile},
};

/// Asks one after the other from the actor's thread, while another thread sends it 500,000 messages a second, 50 every
/// 100 us. p50 and p99.
pub(crate) async fn ask_under_load<C: Contender>() -> [f64; 2] {
    const LENGTH: Duration = Duration::from_millis(500);
    let counter = C::start(None).await;
    C::ask(&counter).await;
    let over = Arc::new(AtomicBool::new(false));
    let load = std::thread::spawn({
        let (counter, over) = (counter.clone(), over.clone());
        move || {
            let mut next = Instant::now();
            while !over.load(Relaxed) {
                for _ in 0..50 {
                    C::tell(&counter);
                }
                next += Duration::from_micros(100);
                while Instant::now() < next {
                    std::hint::spin_loop();
                }
            }
        }
    });
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < LENGTH {
        let asked = Instant::now();
        C::ask(&counter).await;
        times.push(asked.elapsed());
    }
    over.store(true, Relaxed);
    load.join().expect("it only sends");
    C::stop(counter).await;
    times.sort_unstable();
    [microseconds(quantile(&times, 0.5)), microseconds(quantile(&times, 0.99))]
}
