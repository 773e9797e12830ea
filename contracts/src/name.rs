//! The rules for names of job types, queues and edges.

use std::fmt;

/// The rule for job types and queue names, as a regular expression of JSON Schema.
pub const JOB_TYPE_PATTERN: &str = "^[A-Za-z0-9._-]{1,50}$";

/// A name that breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no valid name: 1 to 50 letters, digits, '-', '_' and '.' are", self.0)
    }
}

impl std::error::Error for InvalidName {}

/// Checks the name of a job type, of a queue or of an edge.
///
/// # Errors
/// [`InvalidName`], whose text quotes at most 64 characters of it.
pub fn check(name: &str) -> Result<(), InvalidName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=50).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName(name.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_kept() {
        for good in ["a", "send-mail", "A.b_9", &"x".repeat(50)] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "ä", "a b", "a/b", "a\n", &"x".repeat(51)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
