//! What a write survives.

/// What a write that was answered survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut.
    #[default]
    Full,
    /// The death of the process, but the last moments before a power cut may be lost.
    Relaxed,
}
