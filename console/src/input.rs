//! Texts that are typed: one line, and several.

use crate::keys::Chord;

/// The longest line, in characters.
const LONGEST_LINE: usize = 10_000;
/// Lines at most.
const MOST_LINES: usize = 20_000;

/// A line that is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    letters: Vec<char>,
    at: usize,
}

impl Input {
    /// A line that has this text already; the cursor is at its end.
    pub fn with(text: &str) -> Self {
        let letters: Vec<char> =
            text.chars().filter(|letter| !letter.is_control()).take(LONGEST_LINE).collect();
        Input { at: letters.len(), letters }
    }

    /// The text.
    pub fn text(&self) -> String {
        self.letters.iter().collect()
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The cursor, in characters from the beginning.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Takes a key; says whether it was one for a line.
    pub fn key(&mut self, chord: Chord) -> bool {
        match chord {
            Chord::Char(letter) if self.letters.len() < LONGEST_LINE => {
                self.letters.insert(self.at, letter);
                self.at += 1;
            }
            Chord::Backspace if self.at > 0 => {
                self.at -= 1;
                self.letters.remove(self.at);
            }
            Chord::Delete if self.at < self.letters.len() => {
                self.letters.remove(self.at);
            }
            Chord::Char(_) | Chord::Backspace | Chord::Delete => {}
            Chord::Left => self.at = self.at.saturating_sub(1),
            Chord::Right => self.at = (self.at + 1).min(self.letters.len()),
            Chord::Home | Chord::Ctrl('a') => self.at = 0,
            Chord::End | Chord::Ctrl('e') => self.at = self.letters.len(),
            Chord::Ctrl('u') => {
                self.letters.drain(..self.at);
                self.at = 0;
            }
            Chord::Ctrl('w') => {
                let spaces =
                    self.letters[..self.at].iter().rev().take_while(|letter| **letter == ' ').count();
                let word = self.letters[..self.at - spaces]
                    .iter()
                    .rev()
                    .take_while(|letter| **letter != ' ')
                    .count();
                let from = self.at - spaces - word;
                self.letters.drain(from..self.at);
                self.at = from;
            }
            _ => return false,
        }
        true
    }

    /// Takes a text that was pasted; ends of lines become spaces.
    pub fn paste(&mut self, text: &str) {
        for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
            self.key(Chord::Char(letter));
        }
    }
}

/// A text of several lines that is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextArea {
    lines: Vec<Input>,
    row: usize,
}

impl TextArea {
    /// A text that is there already; the cursor is at its beginning.
    pub fn with(text: &str) -> Self {
        let mut lines: Vec<Input> = text.lines().take(MOST_LINES).map(Input::with).collect();
        if lines.is_empty() {
            lines.push(Input::default());
        }
        for line in &mut lines {
            line.at = 0;
        }
        TextArea { lines, row: 0 }
    }

    /// The text.
    pub fn text(&self) -> String {
        self.lines.iter().map(Input::text).collect::<Vec<_>>().join("\n")
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().map(Input::text)
    }

    /// The line of the cursor, and its place in it.
    pub fn at(&self) -> (usize, usize) {
        (self.row, self.lines[self.row].at)
    }

    /// Takes a key; says whether it was one for a text.
    pub fn key(&mut self, chord: Chord) -> bool {
        let column = self.lines[self.row].at;
        let go = |row: usize, area: &mut Self| {
            area.row = row.min(area.lines.len() - 1);
            let line = &mut area.lines[area.row];
            line.at = column.min(line.letters.len());
        };
        match chord {
            Chord::Enter if self.lines.len() < MOST_LINES => {
                let rest = self.lines[self.row].letters.split_off(column);
                self.row += 1;
                self.lines.insert(self.row, Input { letters: rest, at: 0 });
            }
            Chord::Enter => {}
            Chord::Backspace if column == 0 && self.row > 0 => {
                let rest = self.lines.remove(self.row).letters;
                self.row -= 1;
                let line = &mut self.lines[self.row];
                line.at = line.letters.len();
                line.letters.extend(rest);
            }
            Chord::Delete
                if column == self.lines[self.row].letters.len() && self.row + 1 < self.lines.len() =>
            {
                let rest = self.lines.remove(self.row + 1).letters;
                self.lines[self.row].letters.extend(rest);
            }
            Chord::Up => go(self.row.saturating_sub(1), self),
            Chord::Down => go(self.row + 1, self),
            Chord::PageUp => go(self.row.saturating_sub(10), self),
            Chord::PageDown => go(self.row + 10, self),
            Chord::Left if column == 0 && self.row > 0 => {
                self.row -= 1;
                self.lines[self.row].at = self.lines[self.row].letters.len();
            }
            Chord::Right
                if column == self.lines[self.row].letters.len() && self.row + 1 < self.lines.len() =>
            {
                self.row += 1;
                self.lines[self.row].at = 0;
            }
            chord => return self.lines[self.row].key(chord),
        }
        true
    }

    /// Takes a text that was pasted, with its lines.
    pub fn paste(&mut self, text: &str) {
        for letter in text.replace("\r\n", "\n").replace('\r', "\n").chars() {
            match letter {
                '\n' => self.key(Chord::Enter),
                '\t' => self.key(Chord::Char(' ')) && self.key(Chord::Char(' ')),
                letter if letter.is_control() => false,
                letter => self.key(Chord::Char(letter)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_edited() {
        let mut line = Input::with("one two");
        for chord in
            [Chord::Ctrl('w'), Chord::Char('x'), Chord::Home, Chord::Delete, Chord::End, Chord::Backspace]
        {
            assert!(line.key(chord));
        }
        assert_eq!(line.text(), "ne ");
        line.paste("a\nb");
        assert_eq!((line.text(), line.at()), ("ne a b".to_owned(), 6));
        line.key(Chord::Ctrl('u'));
        assert!(line.is_empty() && !line.key(Chord::Enter));
    }

    #[test]
    fn a_text_is_edited() {
        let mut area = TextArea::with("{\n  \"a\": 1\n}");
        area.key(Chord::Down);
        area.key(Chord::End);
        area.paste(",\n  \"b\": 2");
        assert_eq!(area.text(), "{\n  \"a\": 1,\n  \"b\": 2\n}");
        assert_eq!(area.at(), (2, 8));
        area.key(Chord::Home);
        area.key(Chord::Backspace);
        assert_eq!(area.text(), "{\n  \"a\": 1,  \"b\": 2\n}");
    }

    proptest! {
        #[test]
        fn no_key_breaks_a_text(keys in proptest::collection::vec(0_usize..13, 0..60)) {
            let mut area = TextArea::with("ab\n\ncd");
            let all = [
                Chord::Char('x'), Chord::Enter, Chord::Backspace, Chord::Delete, Chord::Up, Chord::Down, Chord::Left,
                Chord::Right, Chord::Home, Chord::End, Chord::Ctrl('w'), Chord::Ctrl('u'), Chord::PageDown,
            ];
            for key in keys {
                area.key(all[key]);
                let (row, column) = area.at();
                prop_assert!(column <= area.lines().nth(row).unwrap().chars().count());
            }
        }
    }
}
