//! A client of the JSON protocol.

use std::time::Duration;

use actix_ws::{AggregatedMessage, CloseCode};
use bytes::Bytes;
use callboard_actors::jobs::command::TerminalSize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{
    Scope,
    broker::{Open, Resume},
    json::{self, ClientMessage, Reconnect},
    keys::{Filtered, ReadOnlyKeys},
    link::{
        AUTH_FAILED, AUTH_REQUIRED, Attachment, Ending, FromClient, INTERNAL_ERROR, Owner, PTY_SPAWN_FAILED,
        Protocol, Refused, ToClient,
    },
    socket::{Credentials, Dialect, Heard, NoMessage, Outcome, Sent, Socket, leave},
};

/// How long a client may take to say that it comes back. One that says so later gets what it asks for, too.
const COMES_BACK: Duration = Duration::from_millis(250);

/// What a connection begins with.
enum Wish {
    New(Option<AggregatedMessage>),
    Back(Reconnect),
}

pub(super) async fn serve(mut socket: Socket, credentials: Credentials, query: &[(String, String)]) {
    let refused = match credentials {
        Credentials::Good(owner) => {
            let Some(wish) = wish(&mut socket, query).await else { return };
            return talk(socket, owner, wish).await;
        }
        Credentials::Missing(_) => Refused::new(
            AUTH_REQUIRED,
            "send a token: Authorization: Bearer ..., or from a browser the query parameter auth",
        ),
        Credentials::Wrong(_) => Refused::new(AUTH_FAILED, "this token is not known"),
    };
    refuse(socket, &refused).await;
}

async fn refuse(socket: Socket, refused: &Refused) {
    socket.refuse(refused, text(&json::error(refused)), CloseCode::Policy).await;
}

fn text(value: &Value) -> Sent {
    Sent::Text(value.to_string())
}

/// What the client wants first. `None`: it is gone.
async fn wish(socket: &mut Socket, query: &[(String, String)]) -> Option<Wish> {
    let of = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    if let (Some(session), Some(token)) = (of("session"), of("token")) {
        let last_seq = of("last_seq").and_then(|number| number.parse().ok());
        return Some(Wish::Back(Reconnect { session, token, last_seq }));
    }
    match socket.first(Instant::now() + COMES_BACK).await {
        Err(NoMessage::InTime) => Some(Wish::New(None)),
        Ok(None) => None,
        Ok(Some(message)) => Some(match read(&message) {
            Some(ClientMessage::Reconnect(reconnect)) => Wish::Back(reconnect),
            _ => Wish::New(Some(message)),
        }),
    }
}

