//! Spans of traces, and the way to whoever collects them.
//!
//! Whoever does something that is seen in a trace [opens](Telemetry::open) a span and [ends](OpenSpan::end) it. Spans that
//! are recorded wait in a queue with a bound, from which the exporter (feature `otlp`) takes them. Nobody ever waits for
//! it: what does not fit is dropped and counted.

mod handle;
mod numbers;
#[cfg(feature = "otlp")]
mod otlp;
mod sampling;
mod span;

pub use handle::{OpenSpan, Telemetry, TelemetryBounds};
pub(crate) use numbers::TelemetryNumbers;
#[cfg(feature = "otlp")]
pub use otlp::{Exporter, ExporterArgs, OtlpError, OtlpSettings};
pub use span::{Attribute, Description, SpanKind};
