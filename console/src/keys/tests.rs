use std::collections::{BTreeMap, BTreeSet};

use super::*;

const VIEWS: [View; 15] = [
    View::Overview,
    View::Jobs,
    View::Job,
    View::Logs,
    View::Queues,
    View::Dead,
    View::Tree,
    View::Cron,
    View::Workflows,
    View::Workflow,
    View::Nodes,
    View::Edges,
    View::Events,
    View::Settings,
    View::Doctor,
];

#[test]
fn no_key_does_two_things_in_one_view() {
    for view in VIEWS {
        let mut seen = BTreeMap::new();
        for binding in BINDINGS.iter().filter(|binding| binding.views.contains(&view)) {
            for key in binding.keys {
                let before = seen.insert(key.to_string(), binding.name);
                assert_eq!(before, None, "{key} in {view:?}: also {}", binding.name);
            }
        }
    }
    let names: BTreeSet<&str> = BINDINGS.iter().map(|binding| binding.name).collect();
    assert_eq!(names.len(), BINDINGS.len(), "each name is there once");
}

#[test]
fn what_the_contract_fixes_holds_in_every_view() {
    let keys = Keys::default();
    for view in VIEWS {
        for (key, action) in
            [('N', Action::AddJob), ('U', Action::Interfaces), ('R', Action::Refresh), ('Q', Action::Quit)]
        {
            assert_eq!(keys.find(view, Chord::Char(key)).map(|found| found.action), Some(action), "{view:?}");
            let small = keys.find(view, Chord::Char(key.to_ascii_lowercase()));
            assert_ne!(small.map(|found| found.action), Some(action), "the case counts");
        }
    }
}

#[test]
fn the_configuration_changes_keys_and_is_told_what_cannot_be() {
    let with = |name: &str, key: &str| Keys::with(&BTreeMap::from([(name.to_owned(), key.to_owned())]));
    let keys = with("jobs.cancel", "Ctrl-x").unwrap();
    let action = |keys: &Keys, chord| keys.find(View::Jobs, chord).map(|found| found.action);
    assert_eq!(action(&keys, Chord::Ctrl('x')), Some(Action::Cancel));
    assert_eq!(action(&keys, Chord::Char('C')), None);
    for (name, key, says) in [
        ("jobs.nothing", "x", "print-keys"),
        ("quit", "x", "cannot be set"),
        ("jobs.cancel", "Hyper-x", "is no key"),
        ("jobs.cancel", "Q", "quit"),
        ("jobs.compare", "Q", "quit"),
        ("up", "j", "down"),
    ] {
        let error = with(name, key).unwrap_err().to_string();
        assert!(error.contains(says), "{name}={key}: {error}");
    }
}

#[test]
fn keys_are_read_as_they_are_written() {
    for binding in BINDINGS {
        for key in binding.keys {
            assert_eq!(key.to_string().parse(), Ok(*key));
        }
    }
    assert_eq!("space".parse(), Ok(Chord::Char(' ')));
}
