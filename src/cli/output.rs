//! What is printed: for people, or as JSON for programs.

use std::{
    borrow::Cow,
    io::{self, Write},
    process::ExitCode,
};

use callboard::contracts::JobState;
use clap::builder::styling::Style;
use serde::Serialize;
use serde_json::json;

use super::style;

/// A job failed, or something was refused or went wrong.
pub(crate) const SOME_FAILED: u8 = 1;
/// Wrong usage or input.
pub(crate) const USAGE: u8 = 2;
/// No server answers.
pub(crate) const NO_SERVER: u8 = 3;
/// The server answers, and refuses to work.
pub(crate) const REFUSED: u8 = 4;
/// Ended by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Failure { code: SOME_FAILED, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { code: USAGE, message: message.into() }
    }
}

/// How things are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) colours: bool,
}

impl Printer {
    /// Says on standard error what went wrong.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        if self.json {
            say(&json!({ "error": failure.message, "exit_code": failure.code }).to_string());
        } else {
            say(&format!("callboard: {}", clean_lines(&failure.message)));
        }
        ExitCode::from(failure.code)
    }

    /// Says something on standard error that is no result and no error.
    pub(crate) fn note(self, text: &str) {
        if !self.json && !self.quiet {
            say(&clean_lines(text));
        }
    }

    /// A whole answer.
    pub(crate) fn document(self, value: &impl Serialize) {
        line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// One of many answers.
    pub(crate) fn record(self, value: &impl Serialize) {
        line(&serde_json::to_string(value).unwrap_or_default());
    }

    /// The text in this style, where colours are wanted.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    pub(crate) fn state(self, state: JobState) -> String {
        self.paint(style::of_state(state), state.as_str())
    }
}

/// Standard error may be closed; then there is nobody to tell.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a line of a result. Whoever read it may have gone away, as `head` does; then the program ends, for it has
/// nothing else to do.
pub(crate) fn line(text: &str) {
    if !try_line(text) {
        std::process::exit(0);
    }
}

/// Prints a line of a result, and says whether somebody still reads. Ends the program if the line cannot be written,
/// for example on a full disk: half a result must not look like a whole one.
pub(crate) fn try_line(text: &str) -> bool {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => false,
        Err(error) => {
            say(&format!("callboard: standard output cannot be written: {error}"));
            std::process::exit(i32::from(SOME_FAILED))
        }
    }
}

/// The text without what a terminal would obey: a job's error must not move somebody's cursor.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// The same, with its lines left as they are.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// A part of a whole in percent, rounded down: only what is whole is 100%.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.0}%", (fraction.clamp(0.0, 1.0) * 100.0 + 1e-9).floor())
}

/// The first line, cleaned and cut to a length that fits.
pub(crate) fn first_line(text: &str, limit: usize) -> String {
    let first = text.lines().next().unwrap_or("");
    let mut short: String = clean(first).chars().take(limit).collect();
    if first.chars().count() > limit {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_rounded_down() {
        let percents = [0.0, 0.29, 0.57, 0.999, 1.0, 7.0].map(percent);
        assert_eq!(percents, ["0%", "29%", "57%", "99%", "100%", "100%"]);
    }

    #[test]
    fn nothing_is_left_for_a_terminal_to_obey() {
        assert_eq!(clean("a\u{1b}[2Jb\tc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(clean_lines("a\nb\r\nc\u{7}"), "a\nb\nc\u{fffd}");
        assert_eq!(first_line("0123456789\nmore", 5), "0123…");
        assert_eq!(first_line("01234", 5), "01234");
        assert_eq!(first_line("", 5), "");
    }
}
