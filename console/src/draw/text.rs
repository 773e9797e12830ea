//! Texts on the screen.

use ratatui::text::Span;

/// The lines of a text, broken at this width.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = crate::format::clean(line);
        let mut current = String::new();
        let mut used = 0;
        for letter in line.chars() {
            let wide = Span::raw(letter.to_string()).width();
            if used + wide > width {
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push(letter);
            used += wide;
        }
        lines.push(current);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// The text in so many columns: cut with a sign that it is, or filled up with spaces.
pub(super) fn fitted(text: &str, width: usize, right: bool) -> String {
    let wide = Span::raw(text).width();
    if wide <= width {
        let spaces = " ".repeat(width - wide);
        return if right { format!("{spaces}{text}") } else { format!("{text}{spaces}") };
    }
    if width == 0 {
        return String::new();
    }
    let mut cut = String::new();
    let mut used = 0;
    for letter in text.chars() {
        let wide = Span::raw(letter.to_string()).width();
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        cut.push(letter);
    }
    cut.push('…');
    cut.extend(std::iter::repeat_n(' ', width - used - 1));
    cut
}

/// What is seen in so many columns of a line that is typed, and the column of the cursor, which is always seen.
pub(super) fn around(text: &str, at: usize, width: usize) -> (String, u16) {
    let wide = |letter: &char| Span::raw(letter.to_string()).width();
    let letters: Vec<char> = text.chars().collect();
    let at = at.min(letters.len());
    let room = width.saturating_sub(letters.get(at).map_or(1, wide).max(1));
    let (mut from, mut column) = (at, 0);
    while from > 0 && column + wide(&letters[from - 1]) <= room {
        from -= 1;
        column += wide(&letters[from]);
    }
    let mut used = 0;
    let fits = letters[from..].iter().take_while(|letter| {
        used += wide(letter);
        used <= width
    });
    (fits.collect(), u16::try_from(column).unwrap_or(u16::MAX))
}

/// Numbers as a line of bars, the newest at the right, in so many columns; nothing where there is no number.
pub(super) fn sparkline(values: &[Option<f64>], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(width)..];
    let most = shown.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if most > 0.0 => BARS[((value.max(0.0) / most * 7.0).round() as usize).min(7)],
        Some(_) => BARS[0],
    };
    let line: String = shown.iter().map(bar).collect();
    format!("{}{line}", " ".repeat(width - shown.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_columns() {
        assert_eq!(fitted("abc", 5, false), "abc  ");
        assert_eq!(fitted("abc", 5, true), "  abc");
        assert_eq!(fitted("abcdef", 4, false), "abc…");
        assert_eq!(fitted("日本語", 4, false), "日… ");
        assert_eq!(fitted("x", 0, false), "");
        assert_eq!(around("abcdef", 6, 4), ("def".to_owned(), 3));
        assert_eq!(around("abcdef", 1, 4), ("abcd".to_owned(), 1));
        assert_eq!(around("日本語x", 3, 5), ("本語x".to_owned(), 4));
        assert_eq!(around("", 0, 4), (String::new(), 0));
        assert_eq!(wrapped("abcde\n\nf", 2), ["ab", "cd", "e", "", "f"]);
        assert_eq!(sparkline(&[Some(0.0), None, Some(7.0), Some(14.0)], 5), " ▁ ▅█");
        assert_eq!(sparkline(&[], 3), "   ");
    }
}
