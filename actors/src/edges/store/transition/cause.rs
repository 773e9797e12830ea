//! What a job died of: errors that differ only in what differs each time have one cause.

use callboard_contracts::api::{AttemptError, ErrorKind};
use sha2::{Digest, Sha256};

/// Bytes of a line that are looked at.
const LOOKED_AT: usize = 1024;
/// Characters of what is left of a message.
const MAX_TEXT: usize = 300;
/// Characters of a title.
const MAX_TITLE: usize = 160;
/// Words after which a short number says what happened, as in `exited with code 3` and `answered 503`.
const BEFORE_CODES: [&str; 8] =
    ["code", "status", "signal", "errno", "error", "answered", "http", "http/1.1"];
/// Digits of such a number at most.
const CODE_DIGITS: usize = 3;
/// Characters from which a word of nothing but hexadecimal digits is taken for an id.
const HEX: usize = 8;
/// Characters from which a word of letters and digits in turns is taken for an id.
const MIXED: usize = 12;

/// What a job died of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// 16 hexadecimal digits.
    pub(crate) fingerprint: String,
    /// For people.
    pub(crate) title: String,
}

impl Cause {
    /// The cause of an attempt's error. What it is made of must not change: fingerprints are stored.
    pub(crate) fn of(error: &AttemptError) -> Self {
        let text = normalized(&error.message);
        let kind = kind_word(error.kind);
        let mut hash = Sha256::new_with_prefix("cause 1\0");
        hash.update(kind);
        hash.update([0]);
        hash.update(&text);
        let digest = hash.finalize();
        let fingerprint = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let title = match error.kind {
            ErrorKind::Failed if text.is_empty() => "failed, and said nothing".to_owned(),
            ErrorKind::Failed => text,
            _ if text.is_empty() => kind.to_owned(),
            _ => format!("{kind}: {text}"),
        };
        Cause { fingerprint, title: shortened(title) }
    }
}

/// What is stored of an error: that of the last attempt, as JSON, or at least its message.
pub(crate) fn stored_error(attempt: Option<String>, message: Option<String>) -> AttemptError {
    attempt.and_then(|error| serde_json::from_str(&error).ok()).unwrap_or_else(|| AttemptError {
        kind: ErrorKind::Failed,
        message: message.unwrap_or_default(),
        backtrace: None,
        is_final: false,
    })
}

fn kind_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Failed => "failed",
        ErrorKind::Panicked => "panicked",
        ErrorKind::TimedOut => "timed out",
        ErrorKind::Lost => "lost",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::InvalidPayload => "invalid payload",
    }
}

fn shortened(title: String) -> String {
    if title.chars().count() <= MAX_TITLE {
        return title;
    }
    let mut short: String = title.chars().take(MAX_TITLE - 1).collect();
    short.push('…');
    short
}

/// What of a message is the same each time: its first line and, of several, its last, where programs say what went wrong.
fn normalized(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut text = line(lines.next().unwrap_or_default());
    if let Some(last) = lines.next_back() {
        let last = line(last);
        if !last.is_empty() {
            text.push_str(if text.is_empty() { "" } else { " | " });
            text.push_str(&last);
        }
    }
    text.chars().take(MAX_TEXT).collect::<String>().trim_end().to_owned()
}

fn line(line: &str) -> String {
    // What follows an ellipsis was cut off somewhere, each time elsewhere.
    let line = line.split_once('…').map_or(line, |(begin, _)| begin);
    let line = &line[..line.floor_char_boundary(LOOKED_AT)];
    let without_quotes = unquoted(line);
    let mut words: Vec<String> = Vec::new();
    for given in without_quotes.split_whitespace() {
        let after_code_word = words.last().is_some_and(|before| is_before_code(before));
        words.push(word(given, after_code_word));
    }
    words.join(" ")
}

fn is_before_code(word: &str) -> bool {
    let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
    BEFORE_CODES.iter().any(|before| bare.eq_ignore_ascii_case(before))
}

