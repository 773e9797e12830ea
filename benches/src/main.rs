//! Compares the actor runtime with its peers: every library on one thread with the same tokio runtime, in one process,
//! all libraries by turns, so that what disturbs one disturbs all (`docs/decisions/0002-own-benchmark-harness.md`).

mod arguments;
mod catalogue;
mod contender;
mod harness;
mod libraries;
mod report;
mod scenarios;

use std::process::ExitCode;

use arguments::{Arguments, Command};

/// The text of panics that are meant.
const EXPECTED_PANIC: &str = "as the benchmark wants";

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload_as_str() != Some(EXPECTED_PANIC) {
            eprintln!("{panic}");
        }
    }));
    let done = match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", arguments::HELP);
            Ok(())
        }
        Ok(Command::Compare(arguments)) => compare(&arguments),
        Ok(Command::Apart { scenario, library }) => harness::answer_apart(&scenario, &library),
        Err(problem) => {
            eprintln!("callboard-benches: {problem}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("callboard-benches: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<(), String> {
    let mut scenarios = catalogue::all();
    let names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
    if let Some(word) = &arguments.only {
        scenarios.retain(|scenario| scenario.name.contains(word.as_str()));
    }
    if scenarios.is_empty() {
        return Err(format!("no scenario is called so; there are:\n  {}", names.join("\n  ")));
    }
    for round in 0..arguments.rounds {
        for scenario in &mut scenarios {
            eprintln!("round {} of {}: {}", round + 1, arguments.rounds, scenario.name);
            scenario.turn(round)?;
        }
    }
    print!("{}", report::table(&scenarios, arguments.markdown));
    Ok(())
}
