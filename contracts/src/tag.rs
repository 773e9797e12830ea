//! The rules for tags of jobs.

use std::fmt;

/// Tags of one job at most.
pub const MAX_TAGS: usize = 16;

/// The rule for a tag, as a regular expression of JSON Schema.
pub const TAG_PATTERN: &str = "^[A-Za-z0-9._:/@=+-]{1,64}$";

/// A tag that breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTag(String);

impl fmt::Display for InvalidTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = "1 to 64 letters, digits, '-', '_', '.', ':', '/', '@', '=' and '+' are";
        write!(f, "{:?} is no valid tag: {rule}", self.0)
    }
}

impl std::error::Error for InvalidTag {}

/// Checks a tag.
///
/// # Errors
/// [`InvalidTag`], whose text quotes at most 64 characters of it.
///
/// ```
/// use callboard_contracts::tag;
/// assert!(tag::check("customer:42").is_ok());
/// assert!(tag::check("two words").is_err());
/// ```
pub fn check(tag: &str) -> Result<(), InvalidTag> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@=+-".contains(&byte);
    if (1..=64).contains(&tag.len()) && tag.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidTag(tag.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_kept() {
        for good in ["a", "customer:42", "a/b@c=d+e.f_g-h", &"x".repeat(64)] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "ä", "a b", "a,b", "a\n", "a\0", &"x".repeat(65)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
