//! The roles: each is an actor that does one part of the service.

pub mod condition;
pub mod request;
