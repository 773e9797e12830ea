//! The types of Callboard that cross a wire.
