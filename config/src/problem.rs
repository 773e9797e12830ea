//! What is wrong with a configuration, and how it is shown.

use std::fmt;
use std::ops::Range;

use crate::key::shortened;
use crate::source::Source;
use crate::text::{Position, SourceText};

/// Problems that are kept; what a broken file has beyond them is counted only.
const MOST: usize = 100;

/// One thing that is wrong with a configuration.
///
/// Its `Display` is laid out as a compiler's: what is wrong, where, the line of the file with a caret, and what would be
/// right. Values of secrets are not shown.
#[derive(Clone, Debug)]
pub struct Problem {
    key: Option<String>,
    source: Option<Source>,
    message: String,
    help: Vec<String>,
    excerpt: Option<Excerpt>,
}

#[derive(Clone, Debug)]
struct Excerpt {
    line: usize,
    text: String,
    /// Characters of `text` before the carets.
    indent: usize,
    width: usize,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { key: None, source: None, message: message.into(), help: Vec::new(), excerpt: None }
    }

    pub(crate) fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub(crate) fn with_source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Shows the line of a range with carets under it; `only_to_end` leaves out what follows the range.
    pub(crate) fn with_excerpt(mut self, text: &SourceText, range: &Range<usize>, only_to_end: bool) -> Self {
        self.excerpt = Excerpt::new(text, range, only_to_end);
        self
    }

    /// The key it is about, such as `web.listen`; none for a file that cannot be read.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Where it is; none for a file that cannot be read.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would be right, and what else helps.
    pub fn help(&self) -> impl Iterator<Item = &str> {
        self.help.iter().map(String::as_str)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let gutter = self.excerpt.as_ref().map_or(1, |excerpt| excerpt.line.to_string().len());
        match &self.source {
            Some(Source::File { path, line, column }) => {
                write!(f, "\n{:gutter$}--> {}:{line}:{column}", "", path.display())?;
            }
            Some(source) => write!(f, "\n{:gutter$}--> {source}", "")?,
            None => {}
        }
        if let Some(Excerpt { line, text, indent, width }) = &self.excerpt {
            write!(f, "\n{:gutter$} |\n{line} | {text}\n{:gutter$} | {:indent$}{:^<width$}", "", "", "", "")?;
        }
        for help in &self.help {
            write!(f, "\n{:gutter$} = {help}", "")?;
        }
        Ok(())
    }
}

impl Excerpt {
    /// Characters shown before the carets, and under and after them, of a long line.
    const BEFORE: usize = 50;
    const AFTER: usize = 70;

    fn new(text: &SourceText, range: &Range<usize>, only_to_end: bool) -> Option<Self> {
        let Position { line, column } = text.position(range.start);
        let width = text.width_in_line(range);
        if may_hold_secret(text, line, only_to_end.then_some(column - 1 + width)) {
            return None;
        }
        let skipped = (column - 1).saturating_sub(Self::BEFORE);
        let mut shown = String::new();
        if skipped > 0 {
            shown.push('…');
        }
        let indent = column - 1 - skipped + usize::from(skipped > 0);
        let rest = text.line(line).chars().skip(skipped);
        let limit = if only_to_end { column - 1 - skipped + width } else { usize::MAX };
        let window = limit.min(column - 1 - skipped + Self::AFTER);
        let mut more = false;
        for (taken, letter) in rest.enumerate() {
            if taken == window {
                more = true;
                break;
            }
            // A tab would move the carets, and other control characters may upset a terminal.
            shown.push(match letter {
                '\t' => ' ',
                _ if letter.is_control() => '\u{fffd}',
                _ => letter,
            });
        }
        if more {
            shown.push('…');
        }
        let width = width.min(Self::AFTER);
        Some(Self { line, text: shown, indent, width })
    }
}

/// Whether a line (its first characters, when only they are to be shown) may hold a secret: it names one, a token, a header or a URL, or the line
/// above it in which its value may have begun does, or its table.
fn may_hold_secret(text: &SourceText, line: usize, shown: Option<usize>) -> bool {
    let names_secret = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["token", "url", "secret", "password", "header"].iter().any(|word| text.contains(word))
            || (text.contains("://") && text.contains('@'))
    };
    let own = text.line(line);
    if let Some(shown) = shown {
        let before: String = own.chars().take(shown).collect();
        // The key under the carets may itself be called so; only what follows an equals sign is a value.
        return before.contains('=') && names_secret(&before);
    }
    if names_secret(own) {
        return true;
    }
    let is_header = |line: &str| line.trim_start().starts_with('[');
    // The padding of a base64 text in several lines is not taken for a key's equals sign.
    let assigns = |line: &str| {
        line.split_once('=').is_some_and(|(_, value)| !value.trim().is_empty() && !value.starts_with('='))
    };
    if is_header(own) {
        return false;
    }
    let mut begun = assigns(own);
    // What began further above is taken for a secret.
    const LINES: usize = 100;
    for number in (1..line).rev().take(LINES) {
        let above = text.line(number);
        if is_header(above) {
            return names_secret(above);
        }
        if !begun && assigns(above) {
            if names_secret(above) {
                return true;
            }
            begun = true;
        }
    }
    line > LINES && !begun
}

/// A configuration that is not usable, with everything that is wrong with it.
///
/// Its `Display` shows each problem as [`Problem`] does, with an empty line between them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", render(problems, *omitted))]
pub struct ConfigError {
    problems: Vec<Problem>,
    omitted: usize,
}

impl ConfigError {
    /// What is wrong: files that cannot be read, then what is in files, environment and flags. At most 100, never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many problems there are besides [`ConfigError::problems`].
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

fn render(problems: &[Problem], omitted: usize) -> String {
    let mut parts: Vec<String> = problems.iter().map(Problem::to_string).collect();
    if omitted > 0 {
        parts.push(format!("error: there are {omitted} more problems"));
    }
    parts.join("\n\n")
}

/// Gathers problems.
#[derive(Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    omitted: usize,
}

impl Problems {
    /// Adds a problem. It is only made when it is kept: to place each of very many in a large file would take long.
    pub(crate) fn push(&mut self, problem: impl FnOnce() -> Problem) {
        if self.list.len() < MOST {
            self.list.push(problem());
        } else {
            self.omitted += 1;
        }
    }

    /// All that was wrong, ordered as the layers are, and by place in each file.
    pub(crate) fn finish(mut self) -> Result<(), ConfigError> {
        if self.list.is_empty() {
            Ok(())
        } else {
            self.list.sort_by_key(|problem| match &problem.source {
                None => (0, 0, 0),
                Some(Source::Default | Source::Code) => (1, 0, 0),
                Some(Source::File { line, column, .. }) => (2, *line, *column),
                Some(Source::Environment { .. }) => (3, 0, 0),
                Some(Source::Flag { .. }) => (4, 0, 0),
                Some(Source::Request { .. }) => (5, 0, 0),
            });
            Err(ConfigError { problems: self.list, omitted: self.omitted })
        }
    }
}

/// The problem of a file that cannot be read.
pub(crate) fn unreadable(path: &std::path::Path, error: &crate::text::Unreadable) -> Problem {
    let path = shortened(&path.to_string_lossy());
    let problem = Problem::new(format!("cannot read the configuration file {path}: {}", error.message));
    match error.help {
        Some(help) => problem.with_help(format!("help: {help}")),
        None => problem,
    }
}
