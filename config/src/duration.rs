//! Durations as people write them: `250ms`, `5s`, `1h30m`, `7d`.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(crate) const EXPECTED: &str = "a duration such as \"250ms\", \"5s\" or \"7d\"";

/// Units from the largest to the smallest, in microseconds.
const UNITS: [(&str, u64); 7] = [
    ("w", 7 * 24 * 3_600_000_000),
    ("d", 24 * 3_600_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// The longest duration: a hundred years of 365 days, so that now plus a duration is always a time.
const LONGEST: u64 = 100 * 365 * 24 * 3_600_000_000;

/// Reads one or more whole numbers, each with its unit, the larger units first. The error says what is wrong.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut smallest = None;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        if number.is_empty() {
            return Err(match smallest {
                None => "it does not begin with a whole number",
                Some(_) => "after a unit it does not go on with a whole number",
            });
        }
        let tail = tail.trim_start();
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() {
            return Err("a number has no unit (us, ms, s, m, h, d, w)");
        }
        let Some(index) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err("its unit is none of us, ms, s, m, h, d, w");
        };
        if smallest.is_some_and(|smallest| smallest >= index) {
            return Err("its units do not go from large to small");
        }
        smallest = Some(index);
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(UNITS[index].1))
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST)
            .ok_or("it is longer than a hundred years")?;
        rest = tail.trim_start();
    }
    match smallest {
        Some(_) => Ok(Duration::from_micros(total)),
        None => Err("it is empty"),
    }
}

/// Writes a duration with the fewest units; what is below a microsecond is cut off.
pub(crate) fn render(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut text = String::new();
    // Weeks are read but not written: "90d" says more than "12w6d".
    for (unit, factor) in &UNITS[1..] {
        if rest >= *factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_with_each_unit() {
        for (text, micros) in [
            ("0s", 0),
            ("7us", 7),
            ("250ms", 250_000),
            ("5s", 5_000_000),
            ("2 m", 120_000_000),
            ("1h30m", 5_400_000_000),
            (" 1h 30m ", 5_400_000_000),
            ("2w", 14 * 86_400_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", " ", "5", "s", "-5s", "1.5s", "5sec", "5S", "30m1h", "1m1m", "101y", "36501d", "5s5", "５s"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("99999999999999999999999s").is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_duration_reads_back_as_it_renders(micros in 0..=LONGEST) {
            let duration = Duration::from_micros(micros);
            proptest::prop_assert_eq!(parse(&render(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(&text);
        }
    }
}
