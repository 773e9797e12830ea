//! Ten thousand actors in trouble: `cargo run --release --package callboard-supervisors --example soak -- --seconds 600`.
//!
//! A nested tree in which random actors panic, are killed, stopped, started anew and fail to start, while other threads ask
//! without a pause. At the end every address of a permanent child must answer, every ask must have had its answer or its reason,
//! and the memory must not have grown. Exits with 1 if a promise was broken, with 2 if an argument makes no sense.

mod asking;
mod memory;
mod random;
mod summary;
mod tree;
mod trouble;
mod worker;

use std::{
    panic::{set_hook, take_hook},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    asking::{Outcomes, ask_until},
    memory::Samples,
    summary::Summary,
    tree::Forest,
    trouble::{Deeds, warm_up},
    worker::is_intended,
};

/// Threads that ask, and threads that make trouble.
const ASKERS: u64 = 3;
const TROUBLEMAKERS: usize = 2;
const SAMPLE: Duration = Duration::from_secs(1);
/// The memory counts from here on; in shorter runs than ten minutes from the fifth part on. Not before each actor has
/// crashed once.
const WARM_UP: Duration = Duration::from_secs(120);

struct Arguments {
    length: Duration,
    seed: u64,
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments { length: Duration::from_secs(600), seed: random::seed() };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number: u64 = value.parse().map_err(|_| format!("{name}: `{value}` is not a number"))?;
        match name.as_str() {
            "--seconds" if number >= 5 => arguments.length = Duration::from_secs(number),
            "--seconds" => return Err("--seconds: at least 5".into()),
            "--seed" => arguments.seed = number,
            _ => return Err(format!("{name}: the arguments are --seconds N and --seed N")),
        }
    }
    Ok(arguments)
}

/// Thousands of panics are to be: only others are shown.
fn hide_intended_panics() {
    let next = take_hook();
    set_hook(Box::new(move |info| {
        if !is_intended(info.payload()) {
            next(info);
        }
    }));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("soak: {problem}");
            return ExitCode::from(2);
        }
    };
    hide_intended_panics();
    match soak(&arguments).await {
        Ok(summary) => {
            print!("{summary}");
            ExitCode::from(u8::from(!summary.is_kept()))
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(arguments: &Arguments) -> Result<Summary, Box<dyn std::error::Error>> {
    let Arguments { length, seed } = *arguments;
    let began = Instant::now();
    let forest = Arc::new(Forest::plant().await?);
    println!("{} actors for {} s, seed {seed}", forest.len(), length.as_secs());
    let over = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..ASKERS)
        .map(|n| {
            let (forest, over) = (forest.clone(), over.clone());
            thread::spawn(move || ask_until(&over, &forest, seed.wrapping_add(n)))
        })
        .collect();
    let warmed = Arc::new(AtomicUsize::new(0));
    let making_trouble: Vec<_> = (0..TROUBLEMAKERS)
        .map(|n| {
            let (forest, over, warmed) = (forest.clone(), over.clone(), warmed.clone());
            thread::spawn(move || {
                warm_up(&over, &forest, n, TROUBLEMAKERS);
                warmed.fetch_add(1, Relaxed);
                trouble::until(&over, &forest, seed ^ 0xbad ^ (1 << (40 + n)))
            })
        })
        .collect();
    let mut samples = Samples::default();
    let warm = WARM_UP.min(length / 5);
    while began.elapsed() < length {
        tokio::time::sleep(SAMPLE).await;
        if began.elapsed() >= warm && warmed.load(Relaxed) == TROUBLEMAKERS {
            samples.take(began.elapsed())?;
        }
    }
    over.store(true, Relaxed);
    let mut deeds = Deeds::default();
    for thread in making_trouble {
        deeds.add(&thread.join().map_err(|_| "a thread that makes trouble has panicked itself")?);
    }
    let mut outcomes = Outcomes::default();
    for thread in asking {
        outcomes.add(&thread.join().map_err(|_| "an asking thread has panicked")?);
    }
    let census = forest.census().await;
    let report = forest.fell().await;
    Ok(Summary { length: began.elapsed(), actors: forest.len(), deeds, outcomes, census, report, samples })
}
