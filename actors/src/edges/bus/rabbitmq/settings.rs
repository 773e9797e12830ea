//! How the bus is set up.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::super::{InboundQueue, Outward};

/// What is done about exchanges and queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Declare {
    /// Those that are missing are made; those that are there must be as they should.
    #[default]
    Declare,
    /// They must be there. Nothing is made, and what they are like is not looked at, which AMQP has no question for.
    Check,
    /// Nothing.
    None,
}

/// How the bus is set up.
#[derive(Clone, Debug)]
pub struct RabbitSettings {
    /// `amqp://USER:PASSWORD@HOST:5672/VHOST`, or `amqps://` for TLS.
    pub url: SecretString,
    /// More brokers of the same cluster, as `HOST` or `HOST:PORT`. They are tried in turn, that of the URL first.
    pub addresses: Vec<String>,
    /// PEM file of certificate authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// What the broker shows the connection as.
    pub name: String,
    /// What is told.
    pub outward: Outward,
    /// Queues that jobs for workers outside are sent to, such as `callboard.jobs.NAME`.
    pub work_queues: Vec<String>,
    /// What is heard.
    pub consume: Vec<InboundQueue>,
    /// What is done about exchanges and queues.
    pub declare: Declare,
    /// Messages that may be published and not yet confirmed, at least 1.
    pub window: usize,
    /// Messages of a queue that may be delivered and not yet done with, at least 1.
    pub prefetch: u16,
    /// Own queues: deliveries after which a message goes to `callboard.dead`.
    pub delivery_limit: u32,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an order to the broker may take.
    pub call_timeout: Duration,
    /// Within which time the broker must confirm a message.
    pub confirm_timeout: Duration,
    /// After which time without a sign of life the broker is asked for one. In whole seconds.
    pub heartbeat: Duration,
    /// The first pause between two tries.
    pub backoff_min: Duration,
    /// The longest one.
    pub backoff_max: Duration,
}

impl RabbitSettings {
    /// A bus that nothing is told and that says nothing, with the shipped program's bounds.
    pub fn new(url: impl Into<SecretString>) -> Self {
        RabbitSettings {
            url: url.into(),
            addresses: Vec::new(),
            ca_file: None,
            name: "callboard".to_owned(),
            outward: Outward::default(),
            work_queues: Vec::new(),
            consume: Vec::new(),
            declare: Declare::default(),
            window: 500,
            prefetch: 500,
            delivery_limit: 20,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
        }
    }
}
