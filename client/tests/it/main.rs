//! The client against a server that does what a script says.

mod calls;
mod events;
mod script;
mod submitting;
