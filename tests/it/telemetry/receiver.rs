//! A collector of spans within the test, which reads them with OpenTelemetry's own types.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;

use crate::server::PATIENCE;

/// A span as it was received, with its resource.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) span: Span,
    pub(super) resource: Vec<KeyValue>,
    /// The head of the request that it came with, in lower case.
    pub(super) head: String,
}

impl Received {
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        text(&self.span.attributes, name)
    }

    pub(super) fn of_resource(&self, name: &str) -> Option<String> {
        text(&self.resource, name)
    }

    pub(super) fn kind(&self) -> SpanKind {
        self.span.kind()
    }
}

fn text(pairs: &[KeyValue], name: &str) -> Option<String> {
    let pair = pairs.iter().find(|pair| pair.key == name)?;
    match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// This status, and the spans are thrown away.
    Status(u16),
    /// Taken, but for so many.
    Rejecting(i64),
}

#[derive(Default)]
struct State {
    spans: Vec<Received>,
    answers: VecDeque<Answer>,
}

/// The collector. Dropped, its port is closed.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(super) fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), [])
    }

    /// One that gives these answers first, one a request.
    pub(super) fn start_at(address: SocketAddr, answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = State { answers: answers.into_iter().collect(), ..State::default() };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let stops = Arc::new(AtomicBool::new(false));
        let (shared, ends) = (state.clone(), stops.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    serve(&stream, &shared);
                }
            }
        });
        Receiver { address, state, stops, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn spans(&self) -> Vec<Received> {
        self.state.0.lock().expect("no test has panicked with it").spans.clone()
    }

    /// Waits until the spans are as they are wanted, and gives them.
    pub(super) fn wait(&self, what: &str, wanted: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + PATIENCE;
        let (state, changed) = &*self.state;
        let mut state = state.lock().expect("no test has panicked with it");
        while !wanted(&state.spans) {
            let left = deadline.saturating_duration_since(Instant::now());
            let names: Vec<&str> = state.spans.iter().map(|one| one.span.name.as_str()).collect();
            assert!(left > Duration::ZERO, "waited {PATIENCE:?} for this: {what}; there are {names:?}");
            (state, _) = changed.wait_timeout(state, left).expect("no test has panicked with it");
        }
        state.spans.clone()
    }

    /// Waits until there are spans of all these names, and gives the first of each.
    pub(super) fn named<const N: usize>(&self, names: [&str; N]) -> [Received; N] {
        let has = |spans: &[Received], name: &str| spans.iter().any(|one| one.span.name == name);
        let spans = self.wait(&format!("{names:?}"), |spans| names.iter().all(|name| has(spans, name)));
        names.map(|name| spans.iter().find(|one| one.span.name == name).expect("waited for").clone())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stops.store(true, SeqCst);
        // Wakes the thread from its wait for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: &TcpStream, state: &(Mutex<State>, Condvar)) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let request = ExportTraceServiceRequest::decode(&*body).expect("an ExportTraceServiceRequest");
    let (lock, changed) = state;
    let mut state = lock.lock().expect("no test has panicked with it");
    let (status, rejected) = match state.answers.pop_front() {
        None => (200, 0),
        Some(Answer::Rejecting(spans)) => (200, spans),
        Some(Answer::Status(status)) => (status, 0),
    };
    if status == 200 {
        for resource in request.resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let received =
                spans.map(|span| Received { span, resource: attributes.clone(), head: head.clone() });
            state.spans.extend(received);
        }
        changed.notify_all();
    }
    drop(state);
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "too old".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) };
    let body = answer.encode_to_vec();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nretry-after: 0\r\n\r\n", body.len());
    let mut stream = stream;
    let _ = stream.write_all(&[head.into_bytes(), body].concat());
}
