//! Sizes in bytes, read and written with a unit.

use std::fmt;

/// Units a size may carry, the largest first of each family; what [`ByteSize`]'s `Display` picks from is marked.
const UNITS: [(&str, u64, bool); 10] = [
    ("TiB", 1 << 40, true),
    ("GiB", 1 << 30, true),
    ("MiB", 1 << 20, true),
    ("KiB", 1 << 10, true),
    ("TB", 1_000_000_000_000, false),
    ("GB", 1_000_000_000, false),
    ("MB", 1_000_000, false),
    ("KB", 1_000, false),
    ("kB", 1_000, false),
    ("B", 1, true),
];

/// What a size looks like, for messages.
pub(crate) const EXPECTED: &str = "a size such as \"64KiB\" or \"1MiB\"";

/// A number of bytes; it reads and shows as a whole number with a unit: `64KiB`, `1MiB`.
///
/// ```
/// use callboard_config::ByteSize;
///
/// let size: ByteSize = "64KiB".parse()?;
/// assert_eq!(size.bytes(), 65_536);
/// assert_eq!(size.to_string(), "64KiB");
/// # Ok::<(), callboard_config::ParseSizeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of so many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as the length of something in memory; what no memory could hold becomes [`usize::MAX`].
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS
            .iter()
            .find(|(_, factor, shown)| *shown && self.0 >= *factor && self.0.is_multiple_of(*factor));
        match fitting {
            Some((unit, factor, _)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// A text that is no size; its `Display` says what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseSizeError(String);

impl std::str::FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        if number.is_empty() {
            return Err(ParseSizeError("it does not begin with a whole number".to_owned()));
        }
        if unit.is_empty() {
            return Err(ParseSizeError("it has no unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)".to_owned()));
        }
        let Some((_, factor, _)) = UNITS.iter().find(|(name, ..)| *name == unit) else {
            return Err(ParseSizeError(
                "its unit is none of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB (as written here)".to_owned(),
            ));
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
        bytes.map(Self).ok_or_else(|| ParseSizeError("it is larger than 16 EiB".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_with_each_unit() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("64KiB", 65_536),
            ("1 MiB", 1_048_576),
            (" 2GB ", 2_000_000_000),
            ("3TiB", 3 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "MiB", "-1B", "1.5MiB", "1", "1mb", "1 M i B", "99999999999TiB", "18446744073709551616B"]
        {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_size_reads_back_as_it_shows(bytes: u64) {
            let size = ByteSize(bytes);
            proptest::prop_assert_eq!(size.to_string().parse(), Ok(size));
        }
    }
}
