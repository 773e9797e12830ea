//! [`Wire`]: a way to a server that can be cut, held up and slowed down.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    runtime::{Builder, Handle},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Pieces that are on their way in one direction of a connection; more wait at their sender.
const ON_THE_WAY: usize = 256;
/// How long a lost piece takes until it was sent again: what TCP waits at least.
const SENT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What the way is like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// Connections break, and new ones are closed at once.
    pub cut: bool,
    /// What clients send does not arrive, and nobody is told. It arrives when this is over.
    pub silent_to_server: bool,
    /// The same for what the server sends.
    pub silent_to_client: bool,
    /// How long each piece is on its way, in each direction.
    pub latency: Duration,
    /// How many of a hundred pieces are lost. As TCP sends them again, they arrive later, and so does what is behind them.
    pub lost_percent: u8,
}

/// Passes connections on to a server on 127.0.0.1. Dropped, they are closed.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// A way to this port, on which all is well.
    ///
    /// # Panics
    /// If the system has no port for it.
    pub fn to(port: u16) -> Wire {
        let runtime = runtime();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        let weather = watch::Sender::new(Weather::default());
        let told = weather.subscribe();
        let accepting = runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(connection(client, port, told.clone()));
            }
        });
        Wire { address, weather, accepting }
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients find it, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on it is like this.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Weather { cut: true, ..Weather::default() });
    }
}

/// One thread for all wires.
fn runtime() -> Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let handle = runtime.handle().clone();
            std::thread::Builder::new()
                .name("wires".to_owned())
                .spawn(move || runtime.block_on(std::future::pending::<()>()))
                .expect("a thread");
            handle
        })
        .clone()
}

async fn connection(client: TcpStream, port: u16, mut weather: watch::Receiver<Weather>) {
    if weather.borrow().cut {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    // A piece is to be as late as it is said, and not later.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let there = direction(from_client, to_server, weather.clone(), |weather| weather.silent_to_server);
    let back = direction(from_server, to_client, weather.clone(), |weather| weather.silent_to_client);
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        // The sender is gone only when the wire is.
        _ = weather.wait_for(|weather| weather.cut) => {}
    }
}

/// Passes on until one end closes, and then closes the other.
async fn direction(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
    silent: fn(&Weather) -> bool,
) {
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    // Either end may be gone, which ends the other.
    let _ = tokio::join!(take(from, sender, weather.clone()), give(to, receiver, weather, silent));
}

async fn take(
    mut from: OwnedReadHalf,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read?,
            () = sender.closed() => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        let Weather { latency, lost_percent, .. } = *weather.borrow();
        let again = if is_lost(lost_percent) { SENT_AGAIN_AFTER } else { Duration::ZERO };
        if sender.send((Instant::now() + latency + again, bytes[..read].to_vec())).await.is_err() {
            return Ok(());
        }
    }
}

async fn give(
    mut to: OwnedWriteHalf,
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut weather: watch::Receiver<Weather>,
    silent: fn(&Weather) -> bool,
) -> io::Result<()> {
    while let Some((arrives, bytes)) = receiver.recv().await {
        sleep_until(arrives).await;
        if weather.wait_for(|weather| !silent(weather)).await.is_err() {
            return Ok(());
        }
        to.write_all(&bytes).await?;
    }
    to.shutdown().await
}

/// Evenly, so that a run loses what is said.
fn is_lost(percent: u8) -> bool {
    static PIECES: AtomicU64 = AtomicU64::new(0);
    // A step that has no divisor in common with 100 meets every remainder once in a hundred pieces.
    PIECES.fetch_add(37, Relaxed) % 100 < u64::from(percent)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
        thread,
    };

    use super::*;

    /// Sends back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut from, mut to) = (stream.as_ref().unwrap(), stream.as_ref().unwrap());
                let _ = io::copy(&mut from, &mut to);
            }
        });
        port
    }

    fn said(client: &mut TcpStream, words: &[u8]) -> io::Result<Vec<u8>> {
        client.write_all(words)?;
        let mut answer = vec![0; words.len()];
        client.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn what_is_sent_arrives_and_a_cut_is_seen_by_both_ends() {
        let wire = Wire::to(echo());
        let mut client = TcpStream::connect(wire.address()).unwrap();
        assert_eq!(said(&mut client, b"hello").unwrap(), b"hello");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let mut client = TcpStream::connect(wire.address()).unwrap();
        assert_eq!(said(&mut client, b"hello").unwrap(), b"hello");
        wire.set(Weather { cut: true, ..Weather::default() });
        assert!(!matches!(client.read(&mut [0]), Ok(1..)));
        let mut client = TcpStream::connect(wire.address()).unwrap();
        assert!(said(&mut client, b"hello").is_err());
    }

    #[test]
    fn what_was_said_in_silence_arrives_when_it_is_over() {
        let wire = Wire::to(echo());
        let mut client = TcpStream::connect(wire.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        for weather in [
            Weather { silent_to_server: true, ..Weather::default() },
            Weather { silent_to_client: true, ..Weather::default() },
        ] {
            wire.set(weather);
            client.write_all(b"x").unwrap();
            client.read(&mut [0]).unwrap_err();
            wire.set(Weather::default());
            let mut answer = [0];
            while client.read_exact(&mut answer).is_err() {}
            assert_eq!(answer, *b"x");
        }
    }

    #[test]
    fn a_slow_way_keeps_the_order() {
        let wire = Wire::to(echo());
        let weather = Weather { latency: Duration::from_millis(20), lost_percent: 50, ..Weather::default() };
        wire.set(weather);
        let mut client = TcpStream::connect(wire.address()).unwrap();
        let began = std::time::Instant::now();
        let words: Vec<u8> = (0..=255).collect();
        for word in &words {
            client.write_all(&[*word]).unwrap();
        }
        let mut answer = vec![0; words.len()];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, words);
        assert!(began.elapsed() >= 2 * weather.latency);
    }
}
