//! Colours, and when they are used.

use std::{ffi::OsString, io::IsTerminal};

use callboard::contracts::JobState;
use clap::{
    ValueEnum,
    builder::styling::{AnsiColor, Style},
};

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const BUSY: Style = AnsiColor::Cyan.on_default();
pub(crate) const WAITS: Style = AnsiColor::Yellow.on_default();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    pub(crate) fn of_clap(self) -> clap::ColorChoice {
        match self {
            ColorChoice::Auto => clap::ColorChoice::Auto,
            ColorChoice::Always => clap::ColorChoice::Always,
            ColorChoice::Never => clap::ColorChoice::Never,
        }
    }

    pub(crate) fn holds_for(self, output: &impl IsTerminal) -> bool {
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
                output.is_terminal() && !refused && !dumb
            }
        }
    }
}

/// What `--color` says, read ahead of all else; wrong values are left for later.
pub(crate) fn asked_for(arguments: impl Iterator<Item = OsString>) -> ColorChoice {
    let mut arguments = arguments.take_while(|argument| argument != "--");
    let mut choice = ColorChoice::Auto;
    while let Some(argument) = arguments.next() {
        let value = match argument.to_str() {
            Some("--color") => arguments.next().unwrap_or_default(),
            Some(text) => match text.strip_prefix("--color=") {
                Some(value) => value.into(),
                None => continue,
            },
            None => continue,
        };
        let value = value.to_str().and_then(|value| ColorChoice::from_str(value, false).ok());
        choice = value.unwrap_or(choice);
    }
    choice
}

pub(crate) fn of_state(state: JobState) -> Style {
    match state {
        JobState::Completed => GOOD,
        JobState::Discarded => BAD,
        JobState::Executing => BUSY,
        JobState::Retryable | JobState::Scheduled | JobState::Pending => WAITS,
        JobState::Available => Style::new(),
        JobState::Cancelled => FAINT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_known_before_anything_else() {
        let asked = |arguments: &[&str]| asked_for(arguments.iter().map(OsString::from));
        assert_eq!(asked(&["callboard", "tree"]), ColorChoice::Auto);
        assert_eq!(asked(&["callboard", "--color", "never", "--help"]), ColorChoice::Never);
        assert_eq!(asked(&["callboard", "tree", "--color=always"]), ColorChoice::Always);
        assert_eq!(asked(&["callboard", "--color=sometimes", "--color"]), ColorChoice::Auto);
        assert_eq!(
            asked(&["callboard", "submit", "command", "--", "ls", "--color=never"]),
            ColorChoice::Auto
        );
    }
}
