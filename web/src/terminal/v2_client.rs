//! A client of `callboard.terminal.v2`.

use std::time::Duration;

use actix_ws::{AggregatedMessage, CloseCode};
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Scope,
    broker::{Grant, Open, RedeemTicket, Resume},
    frame::{self, ClientFrame, Exit, Opened, ServerFrame},
    keys::{Filtered, ReadOnlyKeys},
    link::{
        AUTH_FAILED, AUTH_REQUIRED, Attachment, Ending, FromClient, GLOBAL_CAP, INTERNAL_ERROR,
        INVALID_TOKEN, Owner, PER_IP_CAP, Protocol, Refused, SESSION_NOT_FOUND, ToClient,
    },
    socket::{Credentials, Dialect, Heard, Outcome, Sent, Socket, leave},
};

/// How long a client may take to show its ticket.
const TICKET_LIMIT: Duration = Duration::from_secs(5);

/// Codes of ours with which a connection is closed; docs/terminal.md lists them.
mod close {
    /// And the exit code, modulo 256.
    pub(super) const EXITED: u16 = 4000;
    /// And the signal's number.
    pub(super) const SIGNALLED: u16 = 4256;
    pub(super) const ENDED: u16 = 4399;
    pub(super) const MALFORMED: u16 = 4400;
    pub(super) const NO_TICKET: u16 = 4401;
    pub(super) const NOT_ALLOWED: u16 = 4403;
    pub(super) const NO_SESSION: u16 = 4404;
    pub(super) const TOO_SLOW: u16 = 4408;
    pub(super) const TAKEN_OVER: u16 = 4409;
    pub(super) const TOO_MANY: u16 = 4429;
    pub(super) const LEFT: u16 = 4439;
    pub(super) const IDLE: u16 = 4440;
    pub(super) const TOO_OLD: u16 = 4441;
    pub(super) const KILLED: u16 = 4442;
    pub(super) const FAILED: u16 = 4500;
}

pub(super) async fn serve(mut socket: Socket, credentials: Credentials) {
    let (Credentials::Good(owner) | Credentials::Missing(owner) | Credentials::Wrong(owner)) = credentials;
    let open = match socket.first(Instant::now() + TICKET_LIMIT).await {
        Ok(None) => return,
        Err(_) => {
            let refused = Refused::new(AUTH_REQUIRED, "no ticket came within 5 s");
            return refuse(socket, refused).await;
        }
        Ok(Some(AggregatedMessage::Binary(bytes))) => match ClientFrame::decode(&bytes) {
            Ok(ClientFrame::Open(open)) => open,
            _ => return refuse(socket, Refused::new(AUTH_REQUIRED, "the first frame is the ticket")).await,
        },
        Ok(Some(_)) => {
            return refuse(
                socket,
                Refused::new(AUTH_REQUIRED, "frames are binary, and the first is the ticket"),
            )
            .await;
        }
    };
    match attach(&mut socket, owner, open).await {
        Ok((attachment, scope)) => talk(socket, attachment, scope).await,
        Err(refused) => refuse(socket, refused).await,
    }
}

async fn refuse(socket: Socket, refused: Refused) {
    let code = match refused.code {
        AUTH_REQUIRED => close::TOO_SLOW,
        AUTH_FAILED => close::NO_TICKET,
        SESSION_NOT_FOUND | INVALID_TOKEN => close::NO_SESSION,
        GLOBAL_CAP | PER_IP_CAP => close::TOO_MANY,
        _ => close::FAILED,
    };
    let frame = ServerFrame::Refused { code: refused.code, message: refused.message.clone() };
    socket.refuse(&refused, Sent::Binary(frame.encode()), CloseCode::Other(code)).await;
}

/// The session that the ticket is for.
async fn attach(
    socket: &mut Socket,
    owner: Owner,
    open: frame::Open,
) -> Result<(Attachment, Scope), Refused> {
    let terminal = socket.terminal.clone();
    let broker = &terminal.broker;
    let unanswered = |error: callboard_supervisors::AskError| {
        Refused::new(INTERNAL_ERROR, format!("the terminal does not answer: {error}"))
    };
    let grant = broker.ask_within(super::ASK_LIMIT, RedeemTicket(open.ticket)).await.map_err(unanswered)?;
    let wrong = || {
        Refused::new(
            AUTH_FAILED,
            "this ticket is not good: it was used, its time is over, or it is somebody else's",
        )
    };
    let grant: Grant = grant.ok_or_else(wrong)?;
    // A browser sends no token with a WebSocket, but it may send a cookie: then it must be the same person's.
    let other = owner.role.is_some() && owner.who != grant.owner.who;
    if other || owner.address != grant.owner.address {
        return Err(wrong());
    }
    socket.sit()?;
    let scope = grant.scope;
    let attachment = match (grant.session, open.resume_token) {
        (None, _) => {
            let open = Open { protocol: Protocol::V2, owner: grant.owner, scope, size: grant.size };
            broker.ask_within(super::ASK_LIMIT, open).await
        }
        (Some(_), None) => {
            return Err(Refused::new(
                INVALID_TOKEN,
                "the ticket is for a session, and its resume_token is missing",
            ));
        }
        (Some(session), Some(token)) => {
            let after = Some(open.offset);
            let protocol = Protocol::V2;
            let who = grant.owner.who.clone();
            let resume = Resume { protocol, session, token, after, grant: Some(grant), who, scope };
            broker.ask_within(super::ASK_LIMIT, resume).await
        }
    };
    Ok((attachment.map_err(unanswered)??, scope))
}

