//! Where in a distributed trace something is: the `traceparent` of W3C Trace Context.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// A place in a distributed trace: the trace, the span that is its newest, and whether somebody records it. Written as
/// the header `traceparent`.
///
/// ```
/// use callboard_contracts::TraceContext;
/// let given: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let child = given.child();
/// assert_eq!(child.trace_id(), given.trace_id());
/// assert_ne!(child.span_id(), given.span_id());
/// assert!(child.is_sampled());
/// # Ok::<(), callboard_contracts::InvalidTraceContext>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

/// A text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTraceContext;

impl fmt::Display for InvalidTraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no traceparent, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    }
}

impl std::error::Error for InvalidTraceContext {}

impl TraceContext {
    /// The beginning of a trace that has the number of this id; nobody records it. Without one, of a random trace.
    pub fn begin(id: Uuid) -> Self {
        let id = if id.is_nil() { Uuid::new_v4() } else { id };
        TraceContext { trace: id.as_u128(), span: new_span(), flags: 0 }
    }

    /// The same trace with a new span.
    #[must_use]
    pub fn child(self) -> Self {
        TraceContext { span: new_span(), ..self }
    }

    /// The same place, recorded by somebody or not.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        TraceContext { flags: (self.flags & !1) | u8::from(sampled), ..self }
    }

    /// The trace's number, as the wire has it.
    pub fn trace_bytes(&self) -> [u8; 16] {
        self.trace.to_be_bytes()
    }

    /// The span's number, as the wire has it.
    pub fn span_bytes(&self) -> [u8; 8] {
        self.span.to_be_bytes()
    }

    /// The trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span: 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// The trace's number as an id of ours, under which logs and events find it.
    pub fn as_uuid(&self) -> Uuid {
        Uuid::from_u128(self.trace)
    }

    /// Whether somebody upstream records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

fn new_span() -> u64 {
    // The random half of a UUID; the variant's bits make it never zero.
    Uuid::new_v4().as_u64_pair().1
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the flags, version 00 knows two: sampled and random.
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags & 0b11)
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Reads version 00, and of later versions what they have in common with it.
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let bytes = text.as_bytes();
        let hex =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let dashes = bytes.len() >= 55 && [2, 35, 52].iter().all(|&at| bytes[at] == b'-');
        if !dashes || !text.is_char_boundary(55) || !text[..55].is_ascii() {
            return Err(InvalidTraceContext);
        }
        let parts @ [version, trace, span, flags] = [&text[..2], &text[3..35], &text[36..52], &text[53..55]];
        let rest = &bytes[55..];
        let whole =
            if version == "00" { rest.is_empty() } else { rest.first().is_none_or(|&byte| byte == b'-') };
        if version == "ff" || !whole || !parts.iter().all(|part| hex(part)) {
            return Err(InvalidTraceContext);
        }
        let trace = u128::from_str_radix(trace, 16).map_err(|_| InvalidTraceContext)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| InvalidTraceContext)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceContext)?;
        if trace == 0 || span == 0 {
            Err(InvalidTraceContext)
        } else {
            Ok(TraceContext { trace, span, flags })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-01-x"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("01-{TRACE}-{SPAN}-01x"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0g-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00_{TRACE}_{SPAN}_01"),
            "ä".repeat(40),
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(InvalidTraceContext), "{text:?}");
        }
        let later: TraceContext = format!("01-{TRACE}-{SPAN}-09-more").parse().unwrap();
        assert_eq!(later.to_string(), format!("00-{TRACE}-{SPAN}-01"));
    }

    #[test]
    fn a_trace_can_begin_with_an_id() {
        let id = Uuid::now_v7();
        let begun = TraceContext::begin(id);
        assert_eq!((begun.as_uuid(), begun.is_sampled()), (id, false));
        assert_ne!(TraceContext::begin(Uuid::nil()).as_uuid(), Uuid::nil());
    }

    #[test]
    fn sampling_changes_one_flag_and_bytes_are_the_digits() {
        let given: TraceContext = format!("00-{TRACE}-{SPAN}-02").parse().unwrap();
        let sampled = given.sampled(true);
        assert_eq!(sampled.to_string(), format!("00-{TRACE}-{SPAN}-03"));
        assert_eq!(sampled.sampled(false), given);
        assert_eq!(u128::from_be_bytes(given.trace_bytes()), u128::from_str_radix(TRACE, 16).unwrap());
        assert_eq!(u64::from_be_bytes(given.span_bytes()), u64::from_str_radix(SPAN, 16).unwrap());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(trace in 1_u128.., span in 1_u64.., flags in 0_u8..4) {
            let context = TraceContext { trace, span, flags };
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }

        #[test]
        fn no_text_is_too_odd_to_be_read(text in ".{0,80}") {
            let _ = text.parse::<TraceContext>();
        }
    }
}
