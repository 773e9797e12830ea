//! The bus on a real broker.

mod consuming;
mod events;
mod outages;
mod publishing;
mod remote;
mod suite;
mod support;
mod topology;
