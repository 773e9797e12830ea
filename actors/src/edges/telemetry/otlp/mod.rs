//! OpenTelemetry's protocol, OTLP, over HTTP with protobuf.

mod collector;
mod exporter;
mod message;
mod protobuf;

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

pub use collector::OtlpError;
pub use exporter::{Exporter, ExporterArgs};

/// How spans are sent to a collector.
#[derive(Clone, Debug)]
pub struct OtlpSettings {
    /// The collector's base URL. `/v1/traces` is added to it, unless it ends so.
    pub endpoint: String,
    /// Headers of each request.
    pub headers: Vec<(String, SecretString)>,
    /// What the collector knows the program as.
    pub service_name: String,
    /// The program's version.
    pub version: String,
    /// Which of the program's nodes this is.
    pub node: String,
    /// How long one request may take, and the last spans at the end.
    pub timeout: Duration,
    /// How long spans gather.
    pub interval: Duration,
    /// PEM file of certificate authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}
