//! A progress bar on standard error, where somebody sees it.

use std::{cell::Cell, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Printer;

/// How often it moves by itself.
const TICK: Duration = Duration::from_millis(100);

/// How far a submission is. On what is no terminal, with `--json` and with `--quiet` it is nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    waiting: Cell<bool>,
}

impl Progress {
    /// `total` is the bytes or jobs that are to be submitted, if that is known.
    pub(crate) fn new(printer: Printer, total: Option<u64>) -> Self {
        // The target itself hides the bar where standard error is no terminal.
        let target = if printer.json || printer.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(style(if total.is_some() {
            "{bar:30} {percent:>3}% {msg}"
        } else {
            "{spinner} {msg}"
        }));
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Progress { bar, waiting: Cell::new(false) }
    }

    /// What has been submitted, in the unit of the total, and how many jobs that made.
    pub(crate) fn submitted(&self, position: u64, accepted: usize, refused: usize) {
        if self.waiting.get() {
            return;
        }
        self.bar.set_position(position);
        let refused = if refused == 0 { String::new() } else { format!(", {refused} refused") };
        self.bar.set_message(format!("{accepted} submitted{refused}"));
    }

    /// All is submitted; now it is about what has finished.
    pub(crate) fn finished(&self, finished: usize, of: usize, failed: usize) {
        if !self.waiting.replace(true) {
            self.bar.set_style(style("{bar:30} {pos}/{len} {msg}"));
        }
        self.bar.set_length(of as u64);
        self.bar.set_position(finished as u64);
        self.bar.set_message(if failed == 0 {
            "finished".to_owned()
        } else {
            format!("finished, {failed} failed")
        });
    }

    /// How far one of those is that run.
    pub(crate) fn running(&self, text: String) {
        if self.waiting.get() {
            self.bar.set_message(text);
        }
    }

    /// Says something else until there is news.
    pub(crate) fn note(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Does something, such as printing, while the bar is out of the way.
    pub(crate) fn aside<T>(&self, action: impl FnOnce() -> T) -> T {
        self.bar.suspend(action)
    }

    pub(crate) fn handle(&self) -> ProgressBar {
        self.bar.clone()
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are right, which a test proves")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_both_phases() {
        let printer = Printer { json: true, quiet: false, colours: false };
        for total in [None, Some(10)] {
            let progress = Progress::new(printer, total);
            progress.submitted(5, 5, 0);
            assert_eq!(progress.handle().message(), "5 submitted");
            progress.submitted(6, 5, 1);
            assert_eq!(progress.handle().message(), "5 submitted, 1 refused");
            progress.finished(3, 5, 1);
            progress.submitted(7, 5, 1);
            assert_eq!(progress.handle().message(), "finished, 1 failed");
            assert_eq!((progress.handle().position(), progress.handle().length()), (3, Some(5)));
        }
    }
}
