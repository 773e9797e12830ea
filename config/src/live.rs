//! Which settings a running program takes up, and which need a restart.

use crate::key::Key;
use crate::schema::{QUEUE_DEFAULTS, QUEUES};

/// The keys that are taken up while the program runs, by section. Every other needs a restart. None of them holds a secret:
/// their values are kept in the audit trail.
const LIVE: [(&str, &[&str]); 10] = [
    ("log", &["level"]),
    (
        "retention",
        &[
            "completed",
            "discarded",
            "cancelled",
            "events",
            "events_max",
            "idempotency_keys",
            "inbox",
            "inbox_max",
            "audit",
            "interval",
            "batch",
        ],
    ),
    ("retry", &["max_attempts", "min", "max", "factor", "jitter"]),
    (QUEUE_DEFAULTS, OF_A_QUEUE),
    (QUEUES, OF_A_QUEUE),
    (
        "jobs",
        &[
            "timeout",
            "shutdown_grace",
            "max_payload",
            "max_backlog",
            "max_result",
            "log_max_lines",
            "log_max_bytes",
            "log_max_line",
        ],
    ),
    ("scheduler", &["poll"]),
    ("cron", &["entries"]),
    ("encryption", &["keys", "current"]),
    ("rescuer", &["interval", "quarantine_after"]),
];

/// Those of a queue.
const OF_A_QUEUE: &[&str] = &[
    "concurrency",
    "max_backlog",
    "max_payload",
    "max_restarts",
    "restart_period",
    "pause_after_crashes",
    "crash_period",
    "crash_kinds",
];

/// The section of a key, in whatever way it is written: quotes around any part of a segment are not of its name.
pub fn section_of(key: &str) -> String {
    Key::parse(key).0.into_iter().next().unwrap_or_default()
}

/// Whether a running program takes a change of this key up. A key that there is not is none.
pub fn is_live(key: &str) -> bool {
    let key = Key::parse(key);
    let (section, name) = match key.segments()[..] {
        [QUEUES, _, name] => (QUEUES, name),
        [section, name] if section != QUEUES => (section, name),
        _ => return false,
    };
    LIVE.iter().any(|(known, keys)| *known == section && keys.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Loader;

    #[test]
    fn every_live_key_is_a_key_without_secrets() {
        let loaded = Loader::new().load().unwrap();
        for (section, keys) in LIVE {
            for key in keys {
                let full = if section == QUEUES {
                    format!("{QUEUES}.default.{key}")
                } else {
                    format!("{section}.{key}")
                };
                assert!(is_live(&full), "{full}");
                let value = loaded.values.iter().find(|value| value.key == full).expect(&full);
                assert!(value.secret.is_none(), "{full} may hold a secret");
            }
        }
    }

    #[test]
    fn what_the_program_is_built_of_needs_a_restart() {
        for key in [
            "web.listen",
            "store.url",
            "queues.a.served_by",
            "queues.a.restart_strategy",
            "queues.concurrency",
            "retention",
            "zzz.level",
            "",
        ] {
            assert!(!is_live(key), "{key}");
        }
        assert!(is_live("queues.\"a.b\".concurrency"));
    }
}