fn read(message: &AggregatedMessage) -> Option<ClientMessage> {
    match message {
        AggregatedMessage::Text(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

async fn talk(mut socket: Socket, owner: Owner, wish: Wish) {
    let scope = Scope::of(owner.role, &socket.terminal.settings);
    let (mut attachment, mut first) = match wish {
        Wish::New(first) => (open(&socket, &owner, scope).await, first),
        Wish::Back(reconnect) => (resume(&socket, &owner, &reconnect, scope).await, None),
    };
    loop {
        let mut current = match attachment {
            Ok(current) => current,
            Err(refused) => return refuse(socket, &refused).await,
        };
        let said = socket.say(text(&json::opened(&current))).await;
        let mut client = Client::new(&socket, scope.min(current.about.scope));
        if said
            && let Some(message) = first.take()
            && let Ok(Heard::Said(said)) = timeout(
                socket.terminal.settings.dead_after,
                client.hear(message, &mut socket.session.clone()),
            )
            .await
        {
            let _ = current.to_session.send(said).await;
        }
        let outcome = match said {
            true => socket.carry(&mut current, &mut client).await,
            false => Outcome::Gone,
        };
        let (code, why) = match outcome {
            Outcome::Other(reconnect) => {
                attachment = resume(&socket, &owner, &reconnect, scope).await;
                // Nobody has seen the one that was opened meanwhile.
                if attachment.is_ok() && !current.resumed && !client.typed {
                    leave(&current.to_session).await;
                }
                continue;
            }
            Outcome::Gone => return,
            Outcome::Dead => (CloseCode::Policy, "nothing was heard of the client for too long".to_owned()),
            Outcome::Malformed(why) => (CloseCode::Unsupported, why),
            Outcome::Stopping => (CloseCode::Away, "the server stops".to_owned()),
            Outcome::Over(Ending::NotStarted) => {
                let refused = Refused::new(PTY_SPAWN_FAILED, Ending::NotStarted.text());
                return refuse(socket, &refused).await;
            }
            Outcome::Over(ending) => {
                if ending == Ending::NotAllowed {
                    leave(&current.to_session).await;
                }
                socket.say(Client::encode(ToClient::Over(ending.clone()))).await;
                let code = match ending {
                    Ending::NotAllowed | Ending::Killed | Ending::Idle | Ending::TooOld => CloseCode::Policy,
                    Ending::Failed(_) => CloseCode::Error,
                    _ => CloseCode::Normal,
                };
                (code, ending.text())
            }
        };
        return socket.close(code, why).await;
    }
}

async fn open(socket: &Socket, owner: &Owner, scope: Scope) -> Result<Attachment, Refused> {
    let size = TerminalSize::default();
    let open = Open { protocol: Protocol::Json, owner: owner.clone(), scope, size };
    socket.terminal.broker.ask_within(super::ASK_LIMIT, open).await.unwrap_or_else(unanswered)
}

async fn resume(
    socket: &Socket,
    owner: &Owner,
    reconnect: &Reconnect,
    scope: Scope,
) -> Result<Attachment, Refused> {
    let resume = Resume {
        protocol: Protocol::Json,
        session: reconnect.id(),
        token: reconnect.token.clone(),
        after: Some(reconnect.last_seq.unwrap_or(0)),
        grant: None,
        who: owner.who.clone(),
        scope,
    };
    socket.terminal.broker.ask_within(super::ASK_LIMIT, resume).await.unwrap_or_else(unanswered)
}

fn unanswered(error: callboard_supervisors::AskError) -> Result<Attachment, Refused> {
    Err(Refused::new(INTERNAL_ERROR, format!("the terminal does not answer: {error}")))
}

/// What is known of a client.
struct Client {
    read_only: Option<ReadOnlyKeys>,
    typed: bool,
}

impl Client {
    fn new(socket: &Socket, scope: Scope) -> Self {
        let can_be_read = socket.terminal.settings.command.can_be_read();
        Client { read_only: (scope == Scope::Read).then(|| ReadOnlyKeys::new(can_be_read)), typed: false }
    }
}

impl Dialect for Client {
    type Other = Reconnect;

    fn encode(message: ToClient) -> Sent {
        text(&json::encode(&message))
    }

    async fn hear(
        &mut self,
        message: AggregatedMessage,
        session: &mut actix_ws::Session,
    ) -> Heard<Reconnect> {
        let answer = match read(&message) {
            Some(ClientMessage::Input { data }) => {
                self.typed = true;
                let Some(keys) = &mut self.read_only else {
                    return Heard::Said(FromClient::Input(Bytes::from(data)));
                };
                let Filtered { passed, notice } = keys.filter(Bytes::from(data), Instant::now());
                // A connection that is gone is heard of by whoever reads it.
                if notice {
                    let _ = session.text(json::notice(ReadOnlyKeys::NOTICE).to_string()).await;
                }
                return match passed.is_empty() {
                    true => Heard::Nothing,
                    false => Heard::Said(FromClient::Input(passed)),
                };
            }
            Some(ClientMessage::Resize { cols, rows }) => {
                return Heard::Said(FromClient::Resize(json::size(cols, rows)));
            }
            Some(ClientMessage::Reconnect(reconnect)) => return Heard::Other(reconnect),
            Some(ClientMessage::Ping) => json::pong(),
            None => json::error(&Refused::new(
                INTERNAL_ERROR,
                "this message cannot be read; there are input, resize, ping and reconnect, as JSON in text frames",
            )),
        };
        let _ = session.text(answer.to_string()).await;
        Heard::Nothing
    }
}
