//! What server, shim and launcher say to each other.
//!
//! The shim greets with [`GREETING`]. The server answers with one frame, a [`Launch`], followed by as many bytes of
//! standard input as it announces, and may then send orders of one byte. The shim hands the same frame and bytes to the
//! launcher, which answers with a [`NotStarted`] frame or, when `exec` worked, with the end of the stream. The shim's
//! last word to the server is a [`Report`]. A frame is a length (four bytes, big-endian) and JSON.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The hidden first argument that makes the binary a shim.
pub(super) const SHIM_WORD: &str = "__callboard-shim";
/// The hidden first argument that makes the binary a launcher; the second is the shim's process id.
pub(super) const LAUNCH_WORD: &str = "__callboard-launch";

/// The shim's first byte: it is one, and speaks this version.
pub(super) const GREETING: u8 = 1;
/// Order: SIGTERM to the program and all below it, after the grace SIGKILL.
pub(super) const ORDER_END: u8 = b'E';
/// Order: SIGKILL at once.
pub(super) const ORDER_KILL: u8 = b'K';

/// The largest frame: a request's bounds, all of it escaped, and room.
const MAX_FRAME: usize = 8 * 1024 * 1024;

/// The program to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Launch {
    /// The file to execute.
    pub(super) file: String,
    /// What the program sees as its own name.
    pub(super) name: String,
    pub(super) args: Vec<String>,
    /// The whole environment.
    pub(super) env: BTreeMap<String, String>,
    /// How many bytes of standard input follow the frame.
    pub(super) stdin_bytes: usize,
    /// The time between SIGTERM (in a terminal SIGHUP) and SIGKILL of an ordered end.
    pub(super) grace: Duration,
    /// Whether standard output is a terminal that is to become the program's controlling one, and its standard input.
    pub(super) terminal: bool,
}

/// Why a program could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NotStarted {
    /// What failed.
    pub(super) step: String,
    /// The system's error number, if it was the system that refused.
    pub(super) errno: Option<i32>,
    pub(super) message: String,
}

impl NotStarted {
    pub(super) fn new(step: impl Into<String>, error: &io::Error) -> Self {
        Self { step: step.into(), errno: error.raw_os_error(), message: error.to_string() }
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ending {
    Exited(i32),
    Killed(i32),
    NotStarted(NotStarted),
    /// Its end was not seen: it did not even go on SIGKILL.
    Unknown,
}

/// The shim's last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) ending: Ending,
    /// From the start of the program to its end.
    pub(super) duration: Duration,
    /// Processes that did not end on SIGKILL in time (uninterruptible in the kernel).
    pub(super) survivors: usize,
}

/// Writes a value as a frame.
pub(super) fn frame(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(value)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= MAX_FRAME);
    let length = length.ok_or_else(|| invalid("the frame is too long"))?;
    Ok([&length.to_be_bytes()[..], &body].concat())
}

/// Reads one frame's JSON.
pub(super) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let mut body = vec![0; frame_length(length)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Reads one frame's JSON, blocking.
pub(super) fn read_frame_blocking(stream: &mut impl io::Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; frame_length(length)?];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn frame_length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(bytes) as usize;
    if length > MAX_FRAME { Err(invalid("the frame is too long")) } else { Ok(length) }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_is_read_as_it_was_written_and_a_long_one_is_refused() {
        let report = Report { ending: Ending::Exited(3), duration: Duration::from_millis(5), survivors: 0 };
        let written = frame(&report).unwrap();
        let read = read_frame(&mut &written[..]).await.unwrap();
        assert_eq!(serde_json::from_slice::<Report>(&read).unwrap(), report);
        assert_eq!(read_frame_blocking(&mut &written[..]).unwrap(), read);

        let too_long = (MAX_FRAME as u32 + 1).to_be_bytes();
        assert_eq!(read_frame(&mut &too_long[..]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(frame(&"x".repeat(MAX_FRAME)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let cut = read_frame(&mut &written[..written.len() - 1]).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}
