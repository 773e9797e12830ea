//! What a session and the connection of its client say to each other.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use callboard_actors::{jobs::command::TerminalSize, roles::request::Who};
use callboard_contracts::Timestamp;
use parking_lot::Mutex;
use tokio::{sync::mpsc, time::Instant};
use uuid::Uuid;

use super::settings::Scope;
use crate::{session::SignIn, settings::Role};

/// Messages on the way to a session, and from one to its connection.
pub(super) const ON_THE_WAY: usize = 16;

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Json,
    V2,
}

impl Protocol {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Protocol::Json => "json",
            Protocol::V2 => "callboard.terminal.v2",
        }
    }
}

/// From the client.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FromClient {
    Input(Bytes),
    Resize(TerminalSize),
    Ack(u64),
    Pause,
    Resume,
    /// It goes for good, and needs no grace.
    Leave,
}

/// To the client.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ToClient {
    /// Bytes from this offset on.
    Bytes(u64, Bytes),
    /// The frame of this number.
    Frame(u64, String),
    /// What is between these offsets, or so many frames, is not kept any more.
    Gap(u64, u64),
    ReplayBegin(u64),
    ReplayEnd(u64),
    Notice(String),
    /// It is over; nothing follows.
    Over(Ending),
}

/// Why a session, or the connection to it, is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Exited(i32),
    Signalled(i32),
    Unknown,
    /// Its client went and did not come back in time.
    Left,
    Idle,
    TooOld,
    /// Somebody ended it.
    Killed,
    /// The role of its client allows it no more.
    NotAllowed,
    /// The program cannot be run.
    NotStarted,
    /// The session cannot go on.
    Failed(String),
    /// Another connection has the session now.
    TakenOver,
}

impl Ending {
    /// For the metrics and the audit trail.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Ending::Exited(_) | Ending::Signalled(_) | Ending::Unknown => "exited",
            Ending::Left | Ending::TakenOver => "left",
            Ending::Idle => "idle",
            Ending::TooOld => "too_old",
            Ending::Killed | Ending::NotAllowed => "killed",
            Ending::NotStarted | Ending::Failed(_) => "failed",
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        match self {
            Ending::Exited(code) => format!("the program has ended with exit status {code}"),
            Ending::Signalled(signal) => format!("the program was ended by signal {signal}"),
            Ending::Unknown => "the program has ended".to_owned(),
            Ending::Left => "nobody came back to the session".to_owned(),
            Ending::Idle => "nobody typed for too long".to_owned(),
            Ending::TooOld => "the session has lasted as long as one may".to_owned(),
            Ending::Killed => "an administrator has ended the session".to_owned(),
            Ending::NotAllowed => "your role does not allow this session any more".to_owned(),
            Ending::NotStarted => "the program cannot be run; the log of the server says why".to_owned(),
            Ending::Failed(why) => why.clone(),
            Ending::TakenOver => "another connection has taken the session over".to_owned(),
        }
    }
}

/// A connection's end of the link.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) about: Arc<About>,
    /// By which the client can come back, once.
    pub(super) token: String,
    /// Whether the session was there before.
    pub(super) resumed: bool,
    pub(super) to_session: mpsc::Sender<FromClient>,
    pub(super) from_session: mpsc::Receiver<ToClient>,
}

/// The session's end.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) from: mpsc::Receiver<FromClient>,
    pub(super) to: mpsc::Sender<ToClient>,
    /// What it has already: the offset behind the last byte, or the last frame's number. None: nothing, and it wants no replay.
    pub(super) after: Option<u64>,
}

/// Who a session belongs to.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) who: Who,
    pub(super) role: Option<Role>,
    pub(super) address: IpAddr,
    /// The sign-in by whose cookie he has come, if by one.
    pub(super) sign_in: Option<SignIn>,
}

impl Owner {
    /// Whether he is signed in still, if he has come so.
    pub(super) fn is_signed_in(&self) -> bool {
        self.sign_in.as_ref().is_none_or(SignIn::is_open)
    }
}

/// What is known of a session.
#[derive(Debug)]
pub(super) struct About {
    pub(super) id: Uuid,
    pub(super) protocol: Protocol,
    pub(super) scope: Scope,
    pub(super) owner: Owner,
    pub(super) command: String,
    pub(super) began: Timestamp,
    pub(super) begun: Instant,
    pub(super) now: Mutex<Now>,
}

/// What changes about it.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) size: TerminalSize,
    /// Since when it has no client; none while it has one.
    pub(super) detached: Option<Instant>,
    pub(super) output: u64,
    pub(super) last_input: Instant,
    /// Who has ended it, if somebody has.
    pub(super) ended_by: Option<String>,
    pub(super) ending: Option<Ending>,
}

/// Why there is no session, with a code of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Refused { code, message: message.into() }
    }
}

pub(super) const AUTH_REQUIRED: &str = "AUTH_REQUIRED";
pub(super) const AUTH_FAILED: &str = "AUTH_FAILED";
pub(super) const SESSION_NOT_FOUND: &str = "SESSION_NOT_FOUND";
pub(super) const INVALID_TOKEN: &str = "INVALID_TOKEN";
pub(super) const GLOBAL_CAP: &str = "GLOBAL_CAP";
pub(super) const PER_IP_CAP: &str = "PER_IP_CAP";
pub(super) const PTY_SPAWN_FAILED: &str = "PTY_SPAWN_FAILED";
pub(super) const INTERNAL_ERROR: &str = "INTERNAL_ERROR";
