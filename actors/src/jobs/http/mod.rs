//! Making one HTTP request for an attempt of a job, to where the server allows it and nowhere else.
//!
//! # What is allowed
//!
//! Nothing, until the operator says so. A request passes three gates, and each redirect passes them again:
//!
//! 1. Its *origin* (scheme, host, port) stands in the [`OriginList`].
//! 2. Its *address* is a public one, or stands in the [`AddressRules`]. The name is resolved once, the addresses are
//!    judged, and the connection is made to one of those that passed: between judging and connecting nothing is looked
//!    up, so a name that answers differently the second time gains nothing. No proxy is asked, and connections are not
//!    kept for later requests.
//! 3. Its *secrets* are bound to that origin. A payload names a secret and never holds one.
//!
//! # TLS
//!
//! rustls with ring as its one provider of cryptography, given by name, so that no process-wide choice is made or
//! needed; TLS 1.2 and 1.3, the system's certificate authorities and those of a file. HTTP/1.1 is spoken.
//!
//! # Repeats
//!
//! An attempt can run again. Every request of a job carries the same `Idempotency-Key`, its id, so that a server that
//! knows the header recognises the repeat.

mod address;
mod client;
mod connection;
mod error;
mod job;
mod origin;
mod output;
mod request;
mod secret;

/// What else speaks HTTP has of this.
#[cfg(feature = "otlp")]
pub(crate) mod wire {
    pub(crate) use super::{
        client::{authorities, host, retry_after, trusting},
        connection::{connect, exchange},
        output::Answer,
    };
}

pub use address::{AddressRules, InvalidAddress};
pub use client::{HttpClient, HttpSetupError, Sender};
pub use error::HttpError;
pub use origin::{InvalidOrigin, Origin, OriginList, OriginPattern};
pub use output::HttpOutput;
pub use request::{HeaderContent, HttpRequest, InvalidRequest, Method, SecretReference};
pub use secret::{DuplicateSecret, Secret, Secrets};
