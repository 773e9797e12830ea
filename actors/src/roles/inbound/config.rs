//! How messages of other programs are taken in.

/// How messages of other programs are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundConfig {
    /// Whether any are.
    pub on: bool,
    /// The largest message, in bytes. A larger one is invalid.
    pub max_message: usize,
    /// The deepest nesting of arrays and objects in one.
    pub max_depth: usize,
    /// Messages that are decided about at a time, at least 1; further ones wait, and are taken later if that takes long.
    pub concurrency: usize,
}

impl Default for InboundConfig {
    fn default() -> Self {
        InboundConfig { on: true, max_message: 1024 * 1024, max_depth: 64, concurrency: 1000 }
    }
}
