//! A key as it is pressed, typed in the configuration and shown in the help.

use std::{fmt, str::FromStr};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chord {
    /// A letter, digit or sign, as it is written: its case counts.
    Char(char),
    /// A letter with Ctrl.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Esc.
    Esc,
    /// Tab.
    Tab,
    /// Shift-Tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// The arrow up.
    Up,
    /// The arrow down.
    Down,
    /// The arrow to the left.
    Left,
    /// The arrow to the right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
}

const NAMED: [(Chord, &str); 15] = [
    (Chord::Char(' '), "Space"),
    (Chord::Enter, "Enter"),
    (Chord::Esc, "Esc"),
    (Chord::Tab, "Tab"),
    (Chord::BackTab, "Shift-Tab"),
    (Chord::Backspace, "Backspace"),
    (Chord::Delete, "Delete"),
    (Chord::Up, "Up"),
    (Chord::Down, "Down"),
    (Chord::Left, "Left"),
    (Chord::Right, "Right"),
    (Chord::PageUp, "PgUp"),
    (Chord::PageDown, "PgDn"),
    (Chord::Home, "Home"),
    (Chord::End, "End"),
];

impl Chord {
    /// The key of a terminal's event; none for what is no press of a key that is known here.
    pub fn of(event: KeyEvent) -> Option<Chord> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        if event.modifiers.contains(KeyModifiers::ALT) {
            return None;
        }
        Some(match event.code {
            KeyCode::Char(letter) if ctrl => Chord::Ctrl(letter.to_ascii_lowercase()),
            KeyCode::Char(letter) => Chord::Char(letter),
            KeyCode::Enter => Chord::Enter,
            KeyCode::Esc => Chord::Esc,
            KeyCode::BackTab => Chord::BackTab,
            KeyCode::Tab => Chord::Tab,
            KeyCode::Backspace => Chord::Backspace,
            KeyCode::Delete => Chord::Delete,
            KeyCode::Up => Chord::Up,
            KeyCode::Down => Chord::Down,
            KeyCode::Left => Chord::Left,
            KeyCode::Right => Chord::Right,
            KeyCode::PageUp => Chord::PageUp,
            KeyCode::PageDown => Chord::PageDown,
            KeyCode::Home => Chord::Home,
            KeyCode::End => Chord::End,
            _ => return None,
        })
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, name)) = NAMED.iter().find(|(chord, _)| chord == self) {
            return f.pad(name);
        }
        match self {
            Chord::Char(letter) => f.pad(letter.encode_utf8(&mut [0; 4])),
            Chord::Ctrl(letter) => f.pad(&format!("Ctrl-{letter}")),
            _ => Ok(()),
        }
    }
}

/// A text that names no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey(String);

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = NAMED.iter().map(|(_, name)| *name).collect();
        write!(f, "{:?} is no key; there are single letters such as \"x\" and \"X\", \"Ctrl-x\", ", self.0)?;
        f.write_str(&names.join(", "))
    }
}

impl std::error::Error for UnknownKey {}

impl FromStr for Chord {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let one = |text: &str| {
            let mut letters = text.chars();
            letters.next().filter(|letter| letters.next().is_none() && !letter.is_control())
        };
        if let Some((chord, _)) = NAMED.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(*chord);
        }
        if let Some(letter) = one(text) {
            return Ok(Chord::Char(letter));
        }
        let ctrl =
            text.get(..5).filter(|start| start.eq_ignore_ascii_case("ctrl-")).and_then(|_| one(&text[5..]));
        match ctrl.filter(char::is_ascii_alphabetic) {
            Some(letter) => Ok(Chord::Ctrl(letter.to_ascii_lowercase())),
            None => Err(UnknownKey(text.chars().take(40).collect())),
        }
    }
}
