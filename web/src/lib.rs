//! The web endpoints of Callboard.
