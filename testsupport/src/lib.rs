//! Servers for tests. PostgreSQL: a database of one's own on the shared server ([`Database`]), and a server of one's own that can
//! be stopped, killed and frozen ([`PrivatePostgres`]). RabbitMQ likewise: the shared one ([`rabbitmq_url`]), and one of one's
//! own ([`PrivateRabbit`]). Redis and what stands in for MongoDB: where the shared server is ([`redis_url`], [`mongodb_url`]), and a
//! server of one's own ([`PrivateServer`]). What is between a client and a server can be made bad ([`Wire`]).
//!
//! Everything here blocks, works inside and outside of an async runtime, panics with what went wrong, and is gone when
//! it is dropped. `scripts/services run -- COMMAND` makes sure that there is a shared server.

mod database;
mod mongodb;
mod private;
mod private_server;
mod processes;
mod programs;
mod rabbitmq;
mod redis;
mod wire;

pub use self::{
    database::Database,
    mongodb::mongodb_url,
    private::PrivatePostgres,
    private_server::PrivateServer,
    rabbitmq::{PrivateRabbit, rabbitmq_url},
    redis::redis_url,
    wire::{Weather, Wire},
};
