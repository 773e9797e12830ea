//! Integration tests of callboard-actors.

mod command;