async fn talk(mut socket: Socket, mut attachment: Attachment, scope: Scope) {
    let about = attachment.about.clone();
    let (size, end) = {
        let now = about.now.lock();
        (now.size, now.output)
    };
    let opened = ServerFrame::Opened(Opened {
        session: about.id,
        resume_token: attachment.token.clone(),
        scope: about.scope.as_str().to_owned(),
        command: about.command.clone(),
        cols: size.cols,
        rows: size.rows,
        resumed: attachment.resumed,
        end,
        window: socket.terminal.settings.window as u64,
    });
    if !socket.say(Sent::Binary(opened.encode())).await {
        return;
    }
    let can_be_read = socket.terminal.settings.command.can_be_read();
    let mut client =
        Client { read_only: (scope.min(about.scope) == Scope::Read).then(|| ReadOnlyKeys::new(can_be_read)) };
    let (code, why) = match socket.carry(&mut attachment, &mut client).await {
        Outcome::Gone => return,
        Outcome::Other(never) => match never {},
        Outcome::Dead => (close::TOO_SLOW, "nothing was heard of the client for too long".to_owned()),
        Outcome::Malformed(why) => (close::MALFORMED, why),
        Outcome::Stopping => {
            return socket.close(CloseCode::Away, "the server stops").await;
        }
        Outcome::Over(ending) => {
            if ending == Ending::NotAllowed {
                leave(&attachment.to_session).await;
            }
            socket.say(Client::encode(ToClient::Over(ending.clone()))).await;
            (code(&ending), ending.text())
        }
    };
    socket.close(CloseCode::Other(code), why).await;
}

fn code(ending: &Ending) -> u16 {
    match ending {
        Ending::Exited(code) => close::EXITED + u16::from(code.to_le_bytes()[0]),
        Ending::Signalled(signal) => u16::try_from(*signal)
            .ok()
            .filter(|signal| *signal < 128)
            .map_or(close::ENDED, |signal| close::SIGNALLED + signal),
        Ending::Unknown => close::ENDED,
        Ending::NotAllowed => close::NOT_ALLOWED,
        Ending::TakenOver => close::TAKEN_OVER,
        Ending::Left => close::LEFT,
        Ending::Idle => close::IDLE,
        Ending::TooOld => close::TOO_OLD,
        Ending::Killed => close::KILLED,
        Ending::NotStarted | Ending::Failed(_) => close::FAILED,
    }
}

/// What is known of a client.
struct Client {
    read_only: Option<ReadOnlyKeys>,
}

/// There is nothing else that such a client wants.
enum Never {}

impl Dialect for Client {
    type Other = Never;

    fn encode(message: ToClient) -> Sent {
        let frame = match message {
            ToClient::Bytes(offset, bytes) => ServerFrame::Output(offset, bytes),
            ToClient::Frame(seq, text) => ServerFrame::Output(seq, Bytes::from(text)),
            ToClient::Gap(from, to) => ServerFrame::Gap(from, to),
            ToClient::ReplayBegin(at) | ToClient::ReplayEnd(at) => ServerFrame::Gap(at, at),
            ToClient::Notice(text) => ServerFrame::Notice(text),
            ToClient::Over(Ending::Exited(code)) => ServerFrame::Exit(Exit::Code(code)),
            ToClient::Over(Ending::Signalled(signal)) => ServerFrame::Exit(Exit::Signal(signal)),
            ToClient::Over(Ending::Unknown) => ServerFrame::Exit(Exit::Unknown),
            ToClient::Over(ending) => ServerFrame::Notice(ending.text()),
        };
        Sent::Binary(frame.encode())
    }

    async fn hear(&mut self, message: AggregatedMessage, session: &mut actix_ws::Session) -> Heard<Never> {
        let AggregatedMessage::Binary(bytes) = message else {
            return Heard::Malformed("frames are binary".to_owned());
        };
        let frame = match ClientFrame::decode(&bytes) {
            Ok(frame) => frame,
            Err(error) => return Heard::Malformed(error.to_string()),
        };
        match frame {
            ClientFrame::Open(_) => {
                Heard::Malformed("the ticket is the first frame, and no other".to_owned())
            }
            ClientFrame::Ack(offset) => Heard::Said(FromClient::Ack(offset)),
            ClientFrame::Pause => Heard::Said(FromClient::Pause),
            ClientFrame::Resume => Heard::Said(FromClient::Resume),
            ClientFrame::Ping(bytes) => {
                // A connection that is gone is heard of by whoever reads it.
                let _ = session.binary(ServerFrame::Pong(bytes).encode()).await;
                Heard::Nothing
            }
            ClientFrame::Input(bytes) => {
                let Some(keys) = &mut self.read_only else { return Heard::Said(FromClient::Input(bytes)) };
                let Filtered { passed, notice } = keys.filter(bytes, Instant::now());
                if notice {
                    tell(session, ReadOnlyKeys::NOTICE).await;
                }
                match passed.is_empty() {
                    true => Heard::Nothing,
                    false => Heard::Said(FromClient::Input(passed)),
                }
            }
            ClientFrame::Resize(size) => match &mut self.read_only {
                None => Heard::Said(FromClient::Resize(size)),
                Some(keys) => {
                    if keys.may_notice(Instant::now()) {
                        tell(session, "this session is read-only: its size is that of its ticket").await;
                    }
                    Heard::Nothing
                }
            },
        }
    }
}

async fn tell(session: &mut actix_ws::Session, text: &str) {
    let _ = session.binary(ServerFrame::Notice(text.to_owned()).encode()).await;
}
