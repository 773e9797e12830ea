//! The binary frames of `callboard.terminal.v2`: a byte that says what it is, and the rest.

use bytes::Bytes;
use callboard_actors::jobs::command::TerminalSize;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most bytes that a ping may carry.
const MAX_PING: usize = 64;

/// What a client sends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ClientFrame {
    /// The first one: who it is.
    Open(Open),
    Input(Bytes),
    Resize(TerminalSize),
    /// Everything before this offset was processed.
    Ack(u64),
    Pause,
    Resume,
    Ping(Bytes),
}

/// The first message of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    pub(super) ticket: String,
    /// Of the session that the ticket names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resume_token: Option<String>,
    /// What the client has of it already.
    #[serde(default)]
    pub(super) offset: u64,
}

/// What the server sends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ServerFrame {
    Opened(Opened),
    /// Output, with the offset of its first byte.
    Output(u64, Bytes),
    /// What is between these offsets is not kept any more.
    Gap(u64, u64),
    Exit(Exit),
    Pong(Bytes),
    Notice(String),
    /// Why the client is refused, with a code of the contract.
    Refused {
        code: &'static str,
        message: String,
    },
}

/// The answer to the first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) session: Uuid,
    /// Good for coming back once.
    pub(super) resume_token: String,
    /// `read` or `write`.
    pub(super) scope: String,
    pub(super) command: String,
    pub(super) cols: u16,
    pub(super) rows: u16,
    /// Whether this is a session that was there before.
    pub(super) resumed: bool,
    /// Where the output ends that was written before: what a terminal answers to that is nobody's question any more.
    pub(super) end: u64,
    /// Bytes that may be on their way without being acknowledged.
    pub(super) window: u64,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    Unknown,
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) String);

const OPEN: u8 = 0x00;
const INPUT: u8 = 0x01;
const RESIZE: u8 = 0x02;
const ACK: u8 = 0x03;
const PAUSE: u8 = 0x04;
const RESUME: u8 = 0x05;
const PING: u8 = 0x06;
const OPENED: u8 = 0x10;
const OUTPUT: u8 = 0x11;
const GAP: u8 = 0x12;
const EXIT: u8 = 0x13;
const PONG: u8 = 0x14;
const NOTICE: u8 = 0x15;
const REFUSED: u8 = 0x16;

impl ClientFrame {
    /// Reads a message.
    pub(super) fn decode(message: &Bytes) -> Result<Self, Malformed> {
        let Some((&kind, _)) = message.split_first() else {
            return Err(Malformed("an empty message is no frame".to_owned()));
        };
        let rest = message.slice(1..);
        let exactly = |length: usize| match rest.len() == length {
            true => Ok(()),
            false => Err(Malformed(format!(
                "a frame of type {kind:#04x} has {length} bytes behind its type, and this one {}",
                rest.len()
            ))),
        };
        match kind {
            OPEN => serde_json::from_slice(&rest)
                .map(ClientFrame::Open)
                .map_err(|error| Malformed(format!("{{\"ticket\": \"...\"}} is needed: {error}"))),
            INPUT => Ok(ClientFrame::Input(rest)),
            RESIZE => {
                exactly(4)?;
                let number = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
                let size = TerminalSize::new(number(0), number(2));
                size.map(ClientFrame::Resize)
                    .ok_or_else(|| Malformed("a terminal has 1 to 1000 columns and rows".to_owned()))
            }
            ACK => {
                exactly(8)?;
                let offset = rest[..].try_into().map(u64::from_be_bytes);
                offset.map(ClientFrame::Ack).map_err(|_| Malformed("an offset has 8 bytes".to_owned()))
            }
            PAUSE => exactly(0).map(|()| ClientFrame::Pause),
            RESUME => exactly(0).map(|()| ClientFrame::Resume),
            PING if rest.len() <= MAX_PING => Ok(ClientFrame::Ping(rest)),
            PING => Err(Malformed(format!("a ping carries at most {MAX_PING} bytes"))),
            other => Err(Malformed(format!("there is no frame of type {other:#04x}"))),
        }
    }
}

