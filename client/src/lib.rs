//! A typed HTTP client for Callboard.
