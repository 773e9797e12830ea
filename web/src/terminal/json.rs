//! The JSON protocol of the old web terminal: a text frame is an object with a `type`.

use callboard_actors::jobs::command::TerminalSize;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::link::{Attachment, Refused, ToClient};

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum ClientMessage {
    Input { data: String },
    Resize { cols: u32, rows: u32 },
    Ping,
    Reconnect(Reconnect),
}

/// A client comes back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Reconnect {
    pub(super) session: String,
    pub(super) token: String,
    /// The number of the last frame that it has.
    #[serde(default)]
    pub(super) last_seq: Option<u64>,
}

impl Reconnect {
    /// The session; one whose id is none of ours is not there.
    pub(super) fn id(&self) -> Uuid {
        Uuid::try_parse(&self.session).unwrap_or(Uuid::nil())
    }
}

/// A size that an old client sends, brought into bounds: one that is hidden has no columns.
pub(super) fn size(cols: u32, rows: u32) -> TerminalSize {
    let fit = |number: u32| {
        let bounds = TerminalSize::BOUNDS;
        u16::try_from(number).unwrap_or(u16::MAX).clamp(*bounds.start(), *bounds.end())
    };
    TerminalSize { cols: fit(cols), rows: fit(rows) }
}

/// The first message of a session.
pub(super) fn opened(attachment: &Attachment) -> Value {
    let (id, token) = (attachment.about.id, &attachment.token);
    if attachment.resumed {
        let TerminalSize { cols, rows } = attachment.about.now.lock().size;
        json!({
            "type": "reconnected", "sessionId": id, "reconnectToken": token,
            "restore_size": { "cols": cols, "rows": rows },
        })
    } else {
        json!({ "type": "session", "sessionId": id, "reconnectToken": token })
    }
}

pub(super) fn error(refused: &Refused) -> Value {
    json!({ "type": "error", "message": refused.message, "code": refused.code })
}

pub(super) fn notice(message: &str) -> Value {
    json!({ "type": "notice", "message": message })
}

pub(super) fn pong() -> Value {
    json!({ "type": "pong" })
}

/// A message of a session; what bytes there are belongs to the other protocol.
pub(super) fn encode(message: &ToClient) -> Value {
    match message {
        ToClient::Frame(seq, data) => json!({ "type": "output", "data": data, "seq": seq }),
        ToClient::Bytes(_, bytes) => json!({ "type": "output", "data": String::from_utf8_lossy(bytes) }),
        ToClient::Gap(from, to) => json!({ "type": "buffer_truncated", "frames_dropped": to - from }),
        ToClient::ReplayBegin(from) => json!({ "type": "replay_begin", "from_seq": from }),
        ToClient::ReplayEnd(last) => json!({ "type": "replay_end", "last_seq": last }),
        ToClient::Notice(text) => notice(text),
        ToClient::Over(ending) => notice(&ending.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::link::Ending;

    #[test]
    fn messages_are_those_of_the_contract() {
        let golden = [
            (ToClient::Frame(7, "a\u{1b}[0m".to_owned()), r#"{"data":"a\u001b[0m","seq":7,"type":"output"}"#),
            (ToClient::Gap(3, 10), r#"{"frames_dropped":7,"type":"buffer_truncated"}"#),
            (ToClient::ReplayBegin(4), r#"{"from_seq":4,"type":"replay_begin"}"#),
            (ToClient::ReplayEnd(9), r#"{"last_seq":9,"type":"replay_end"}"#),
            (ToClient::Notice("n".to_owned()), r#"{"message":"n","type":"notice"}"#),
            (
                ToClient::Over(Ending::Exited(0)),
                r#"{"message":"the program has ended with exit status 0","type":"notice"}"#,
            ),
        ];
        for (message, text) in golden {
            assert_eq!(encode(&message).to_string(), text);
        }
        assert_eq!(pong().to_string(), r#"{"type":"pong"}"#);
        let refused = Refused::new("PER_IP_CAP", "m");
        assert_eq!(error(&refused).to_string(), r#"{"code":"PER_IP_CAP","message":"m","type":"error"}"#);
    }

    #[test]
    fn what_clients_send_is_read_with_more_than_the_contract_says() {
        let read = |text: &str| serde_json::from_str::<ClientMessage>(text).ok();
        assert_eq!(
            read(r#"{"type":"input","data":"x","extra":1}"#),
            Some(ClientMessage::Input { data: "x".to_owned() })
        );
        assert_eq!(
            read(r#"{"type":"resize","cols":132,"rows":50}"#),
            Some(ClientMessage::Resize { cols: 132, rows: 50 })
        );
        assert_eq!(read(r#"{"type":"ping"}"#), Some(ClientMessage::Ping));
        let reconnect = |last_seq| Reconnect { session: "s".to_owned(), token: "t".to_owned(), last_seq };
        assert_eq!(
            read(r#"{"type":"reconnect","session":"s","token":"t","last_seq":3}"#),
            Some(ClientMessage::Reconnect(reconnect(Some(3))))
        );
        assert_eq!(
            read(r#"{"type":"reconnect","session":"s","token":"t"}"#),
            Some(ClientMessage::Reconnect(reconnect(None)))
        );
        for wrong in ["", "[]", "{}", r#"{"type":"input"}"#, r#"{"type":"run","command":"sh"}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_brought_into_bounds() {
        assert_eq!(size(0, 5000), TerminalSize { cols: 1, rows: 1000 });
        assert_eq!(size(80, u32::MAX), TerminalSize { cols: 80, rows: 1000 });
    }
}
