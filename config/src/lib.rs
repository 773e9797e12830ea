//! Typed settings of Callboard and their sources.
