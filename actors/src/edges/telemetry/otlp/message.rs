//! The messages of OTLP for traces (opentelemetry-proto 1.x, whose field numbers are stable).

use super::{
    super::span::{Attribute, Span, SpanKind},
    OtlpSettings,
    protobuf::{Content, Fields, Writer},
};

/// What the spans are of: the library whose they are.
const SCOPE: &str = "callboard";
/// `Status.code`: the work went wrong.
const ERROR: u64 = 2;
/// `Span.flags`: sampled, as in `traceparent`.
const SAMPLED: u32 = 1;

/// `ExportTraceServiceRequest`.
pub(super) fn request(settings: &OtlpSettings, spans: &[Span]) -> Vec<u8> {
    let mut request = Writer::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            let OtlpSettings { service_name, version, node, .. } = settings;
            for (name, value) in
                [("service.name", service_name), ("service.version", version), ("service.instance.id", node)]
            {
                resource.message(1, |pair| key_value(pair, name, &Attribute::Text(value.clone())));
            }
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.text(1, SCOPE);
                scope.text(2, &settings.version);
            });
            for one in spans {
                scope_spans.message(2, |writer| span(writer, one));
            }
        });
    });
    request.finish()
}

fn span(to: &mut Writer, span: &Span) {
    let nanos = |at: callboard_contracts::Timestamp| {
        u64::try_from(at.as_micros()).unwrap_or_default().saturating_mul(1000)
    };
    to.bytes(1, &span.context.trace_bytes());
    to.bytes(2, &span.context.span_bytes());
    if let Some(parent) = span.parent {
        to.bytes(4, &parent.span_bytes());
    }
    to.text(5, &span.description.name);
    to.number(
        6,
        match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        },
    );
    to.fixed64(7, nanos(span.start));
    to.fixed64(8, nanos(span.end));
    for (name, value) in &span.description.attributes {
        to.message(9, |pair| key_value(pair, name, value));
    }
    if let Some(error) = &span.description.error {
        to.message(15, |status| {
            status.text(2, error);
            status.number(3, ERROR);
        });
    }
    to.fixed32(16, SAMPLED);
}

fn key_value(to: &mut Writer, name: &str, value: &Attribute) {
    to.text(1, name);
    to.message(2, |any| match value {
        Attribute::Text(text) => any.text(1, text),
        // One of several: it must be there also when it is zero.
        Attribute::Number(number) => any.varint_field(3, number.cast_unsigned()),
    });
}

/// Of an `ExportTraceServiceResponse`: how many spans the collector did not want, and why.
pub(super) fn rejected(response: &[u8]) -> (u64, String) {
    let mut rejected = (0, String::new());
    let partial = Fields(response).filter_map(|(field, content)| match (field, content) {
        (1, Content::Bytes(partial)) => Some(partial),
        _ => None,
    });
    for (field, content) in partial.flat_map(Fields) {
        match (field, content) {
            (1, Content::Number(count)) => rejected.0 = count,
            (2, Content::Bytes(why)) => rejected.1 = String::from_utf8_lossy(why).into_owned(),
            _ => {}
        }
    }
    rejected
}
