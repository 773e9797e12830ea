//! Web terminals that somebody uses.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Error, Message, client::client};

use super::super::output::Failure;

/// How often a key is typed.
const TYPES: Duration = Duration::from_secs(5);
/// How long nothing may come before it is looked whether a key is due.
const LOOK: Duration = Duration::from_millis(500);
/// The keys: views, one after the other.
const KEYS: [&str; 4] = ["2", "3", "4", "1"];

#[derive(Default)]
struct Seen {
    /// Terminals that show something.
    drawn: AtomicU64,
    bytes: AtomicU64,
    broken: AtomicU64,
    /// Why the first of them broke.
    why: OnceLock<String>,
    stopped: AtomicBool,
}

/// Web terminals, by the protocol for old clients, each with a thread. Dropped, they are closed.
pub(super) struct Terminals(Arc<Seen>);

impl Terminals {
    pub(super) fn open(server: SocketAddr, count: usize) -> Terminals {
        let seen = Arc::<Seen>::default();
        for _ in 0..count {
            let seen = seen.clone();
            thread::spawn(move || {
                if let Err(error) = use_one(server, &seen) {
                    // Further ones break for the same reason, or because of it.
                    let _ = seen.why.set(error.to_string());
                    seen.broken.fetch_add(1, Relaxed);
                }
            });
        }
        Terminals(seen)
    }

    /// How many show something.
    pub(super) fn drawn(&self) -> u64 {
        self.0.drawn.load(Relaxed)
    }

    /// What they were sent.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.0.broken.load(Relaxed) {
            0 => Ok(()),
            broken => {
                let why = self.0.why.get().map_or("", String::as_str);
                Err(Failure::failed(format!("{broken} web terminals were lost, the first because of: {why}")))
            }
        }
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        self.0.stopped.store(true, Relaxed);
    }
}

/// Types a key now and then, and reads what comes.
fn use_one(server: SocketAddr, seen: &Seen) -> Result<(), Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(server)?;
    let (mut socket, _) = client(format!("ws://{server}/ws"), stream).map_err(|error| error.to_string())?;
    socket.get_ref().set_read_timeout(Some(LOOK))?;
    let (mut drawn, mut keys, mut typed) = (false, KEYS.iter().cycle(), Instant::now());
    while !seen.stopped.load(Relaxed) {
        if typed.elapsed() > TYPES {
            let key = keys.next().unwrap_or(&"1");
            socket.send(Message::text(json!({ "type": "input", "data": key }).to_string()))?;
            typed = Instant::now();
        }
        match socket.read() {
            Ok(Message::Text(text)) => {
                seen.bytes.fetch_add(text.len() as u64, Relaxed);
                let said: Value = serde_json::from_str(&text)?;
                match said["type"].as_str() {
                    Some("output") if !drawn => {
                        drawn = true;
                        seen.drawn.fetch_add(1, Relaxed);
                    }
                    Some("error") => return Err(said.to_string().into()),
                    _ => {}
                }
            }
            Ok(_) => {}
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    socket.close(None)?;
    Ok(())
}
