//! The rules for keys by which jobs of a queue share it fairly and are limited.

use std::fmt;

/// Bytes of a key at most.
pub const MAX_BYTES: usize = 200;

/// A key that breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPartitionKey(String);

impl fmt::Display for InvalidPartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = "1 to 200 bytes of text without control characters are";
        write!(f, "{:?} is no valid key: {rule}", self.0)
    }
}

impl std::error::Error for InvalidPartitionKey {}

/// Checks a key.
///
/// # Errors
/// [`InvalidPartitionKey`], whose text quotes at most 64 characters of it.
///
/// ```
/// use callboard_contracts::partition_key;
/// assert!(partition_key::check("customer 42").is_ok());
/// assert!(partition_key::check("").is_err());
/// ```
pub fn check(key: &str) -> Result<(), InvalidPartitionKey> {
    if (1..=MAX_BYTES).contains(&key.len()) && !key.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(InvalidPartitionKey(key.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_kept() {
        for good in ["a", " ", "customer 42", "ä/ö@☃", &"x".repeat(200), &"ä".repeat(100)] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "a\nb", "a\0", "\u{7f}", "\u{85}", &"x".repeat(201), &"ä".repeat(101)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
