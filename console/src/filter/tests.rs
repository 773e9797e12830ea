use std::collections::BTreeMap;

use callboard_contracts::JobState;
use proptest::prelude::*;

use super::*;

const FIELDS: [&str; 6] = ["queue", "state", "attempt", "age", "tag", "args."];

struct Row {
    fields: BTreeMap<&'static str, &'static str>,
    tags: Vec<String>,
    attempt: f64,
}

impl Fields for Row {
    fn field(&self, name: &str, _: Timestamp) -> Field<'_> {
        match name {
            "tag" => Field::Texts(&self.tags),
            "attempt" => Field::Number(self.attempt),
            "age" => Field::Number(90.0),
            "args.user.id" => Field::Unknown,
            name => self.fields.get(name).map_or(Field::Missing, |text| Field::Text((*text).into())),
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        self.fields.values().any(|text| fits(text)) || self.tags.iter().any(|tag| fits(tag))
    }
}

fn row() -> Row {
    let fields = BTreeMap::from([("queue", "mail"), ("state", "retryable")]);
    Row { fields, tags: vec!["vip".to_owned(), "cron:nightly".to_owned()], attempt: 4.0 }
}

fn fits(text: &str) -> Fit {
    Filter::new(text, &FIELDS)
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .node
        .fits(&row(), Timestamp::MIN)
}

#[test]
fn terms_mean_what_the_page_says() {
    for yes in [
        "",
        "  ",
        "MAI",
        "!other",
        "/^ma.l$/",
        "-f mil",
        "queue:mail",
        "queue:other,mail",
        "tag:vip",
        "tag:/^cron:/",
        "\"cron:nightly\"",
        "attempt>3",
        "attempt>3 and age<1h",
        "attempt>=4 attempt<=4 attempt=4",
        "age>1m age<2m age>1500ms",
        "other or mail",
        "(other or vip) !queue:other",
        "\"mail\"",
        "state!=completed",
        "state=retryable",
        "!(other and mail)",
    ] {
        assert_eq!(fits(yes), Fit::Yes, "{yes:?}");
    }
    for no in ["other", "!mail", "/^ail/", "-f lim", "queue:mai", "attempt<4", "other and mail", "age>1d"] {
        assert_eq!(fits(no), Fit::No, "{no:?}");
    }
    assert_eq!(fits("args.user.id:7"), Fit::Unknown);
    assert_eq!(fits("args.user.id:7 queue:other"), Fit::No, "what is sure needs no payload");
    assert_eq!(fits("args.user.id:7 or queue:mail"), Fit::Yes);
    assert_eq!(fits("!args.user.id:7"), Fit::Unknown);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let wrong = |text: &str| Filter::new(text, &FIELDS).unwrap_err();
    for (text, at, says) in [
        ("(a", 0, "not closed"),
        ("a)", 1, "closes nothing"),
        ("a and", 5, "missing"),
        ("foo:bar", 0, "there are queue, state, attempt, age, tag, args.NAME"),
        ("x attempt>many", 10, "no amount"),
        ("/(/", 0, "unclosed group"),
        ("/abc", 0, "not closed"),
        ("\"abc", 0, "not closed"),
    ] {
        let error = wrong(text);
        assert!(error.at == at && error.message.contains(says), "{text:?}: {error}");
    }
    assert!(Filter::new("or", &FIELDS).is_ok(), "a word like any other where nothing stands before it");
    assert!(wrong(&"x".repeat(501)).message.contains("500"));
    assert!(wrong(&"!".repeat(100)).message.contains("deep"));
}

#[test]
fn the_server_is_asked_for_what_holds_for_every_job() {
    let pushed = |text: &str| {
        pushed_down(&Filter::new(text, &["queue", "state", "type", "tag", "cause"]).unwrap().node)
    };
    let query = pushed("queue:mail state:Retryable,available tag:vip slow");
    assert_eq!(query.queue.as_deref(), Some("mail"));
    assert_eq!(query.states, [JobState::Retryable, JobState::Available]);
    assert_eq!((query.tag.as_deref(), query.job_type), (Some("vip"), None));
    for text in ["!queue:mail", "queue:mail or x", "queue:a,b", "queue:/mail/", "state:nowhere"] {
        assert_eq!(pushed(text), callboard_client::JobQuery::default(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_typed_is_a_filter_or_an_error(text in "[a-z:!()<>=/\\\\\"\\- .0-9,é]{0,40}") {
        if let Ok(filter) = Filter::new(&text, &FIELDS) {
            let _ = filter.node.fits(&row(), Timestamp::MIN);
        }
    }
}
