//! `default.toml`, the structs and the page on configuration say the same.
