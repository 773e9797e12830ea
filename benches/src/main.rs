//! Compares the actor runtime with its peers: every library on one thread with the same tokio runtime, in one process,
//! the scenarios of all libraries by turns, so that what disturbs one disturbs all.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml -- [ROUNDS]` (default 5) prints the median, the lowest and the
//! highest of all rounds, in nanoseconds for each step.

mod contender;
mod scenarios;
mod with_actix;
mod with_callboard;
mod with_kameo;
mod with_ractor;

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use with_actix::Actix;
use with_callboard::Callboard;
use with_kameo::Kameo;
use with_ractor::Ractor;

/// The text of panics that are meant.
const EXPECTED_PANIC: &str = "as the benchmark wants";

type Run = fn() -> Pin<Box<dyn Future<Output = f64>>>;

struct Row {
    scenario: &'static str,
    library: &'static str,
    run: Run,
    seen: Vec<f64>,
}

/// A name that no other actor has.
fn name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("counter-{}", NEXT.fetch_add(1, Relaxed))
}

macro_rules! rows {
    ($($scenario:literal $function:ident: $($library:literal $contender:ty),+;)+) => {
        vec![$($(Row {
            scenario: $scenario,
            library: $library,
            run: || Box::pin(scenarios::$function::<$contender>()),
            seen: Vec::new(),
        }),+),+]
    };
}

fn main() {
    let rounds = match std::env::args().nth(1).map(|rounds| rounds.parse::<usize>()) {
        None => 5,
        Some(Ok(rounds @ 1..)) => rounds,
        Some(_) => {
            eprintln!("callboard-benches: the number of rounds is needed, such as 5");
            std::process::exit(2);
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload_as_str() != Some(EXPECTED_PANIC) {
            eprintln!("{panic}");
        }
    }));
    let mut rows = rows! {
        "tell" tell: "actix" Actix, "callboard" Callboard<false>, "callboard, async handler" Callboard<true>,
            "ractor" Ractor, "kameo" Kameo;
        "ask" ask: "actix" Actix, "callboard" Callboard<false>, "ractor" Ractor, "kameo" Kameo;
        "fan-in, 4 threads, bounded" fan_in: "actix" Actix, "callboard" Callboard<false>, "kameo" Kameo;
        "life of an actor" life: "actix" Actix, "callboard" Callboard<false>, "ractor" Ractor, "kameo" Kameo;
    };
    let crash: Run = || Box::pin(scenarios::crash());
    rows.push(Row { scenario: "panic to next reply", library: "callboard", run: crash, seen: Vec::new() });
    for _ in 0..rounds {
        for row in &mut rows {
            row.seen.push(alone(row.run));
        }
    }
    println!("{:28} {:26} {:>10} {:>10} {:>10}", "ns a step", "", "median", "lowest", "highest");
    for row in &mut rows {
        row.seen.sort_by(f64::total_cmp);
        let (low, middle, high) = (row.seen[0], row.seen[rounds / 2], row.seen[rounds - 1]);
        println!("{:28} {:26} {middle:>10.0} {low:>10.0} {high:>10.0}", row.scenario, row.library);
    }
}

/// On a thread and a runtime of its own.
fn alone(run: Run) -> f64 {
    let body = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build_local(Default::default()).expect("a runtime").block_on(run())
    };
    std::thread::spawn(body).join().expect("a benchmark that does not panic")
}