/// With whatever is in quotes replaced.
fn unquoted(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    let mut before = None;
    while let Some(letter) = rest.chars().next() {
        let inside = &rest[letter.len_utf8()..];
        match closing(letter).filter(|_| !before.is_some_and(char::is_alphanumeric)) {
            Some(close) if let Some(end) = end_of_quote(inside, close) => {
                text.push_str("\"*\"");
                rest = &inside[end..];
                before = Some(close);
            }
            _ => {
                text.push(letter);
                rest = inside;
                before = Some(letter);
            }
        }
    }
    text
}

fn closing(quote: char) -> Option<char> {
    match quote {
        '"' | '\'' | '`' => Some(quote),
        '“' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

/// Behind the quote that closes: one that no letter follows, as one does in `don't`.
fn end_of_quote(inside: &str, close: char) -> Option<usize> {
    inside
        .match_indices(close)
        .map(|(at, found)| at + found.len())
        .find(|end| !inside[*end..].chars().next().is_some_and(char::is_alphanumeric))
}

/// A word, with what differs each time replaced.
fn word(word: &str, after_code_word: bool) -> String {
    if word.contains("\"*\"") {
        return digits_replaced(word);
    }
    let opens = |letter: char| matches!(letter, '(' | '[' | '{' | '<' | ',' | ';' | ':');
    let closes = |letter: char| matches!(letter, ')' | ']' | '}' | '>' | ',' | ';' | ':' | '.' | '!' | '?');
    let rest = word.trim_start_matches(opens);
    let before = &word[..word.len() - rest.len()];
    let core = rest.trim_end_matches(closes);
    let after = &rest[core.len()..];
    let core = match () {
        () if core.is_empty() => String::new(),
        () if after_code_word && is_code(core) => core.to_owned(),
        () if core.contains("://") => "URL".to_owned(),
        () if is_path(core) => "PATH".to_owned(),
        () if is_id(core) => "#".to_owned(),
        () => digits_replaced(core),
    };
    format!("{before}{core}{after}")
}

fn is_code(word: &str) -> bool {
    word.len() <= CODE_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_path(word: &str) -> bool {
    let begins =
        ["/", "./", "../", "~/"].iter().any(|begin| word.starts_with(begin) && word.len() > begin.len());
    let drive = word.as_bytes().get(1..3) == Some(b":\\");
    begins || drive || word.matches(['/', '\\']).count() >= 2
}

fn is_id(word: &str) -> bool {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let hexadecimal = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let prefixed = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    if prefixed.is_some_and(|rest| !rest.is_empty() && hexadecimal(rest)) {
        return true;
    }
    // A UUID, a hash, an object's id.
    if has_digit && word.len() >= HEX && hexadecimal(word) {
        return true;
    }
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let turns = word.as_bytes().chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit()).count();
    plain && word.len() >= MIXED && turns >= 4
}

/// Each number, with what stands between its parts (as in a time, an address, a version), as one sign.
fn digits_replaced(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut letters = word.chars().peekable();
    while let Some(letter) = letters.next() {
        if !letter.is_numeric() && letter != '#' {
            text.push(letter);
            continue;
        }
        text.push('#');
        loop {
            let mut ahead = letters.clone();
            match (ahead.next(), ahead.next()) {
                (Some(next), _) if next.is_numeric() || next == '#' => {
                    letters.next();
                }
                (Some('.' | ',' | ':' | '-' | '/' | 'T' | '+'), Some(next))
                    if next.is_numeric() || next == '#' =>
                {
                    letters.next();
                    letters.next();
                }
                _ => break,
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(message: &str) -> AttemptError {
        stored_error(None, Some(message.to_owned()))
    }

    fn cause(message: &str) -> Cause {
        Cause::of(&failed(message))
    }

    #[test]
    fn what_differs_each_time_makes_no_other_cause() {
        for (one, other) in [
            ("order 17 is gone", "order 123456 is gone"),
            ("took longer than 1.5s", "took longer than 900s"),
            ("no user 01890a5d-ac96-774b-bcce-b302099a8057", "no user 4bf92f35-77b3-4da6-a3ce-929d0e0e4736"),
            ("no such file: /tmp/a/b.txt", "no such file: /srv/x"),
            ("key \"alpha\" is missing", "key \"beta gamma\" is missing"),
            ("column 'a' isn't there", "column 'b c' isn't there"),
            ("at 2026-11-21T10:00:00Z: refused", "at 2025-01-02T03:04:05.678Z: refused"),
            ("10.0.0.1:5432 refused", "192.168.17.3:80 refused"),
            (
                "https://a.example/x?y=1 answered 503 Service Unavailable",
                "http://b.example answered 503 Service Unavailable",
            ),
            ("object deadbeef01 is locked", "object 0123456789abcdef is locked"),
            ("customer cus_9xYz1Ab2Cd3 is unknown", "customer cus_1aBc9Xy7Zz1 is unknown"),
            ("its node \"a-1\" died while it ran", "its node \"b\" died while it ran"),
            ("failed at 0xdeadbeef", "failed at 0x1"),
            (
                "the program exited with code 1: …xyz\nin between\nError: no",
                "the program exited with code 1: …z\nelse\nError: no",
            ),
        ] {
            assert_eq!(cause(one), cause(other), "{one} / {other}");
        }
    }

    #[test]
    fn what_says_something_makes_another_cause() {
        for (one, other) in [
            ("the program exited with code 1", "the program exited with code 2"),
            ("the program was killed by signal 9", "the program was killed by signal 15"),
            ("URL answered 503 Service Unavailable", "URL answered 404 Not Found"),
            ("connection refused", "connection reset"),
            ("Traceback\n  File\nKeyError: x", "Traceback\n  File\nValueError: x"),
            ("don't know why, can't say", "don't know how, can't say"),
        ] {
            assert_ne!(cause(one).fingerprint, cause(other).fingerprint, "{one} / {other}");
        }
        let panicked = AttemptError { kind: ErrorKind::Panicked, ..failed("no") };
        assert_ne!(Cause::of(&panicked).fingerprint, cause("no").fingerprint);
        assert_eq!(Cause::of(&panicked).title, "panicked: no");
    }

    #[test]
    fn fingerprints_and_titles_stay_as_they_are() {
        let of = cause("no user 17 in \"users\" at /srv/db:\nretry later");
        assert_eq!(of.title, "no user # in \"*\" at PATH: | retry later");
        assert_eq!(of.fingerprint, "1e268cb55d9530d5");
        assert_eq!(cause("").title, "failed, and said nothing");
        assert_eq!(cause(&"word ".repeat(200)).title.chars().count(), MAX_TITLE);
    }

    proptest! {
        #[test]
        fn any_message_has_a_bounded_cause(message in any::<String>()) {
            let Cause { fingerprint, title } = cause(&message);
            prop_assert_eq!(fingerprint.len(), 16);
            prop_assert!(fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
            prop_assert!((1..=MAX_TITLE).contains(&title.chars().count()));
        }

        #[test]
        fn what_is_left_of_a_line_stays_so(message in "[a-zA-Z0-9 /:.,#()_-]{0,400}") {
            let once = normalized(&message);
            prop_assert!(once.chars().count() <= MAX_TEXT);
            prop_assert_eq!(normalized(&once), once);
        }

        #[test]
        fn numbers_do_not_count(
            before in "[a-z]{1,8}", after in "[a-z ]{0,20}", one in any::<u64>(), other in any::<u64>(),
        ) {
            prop_assume!(!is_before_code(&before));
            let text = |number: u64| format!("{before} {number} {after}");
            prop_assert_eq!(cause(&text(one)), cause(&text(other)));
        }

        #[test]
        fn what_is_in_quotes_does_not_count(one in "[a-zA-Z0-9 /:.-]{0,30}", other in "[a-zA-Z0-9 /:.-]{0,30}") {
            let text = |name: &str| format!("no table {name:?} here");
            prop_assert_eq!(cause(&text(&one)), cause(&text(&other)));
        }

        #[test]
        fn ids_do_not_count(one in any::<u128>(), other in any::<u128>()) {
            let text = |id: u128| format!("user {} is unknown", uuid::Uuid::from_u128(id));
            prop_assert_eq!(cause(&text(one)), cause(&text(other)));
        }
    }
}
