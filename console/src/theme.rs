//! What meanings look like.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};

use crate::table::Tone;

/// The colours of the meanings, of the sixteen that every terminal has: its own palette says how they look, on light ground
/// and on dark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    colours: bool,
    done: Color,
    running: Color,
    retry: Color,
    dead: Color,
    cancelled: Color,
    paused: Color,
    accent: Color,
}

impl Default for Theme {
    fn default() -> Self {
        Theme {
            colours: true,
            done: Color::Green,
            running: Color::Blue,
            retry: Color::Yellow,
            dead: Color::Red,
            cancelled: Color::DarkGray,
            paused: Color::Magenta,
            accent: Color::Cyan,
        }
    }
}

/// The names of the sixteen colours.
const COLOURS: [(&str, Color); 17] = [
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("gray", Color::Gray),
    ("dark-gray", Color::DarkGray),
    ("light-red", Color::LightRed),
    ("light-green", Color::LightGreen),
    ("light-yellow", Color::LightYellow),
    ("light-blue", Color::LightBlue),
    ("light-magenta", Color::LightMagenta),
    ("light-cyan", Color::LightCyan),
    ("white", Color::White),
];

/// Why a theme cannot be so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// There is no such meaning.
    #[error(
        "theme.{0}: there is no such meaning; there are done, running, retry, dead, cancelled, paused and accent"
    )]
    Meaning(String),
    /// There is no such colour.
    #[error("theme.{0}: {1:?} is no colour; there are {names}", names = COLOURS.map(|(name, _)| name).join(", "))]
    Colour(String, String),
}

impl Theme {
    /// The theme with these changes, by meaning.
    ///
    /// # Errors
    /// [`ThemeError`] for a meaning or a colour that there is not.
    pub fn with(changes: &BTreeMap<String, String>) -> Result<Self, ThemeError> {
        let mut theme = Theme::default();
        for (meaning, name) in changes {
            let colour = COLOURS.iter().find(|(known, _)| known == name).map(|(_, colour)| *colour);
            let colour = colour.ok_or_else(|| ThemeError::Colour(meaning.clone(), name.clone()))?;
            let place = match meaning.as_str() {
                "done" => &mut theme.done,
                "running" => &mut theme.running,
                "retry" => &mut theme.retry,
                "dead" => &mut theme.dead,
                "cancelled" => &mut theme.cancelled,
                "paused" => &mut theme.paused,
                "accent" => &mut theme.accent,
                _ => return Err(ThemeError::Meaning(meaning.clone())),
            };
            *place = colour;
        }
        Ok(theme)
    }

    /// The same without colours: what they say is said by words, and by bold, dim and reversed letters.
    #[must_use]
    pub fn without_colours(self) -> Self {
        Theme { colours: false, ..self }
    }

    /// What a meaning looks like.
    pub fn tone(&self, tone: Tone) -> Style {
        if !self.colours {
            return match tone {
                Tone::Dead => Style::new().add_modifier(Modifier::BOLD),
                Tone::Cancelled => Style::new().add_modifier(Modifier::DIM),
                _ => Style::new(),
            };
        }
        Style::new().fg(match tone {
            Tone::Plain => return Style::new(),
            Tone::Done => self.done,
            Tone::Running => self.running,
            Tone::Retry => self.retry,
            Tone::Dead => self.dead,
            Tone::Cancelled => self.cancelled,
            Tone::Paused => self.paused,
        })
    }

    /// Headings.
    pub fn heading(&self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.colours { style.fg(self.accent) } else { style }
    }

    /// The selected row.
    pub fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is beside the point.
    pub fn dim(&self) -> Style {
        if self.colours { Style::new().fg(self.cancelled) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// A warning that is to be seen.
    pub fn badge(&self, tone: Tone) -> Style {
        self.tone(tone).add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_chosen_by_meaning() {
        let with = |meaning: &str, colour: &str| {
            Theme::with(&BTreeMap::from([(meaning.to_owned(), colour.to_owned())]))
        };
        assert_eq!(with("dead", "light-red").unwrap().tone(Tone::Dead).fg, Some(Color::LightRed));
        assert!(with("dead", "#ff0000").unwrap_err().to_string().contains("light-magenta"));
        assert!(with("broken", "red").unwrap_err().to_string().contains("there are done"));
        let plain = Theme::default().without_colours();
        assert_eq!(plain.tone(Tone::Done).fg, None);
    }
}
