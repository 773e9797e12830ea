//! The log of a cluster, followed over the deaths of its processes.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use uuid::Uuid;

use crate::server::PATIENCE;

/// How long a stream may be silent before another is opened: a stopped process says nothing, and does not hang up.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) job: Uuid,
}

/// What has been read of the log so far: all of it, from its first event, in order.
#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    completed: HashSet<Uuid>,
    /// What a log must not do, and this one did.
    broken: Vec<String>,
    closed: bool,
}

impl Log {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.state.lock().expect("no panic").events.clone()
    }

    /// The jobs that have completed.
    pub(crate) fn completed(&self) -> HashSet<Uuid> {
        self.state.lock().expect("no panic").completed.clone()
    }

    pub(crate) fn broken(&self) -> Vec<String> {
        self.state.lock().expect("no panic").broken.clone()
    }

    pub(crate) fn close(&self) {
        self.state.lock().expect("no panic").closed = true;
        self.changed.notify_all();
    }

    /// Waits until the events say so.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        mut done: impl FnMut(&[Event]) -> Option<T>,
    ) -> Result<T, String> {
        self.until_state(what, |state| done(&state.events))
    }

    /// Waits until all of these jobs have completed.
    pub(crate) fn until_completed(&self, jobs: &[Uuid]) -> Result<(), String> {
        let mut left = jobs.to_vec();
        self.until_state("jobs have completed", |state| {
            left.retain(|job| !state.completed.contains(job));
            left.is_empty().then_some(())
        })
    }

    fn until_state<T>(&self, what: &str, mut done: impl FnMut(&State) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().expect("no panic");
        loop {
            if let Some(done) = done(&state) {
                return Ok(done);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return Err(format!("after {} events, no sign of this: {what}", state.events.len()));
            }
            state = self.changed.wait_timeout(state, left).expect("no panic").0;
        }
    }

    /// Reads the log from whatever process `address` gives, until it is closed.
    pub(crate) fn follow(&self, mut address: impl FnMut() -> Option<SocketAddr>) {
        while !self.state.lock().expect("no panic").closed {
            let read = address().and_then(|address| self.read(address));
            if read.is_none() {
                thread::park_timeout(Duration::from_millis(10));
            }
        }
    }

    /// Reads one stream to its end.
    fn read(&self, address: SocketAddr) -> Option<()> {
        let after = self.state.lock().expect("no panic").events.len();
        let mut stream = TcpStream::connect_timeout(&address, SILENCE).ok()?;
        stream.set_read_timeout(Some(SILENCE)).ok()?;
        let request =
            format!("GET /api/v1/events HTTP/1.0\r\nHost: {address}\r\nLast-Event-ID: 1-{after}\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let (mut id, mut kind, mut line) = (String::new(), String::new(), String::new());
        let mut lines = BufReader::new(stream);
        while lines.read_line(&mut line).ok()? > 0 {
            match line.trim_end().split_once(": ") {
                Some(("id", text)) => id = text.to_owned(),
                Some(("event", text)) => kind = text.to_owned(),
                Some(("data", text)) => self.add(&id, &kind, text),
                _ => {}
            }
            line.clear();
            if self.state.lock().expect("no panic").closed {
                break;
            }
        }
        Some(())
    }

    fn add(&self, id: &str, kind: &str, data: &str) {
        let mut state = self.state.lock().expect("no panic");
        let expected = format!("1-{}", state.events.len() + 1);
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        let uuid = |value: &Value| value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        let (event_id, job) = (uuid(&event["event"]["eventId"]), uuid(&event["event"]["payload"]["id"]));
        match (event_id, job) {
            (Some(id_of_event), Some(job)) if id == expected => {
                if kind == "job.completed" {
                    state.completed.insert(job);
                }
                state.events.push(Event { id: id_of_event, kind: kind.to_owned(), job });
            }
            _ => state.broken.push(format!("the log has {kind} {id} where {expected} should be: {data}")),
        }
        drop(state);
        self.changed.notify_all();
    }
}