impl ServerFrame {
    /// As a message.
    pub(super) fn encode(&self) -> Bytes {
        let json = |kind, value: serde_json::Value| with(kind, &[value.to_string().as_bytes()]);
        match self {
            ServerFrame::Opened(opened) => json(OPENED, serde_json::json!(opened)),
            ServerFrame::Output(offset, bytes) => with(OUTPUT, &[&offset.to_be_bytes(), bytes]),
            ServerFrame::Gap(from, to) => with(GAP, &[&from.to_be_bytes(), &to.to_be_bytes()]),
            ServerFrame::Exit(exit) => {
                let (kind, number) = match exit {
                    Exit::Code(code) => (0, *code),
                    Exit::Signal(signal) => (1, *signal),
                    Exit::Unknown => (2, 0),
                };
                with(EXIT, &[&[kind], &number.to_be_bytes()])
            }
            ServerFrame::Pong(bytes) => with(PONG, &[bytes]),
            ServerFrame::Notice(text) => with(NOTICE, &[text.as_bytes()]),
            ServerFrame::Refused { code, message } => {
                json(REFUSED, serde_json::json!({ "code": code, "message": message }))
            }
        }
    }
}

fn with(kind: u8, parts: &[&[u8]]) -> Bytes {
    let mut frame = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    frame.push(kind);
    for part in parts {
        frame.extend_from_slice(part);
    }
    frame.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_message_is_a_frame_or_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            // It must not panic, and what it takes must be in bounds.
            match ClientFrame::decode(&Bytes::from(bytes)) {
                Ok(ClientFrame::Resize(size)) => {
                    prop_assert!((1..=1000).contains(&size.cols) && (1..=1000).contains(&size.rows));
                }
                Ok(ClientFrame::Ping(bytes)) => prop_assert!(bytes.len() <= MAX_PING),
                Ok(_) => {}
                Err(Malformed(why)) => prop_assert!(!why.is_empty()),
            }
        }

        #[test]
        fn what_a_client_sends_arrives(
            input in prop::collection::vec(any::<u8>(), 0..100),
            offset in any::<u64>(),
            cols in 1_u16..=1000,
            rows in 1_u16..=1000,
        ) {
            let size = TerminalSize::new(cols, rows).expect("in bounds");
            let resize = [&[RESIZE][..], &cols.to_be_bytes(), &rows.to_be_bytes()].concat();
            prop_assert_eq!(ClientFrame::decode(&resize.into()), Ok(ClientFrame::Resize(size)));
            let ack = [&[ACK][..], &offset.to_be_bytes()].concat();
            prop_assert_eq!(ClientFrame::decode(&ack.into()), Ok(ClientFrame::Ack(offset)));
            let typed = [&[INPUT][..], &input].concat();
            prop_assert_eq!(ClientFrame::decode(&typed.into()), Ok(ClientFrame::Input(input.into())));
        }
    }

    #[test]
    fn frames_are_what_the_page_reads() {
        let frames = [
            (ServerFrame::Output(258, Bytes::from_static(b"\xffx")), &b"\x11\0\0\0\0\0\0\x01\x02\xffx"[..]),
            (ServerFrame::Gap(1, 2), b"\x12\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02"),
            (ServerFrame::Exit(Exit::Code(3)), b"\x13\0\0\0\0\x03"),
            (ServerFrame::Exit(Exit::Signal(9)), b"\x13\x01\0\0\0\x09"),
            (ServerFrame::Exit(Exit::Unknown), b"\x13\x02\0\0\0\0"),
            (ServerFrame::Pong(Bytes::from_static(b"p")), b"\x14p"),
            (ServerFrame::Notice("n".to_owned()), b"\x15n"),
            (
                ServerFrame::Refused { code: "PER_IP_CAP", message: "m".to_owned() },
                b"\x16{\"code\":\"PER_IP_CAP\",\"message\":\"m\"}",
            ),
        ];
        for (frame, bytes) in frames {
            assert_eq!(frame.encode(), bytes, "{frame:?}");
        }
    }

    #[test]
    fn a_first_message_names_a_ticket_and_nothing_unknown() {
        let open = |json: &str| ClientFrame::decode(&[&[OPEN], json.as_bytes()].concat().into());
        let bare = Open { ticket: "t".to_owned(), resume_token: None, offset: 0 };
        assert_eq!(open(r#"{"ticket":"t"}"#), Ok(ClientFrame::Open(bare)));
        for wrong in ["", "{}", r#"{"ticket":"t","command":"sh"}"#, r#"{"ticket":1}"#] {
            assert!(open(wrong).is_err(), "{wrong}");
        }
    }
}
