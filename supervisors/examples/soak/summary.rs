//! [`Summary`]: what happened, and which promises were kept.

use std::{fmt, time::Duration};

use callboard_supervisors::ShutdownReport;

use crate::{asking::Outcomes, memory::Samples, tree::Census, trouble::Deeds};

/// Of what is wrong this many are shown.
const SHOWN: usize = 10;

pub(crate) struct Summary {
    pub(crate) length: Duration,
    pub(crate) actors: usize,
    pub(crate) deeds: Deeds,
    pub(crate) outcomes: Outcomes,
    pub(crate) census: Census,
    pub(crate) report: ShutdownReport,
    pub(crate) samples: Samples,
}

impl Summary {
    fn promises(&self) -> [(&'static str, bool); 8] {
        let Summary { outcomes, census, report, samples, .. } = self;
        [
            ("every permanent address answers", census.lost.is_empty()),
            ("no permanent child was gone meanwhile", outcomes.gone == 0),
            ("every ask had an answer or a reason", outcomes.is_complete() && outcomes.dropped == 0),
            ("no ask timed out", outcomes.timed_out == 0),
            ("no answer was another's", outcomes.wrong == 0),
            ("the tree is whole", census.odd.is_empty()),
            ("the memory does not grow", samples.is_steady()),
            ("the shutdown is clean", report.is_clean()),
        ]
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.promises().iter().all(|(_, kept)| *kept)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { length, actors, deeds, outcomes, census, report, samples } = self;
        let rows = [
            ("actors", u64::try_from(*actors).unwrap_or(u64::MAX)),
            ("seconds", length.as_secs()),
            ("told to panic", deeds.panics),
            ("told to panic and to fail its next starts", deeds.bad_starts),
            ("killed", deeds.kills),
            ("restarted by hand", deeds.restarts),
            ("parts of the tree restarted by hand", deeds.shaken),
            ("suspended and resumed", deeds.suspended),
            ("ended and replaced by another", deeds.replaced),
            ("first starts that failed", deeds.refused_starts),
            ("ends that supervisors heard of", census.ends),
            ("of these crashes", census.crashes),
            ("restarts of supervisors", census.supervisor_restarts),
            ("asks", outcomes.asked),
            ("answered", outcomes.answered),
            ("refused: panicked", outcomes.panicked),
            ("refused: stopped", outcomes.stopped),
            ("refused: full", outcomes.full),
            ("refused: dropped", outcomes.dropped),
            ("timed out", outcomes.timed_out),
        ];
        for (name, number) in rows {
            writeln!(f, "{name:<44}{number:>14}")?;
        }
        if let Some((first, last)) = samples.ends() {
            let name = format!("memory in MiB, {} samples", samples.len());
            writeln!(f, "{name:<44}{:>14}", format!("{first:.1} to {last:.1}"))?;
        }
        if let Some(slope) = samples.slope() {
            writeln!(f, "{:<44}{slope:>14.2}", "its slope in MiB a minute")?;
        }
        writeln!(f, "{:<44}{:>14.1}", "seconds to stop", report.elapsed.as_secs_f64())?;
        for (promise, kept) in self.promises() {
            writeln!(f, "{promise:<44}{:>14}", if kept { "kept" } else { "BROKEN" })?;
        }
        for line in census.lost.iter().take(SHOWN).chain(census.odd.iter().take(SHOWN)) {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
