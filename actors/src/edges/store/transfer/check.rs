//! What is said of a store's health.

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a few words.
    pub name: &'static str,
    /// What is wrong; nothing if all is well. At most [`Check::SHOWN`] of what was found.
    pub problems: Vec<String>,
}

impl Check {
    /// Problems of one kind that are told.
    pub const SHOWN: usize = 10;

    pub(crate) fn new(name: &'static str, problems: Vec<String>) -> Self {
        Check { name, problems }
    }

    /// Whether all is well.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The version of a store's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The one that is there; 0: there are no tables yet.
    pub found: u32,
    /// The one that this program works on.
    pub known: u32,
}
