//! Turns: each on a thread and a runtime of its own, or in a process of its own.

use std::{future::Future, pin::Pin, process::Command};

use crate::{arguments::APART, catalogue};

/// One turn of one library: the figures, in the scenario's units.
pub(crate) type Run = fn() -> Pin<Box<dyn Future<Output = Vec<f64>>>>;

/// What we are called in the tables, and what the others are compared with.
pub(crate) const OURS: &str = "callboard";

/// What is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    /// Ours is so many times as fast (or as small) as this one, which has this entry.
    Times(f64),
    /// This entry's figure is less than this.
    Below(f64),
    /// This entry's figure is less than this above that of the library named.
    Above(f64, &'static str),
}

/// A figure of a scenario.
pub(crate) struct Figure {
    /// Empty if there is but one.
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

pub(crate) struct Entry {
    pub(crate) library: &'static str,
    run: Run,
    /// For each figure.
    pub(crate) aims: Vec<Option<Aim>>,
    /// Of each round: for each figure.
    pub(crate) rounds: Vec<Vec<f64>>,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) figures: &'static [Figure],
    pub(crate) entries: Vec<Entry>,
    /// Each turn in a process of its own.
    apart: bool,
}

impl Scenario {
    pub(crate) fn new(name: &'static str, figures: &'static [Figure]) -> Self {
        Scenario { name, figures, entries: Vec::new(), apart: false }
    }

    pub(crate) fn apart(self) -> Self {
        Scenario { apart: true, ..self }
    }

    pub(crate) fn with(mut self, library: &'static str, run: Run) -> Self {
        let aims = self.figures.iter().map(|_| None).collect();
        self.entries.push(Entry { library, run, aims, rounds: Vec::new() });
        self
    }

    /// What the last entry is to reach with this figure.
    pub(crate) fn aim(mut self, figure: usize, aim: Aim) -> Self {
        if let Some(entry) = self.entries.last_mut() {
            entry.aims[figure] = Some(aim);
        }
        self
    }

    /// One turn for each library, another one first in each round.
    pub(crate) fn turn(&mut self, round: usize) -> Result<(), String> {
        let count = self.entries.len();
        for n in 0..count {
            let entry = &mut self.entries[(n + round) % count];
            let figures = if self.apart { ask_apart(self.name, entry.library)? } else { alone(entry.run)? };
            if figures.len() != self.figures.len() {
                return Err(format!("{}, {}: {} figures", self.name, entry.library, figures.len()));
            }
            entry.rounds.push(figures);
        }
        Ok(())
    }
}

fn alone(run: Run) -> Result<Vec<f64>, String> {
    let body = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime =
            runtime.enable_all().build_local(Default::default()).map_err(|error| error.to_string())?;
        // As a task, as in a program: the future that a runtime blocks on makes the scheduler look at its timers every
        // time that it waits.
        runtime.block_on(async { tokio::task::spawn_local(run()).await }).map_err(|error| error.to_string())
    };
    std::thread::spawn(body).join().unwrap_or_else(|_| Err("a scenario panicked".into()))
}

fn ask_apart(scenario: &str, library: &str) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let output = Command::new(program).args([APART, scenario, library]).output();
    let output = output.map_err(|error| format!("a process for {scenario}, {library}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    match figures {
        Ok(figures) if output.status.success() => Ok(figures),
        _ => Err(format!("{scenario}, {library}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The other side: one turn, its figures to the standard output.
pub(crate) fn answer_apart(scenario: &str, library: &str) -> Result<(), String> {
    let mut scenarios = catalogue::all().into_iter().filter(|other| other.name == scenario);
    let mut entries = scenarios.next().map(|scenario| scenario.entries).unwrap_or_default().into_iter();
    let entry = entries.find(|entry| entry.library == library).ok_or("there is no such turn")?;
    let figures: Vec<_> = alone(entry.run)?.iter().map(f64::to_string).collect();
    println!("{}", figures.join(" "));
    Ok(())
}
