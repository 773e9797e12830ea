//! The numbers that a server has, and the names in expressions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::server::{Options, Server, eventually};

/// Labels that Prometheus adds.
const ADDED: [&str; 4] = ["instance", "job", "le", "alertname"];
/// Words of expressions behind which names of labels stand in parentheses.
const LABELS_FOLLOW: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Servers outside; nobody is there, which is told in numbers as well.
const OUTSIDE: [(&str, &str); 3] = [
    ("bus", "amqp://nobody@127.0.0.1:9/%2f"),
    ("counters", "redis://127.0.0.1:9/0"),
    ("archive", "mongodb://127.0.0.1:9/?directConnection=true"),
];

/// The numbers that a server has, each with its labels.
pub(super) struct Known(BTreeMap<String, BTreeSet<String>>);

impl Known {
    /// Those of a real server that has done a little of everything.
    pub(super) fn of_a_server() -> Known {
        let mut options = Options::arguments(&[
            "--allow-program",
            "sh",
            "--set",
            "retry.max_attempts=1",
            // Nobody is there; the spans that it is not sent are counted.
            "--set",
            "telemetry.endpoint=http://127.0.0.1:9",
        ]);
        options.environment.extend(OUTSIDE.iter().map(|(section, url)| {
            (format!("CALLBOARD__{}__URL", section.to_uppercase()), (*url).to_owned())
        }));
        let server = Server::start(&options);
        let says_and_fails = json!({ "program": "sh", "args": ["-c", "echo said; exit 1"] });
        for job in [json!({ "type": "noop" }), json!({ "type": "command", "payload": says_and_fails })] {
            assert_eq!(server.post("/api/v1/jobs", &job.to_string()).status, 202);
        }
        let headers = [("Content-Type", "application/json")];
        let tripped = server.request("PUT", "/api/v1/edges/smtp", &headers, r#"{"state":"tripped"}"#);
        assert_eq!(tripped.status, 200, "{tripped:?}");
        let mut known = Known(BTreeMap::new());
        eventually("all that has happened is counted", || {
            known = Known::read(&server.get("/metrics").body);
            [
                "callboard_edge_state",
                "callboard_edge_tripped",
                "callboard_jobs_finished_total",
                "callboard_queue_jobs",
                "callboard_sink_behind_events",
            ]
            .into_iter()
            .all(|name| known.has(name))
        });
        eventually("both jobs are counted", || {
            known = Known::read(&server.get("/metrics").body);
            server.get("/metrics").body.lines().any(|line| line == "processor_jobs_processed_total 2")
        });
        known
    }

    fn read(text: &str) -> Known {
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().expect("a name").to_owned();
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'))
                .map_or("", |(labels, _)| labels);
            let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            known.entry(name).or_default().extend(labels);
        }
        // Prometheus' own.
        known.insert("up".to_owned(), BTreeSet::new());
        Known(known)
    }

    /// Whether there is this number.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Each number in the expression is there and has the labels that the expression asks for.
    pub(super) fn check(&self, place: &str, expression: &str) {
        let words = words(expression);
        let mut all_labels: BTreeSet<&str> = ADDED.into_iter().collect();
        let mut found = false;
        for (at, word) in words.iter().enumerate() {
            if !is_metric(word) {
                continue;
            }
            found = true;
            let labels =
                self.0.get(*word).unwrap_or_else(|| panic!("{place}: no server says {word}: {expression}"));
            all_labels.extend(labels.iter().map(String::as_str));
            if words.get(at + 1) == Some(&"{") {
                let inside = words[at + 2..].iter().take_while(|word| **word != "}");
                for (label, _) in
                    inside.clone().zip(inside.skip(1)).filter(|(_, next)| next.starts_with(['=', '!']))
                {
                    let known = labels.contains(*label) || ADDED.contains(label);
                    assert!(known, "{place}: {word} has no label {label}: {expression}");
                }
            }
        }
        assert!(found, "{place}: no number in {expression}");
        for (at, word) in words.iter().enumerate().filter(|(_, word)| LABELS_FOLLOW.contains(word)) {
            let inside = words[at + 1..].iter().skip(1).take_while(|word| **word != ")");
            for label in inside.filter(|label| **label != ",") {
                assert!(
                    all_labels.contains(label),
                    "{place}: `{word}` {label}, which no number has: {expression}"
                );
            }
        }
    }
}

/// Whether the word is the name of a number.
fn is_metric(word: &str) -> bool {
    word == "up" || ["callboard_", "gateway_", "processor_"].iter().any(|start| word.starts_with(start))
}

/// Names, texts in their quotes, and signs, one after the other.
fn words(expression: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':' | '.');
        let length = match first {
            '"' | '\'' => rest[1..].find(first).expect("a closing quote") + 2,
            _ if is_name(first) => rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()),
            '=' | '!' | '<' | '>' => rest.find(|letter| !"=!~<>".contains(letter)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}

#[test]
fn names_that_no_server_says_are_found() {
    let known = Known::read(
        "callboard_queue_jobs{queue=\"a\",state=\"available\"} 1\nprocessor_jobs_failed_total 0\n",
    );
    assert!(known.has("processor_jobs_failed_total") && !known.has("callboard_queue"));
    let passes = |expression: &str| std::panic::catch_unwind(|| known.check("this test", expression)).is_ok();
    for right in [
        "sum by (queue) (callboard_queue_jobs{queue=~\"$queue\", state!=\"x\"}) > 0 and on (queue) up{job=\"callboard\"} == 1",
        "rate(processor_jobs_failed_total[5m]) / 2",
    ] {
        assert!(passes(right), "{right}");
    }
    for wrong in [
        "callboard_queues_jobs",
        "callboard_queue_jobs{type=\"x\"}",
        "sum by (type) (callboard_queue_jobs)",
        "processor_jobs_failed",
        "1 > 0",
    ] {
        assert!(!passes(wrong), "{wrong}");
    }
}
