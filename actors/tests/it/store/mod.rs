//! What is SQLite's own. What every store does in the same way is in `callboard-conformance`.

mod trouble;
