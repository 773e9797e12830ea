//! The lowest layer.

use crate::document::{self, Member};

/// Every key with its default, documented: the text of `default.toml`.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");

/// The tables of [`DEFAULT_TOML`].
pub(crate) fn members() -> Vec<Member> {
    document::parse(DEFAULT_TOML).ok().expect("default.toml is part of the program, and a test loads it")
}
