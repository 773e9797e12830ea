//! Times, amounts and texts as they are shown.

use std::{borrow::Cow, time::Duration};

use callboard_contracts::Timestamp;

/// The text without what a terminal would obey: a job's error must not move somebody's cursor.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains(is_unseen) {
        text.replace('\t', "    ").replace(is_unseen, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Whether a letter is not seen, and does something: a control character, or one that turns the direction of what stands beside it.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The first line, cleaned.
pub(crate) fn first_line(text: &str) -> String {
    clean(text.lines().next().unwrap_or("")).into_owned()
}

/// A time span in one unit, or two small ones: `250ms`, `4.2s`, `3m05s`, `2h10m`, `4d3h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..=9 => format!("{:.1}s", (span.as_millis() / 100) as f64 / 10.0),
        10..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..=86399 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// How long ago, in one unit: `12s`, `3m`, `2h`, `4d`; of what is to come `in 12s`.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    let unit = |span: Duration| match span.as_secs() {
        seconds @ 0..=59 => format!("{seconds}s"),
        seconds @ 60..=3599 => format!("{}m", seconds / 60),
        seconds @ 3600..=86399 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    };
    if at > now { format!("in {}", unit(at.saturating_since(now))) } else { unit(now.saturating_since(at)) }
}

/// A time as people read it: `2026-11-22 06:50:01`.
pub(crate) fn at(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {}", &text[..10], &text[11..19])
}

/// The time of day with its milliseconds: `06:50:01.123`.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    at.to_string()[11..23].to_owned()
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: `0`, `0.3`, `12`, `1,234`.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second <= 0.0 {
        "0".to_owned()
    } else if per_second < 10.0 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

/// Milliseconds as a time span.
pub(crate) fn millis(millis: f64) -> String {
    span(Duration::from_millis(if millis.is_finite() && millis > 0.0 { millis.round() as u64 } else { 0 }))
}

/// One of some: `1 job`, `3 jobs`.
pub(crate) fn plural(number: usize, word: &str) -> String {
    format!("{} {word}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

/// A value as indented JSON, line by line.
pub(crate) fn json_lines(value: &impl serde::Serialize) -> Vec<String> {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("(no JSON: {error})"));
    text.lines().map(|line| clean(line).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        let spans =
            [0, 250, 4_250, 59_000, 185_000, 7_800_000, 360_000_000].map(Duration::from_millis).map(span);
        assert_eq!(spans, ["0ms", "250ms", "4.2s", "59s", "3m05s", "2h10m", "4d4h"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.31, 12.4, 1234.0].map(rate), ["0", "0.3", "12", "1,234"]);
        let now: Timestamp = "2026-11-22T06:50:01.123456Z".parse().unwrap();
        let before = |seconds| age(now.saturating_sub(Duration::from_secs(seconds)), now);
        assert_eq!([0, 61, 3600, 200_000].map(before), ["0s", "1m", "1h", "2d"]);
        assert_eq!(age(now.saturating_add(Duration::from_secs(90)), now), "in 1m");
        assert_eq!((at(now), time_of_day(now)), ("2026-11-22 06:50:01".into(), "06:50:01.123".into()));
    }

    #[test]
    fn nothing_is_left_for_a_terminal_to_obey() {
        assert_eq!(clean("a\u{1b}[2J\tb"), "a\u{fffd}[2J    b");
        assert_eq!(first_line("one\u{7}\ntwo"), "one\u{fffd}");
        for unseen in
            ['\u{61c}', '\u{200b}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2060}', '\u{2069}', '\u{feff}']
        {
            assert_eq!(clean(&format!("a{unseen}b")), "a\u{fffd}b");
        }
    }
}
