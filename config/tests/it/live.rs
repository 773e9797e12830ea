//! Settings that are read again while the program runs.

use std::time::Duration;

use callboard_config::{
    ByteSize, Change, Configuration, DatabaseUrl, Loader, Settings, StoreBackend, is_live,
};
use proptest::prelude::*;

use crate::folder::{Folder, variables};

fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

fn keys(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.key.as_str()).collect()
}

/// The configuration of a file, and the file.
fn of_file(text: &str) -> (Folder, Configuration) {
    let folder = Folder::new();
    let path = folder.write("callboard.toml", text);
    let configuration = Configuration::load(Loader::new().file(path)).expect("a good file");
    (folder, configuration)
}

#[test]
fn what_is_live_is_applied_and_the_rest_waits_for_a_restart() {
    let (folder, mut configuration) = of_file("[queues.mail]\nconcurrency = 5\n");
    folder.write(
        "callboard.toml",
        "[web]\nworkers = 9\n[queues.mail]\nconcurrency = 2\n[retention]\nbatch = 7\n",
    );
    let plan = configuration.reread().unwrap();
    let place = folder.path("callboard.toml");
    let place = place.display();
    assert_eq!(
        lines(plan.applied()),
        [
            format!("queues.mail.concurrency: 5 -> 2 ({place}:4)"),
            format!("retention.batch: 1000 -> 7 ({place}:6)")
        ]
    );
    assert_eq!(lines(plan.waiting()), [format!("web.workers: 2 -> 9 ({place}:2)")]);
    // Nothing is another before it is carried out.
    assert_eq!(configuration.running().settings.queues["mail"].concurrency, 5);
    configuration.commit(plan);
    let settings = &configuration.running().settings;
    assert_eq!(
        (settings.queues["mail"].concurrency, settings.retention.batch, settings.web.workers),
        (2, 7, 2)
    );
    assert_eq!(keys(&configuration.waiting()), ["web.workers"]);
    // As it was: nothing waits any more.
    folder.write("callboard.toml", "[queues.mail]\nconcurrency = 2\n[retention]\nbatch = 7\n");
    let plan = configuration.reread().unwrap();
    assert!(plan.applied().is_empty() && plan.waiting().is_empty());
}

#[test]
fn the_values_of_queues_follow_their_defaults() {
    let (folder, configuration) = of_file("[queues.mail]\n[queues.own]\nconcurrency = 3\n");
    folder.write(
        "callboard.toml",
        "[queue_defaults]\nconcurrency = 9\n[queues.mail]\n[queues.own]\nconcurrency = 3\n",
    );
    let plan = configuration.reread().unwrap();
    let followed = ["queue_defaults.concurrency", "queues.default.concurrency", "queues.mail.concurrency"];
    assert_eq!(keys(plan.applied()), followed);
    assert_eq!(plan.settings().queues["own"].concurrency, 3);
    let plan = configuration.set([("queue_defaults.concurrency", Some("9"))], "me").unwrap();
    assert_eq!(keys(plan.applied()), followed);
}

#[test]
fn on_an_error_there_is_no_plan_and_it_says_where_it_is() {
    let (folder, configuration) = of_file("[retention]\nbatch = 10\n");
    folder.write("callboard.toml", "[retention]\nbatch = 0\ncompleted = 7\n[jobs]\nmax_backlogs = 1\n");
    let error = configuration.reread().err().expect("it is wrong").to_string();
    for part in [
        "retention.batch",
        "callboard.toml:2:9",
        "for seconds write \"7s\"",
        "did you mean `jobs.max_backlog`?",
    ] {
        assert!(error.contains(part), "{part} is not in:\n{error}");
    }
    assert_eq!(configuration.running().settings.retention.batch, 10);
    folder.write("callboard.toml", "[retention]\nbatch = 11\n");
    assert_eq!(keys(configuration.reread().unwrap().applied()), ["retention.batch"]);
}

#[test]
fn what_fits_only_to_what_waits_for_a_restart_is_held_back() {
    let (folder, mut configuration) = of_file("");
    folder.write(
        "callboard.toml",
        "[web]\nmax_body = \"9MiB\"\n[jobs]\nmax_payload = \"5MiB\"\nmax_backlog = 3\n",
    );
    let plan = configuration.reread().unwrap();
    assert!(plan.applied().is_empty());
    assert_eq!(keys(plan.waiting()), ["jobs.max_backlog", "jobs.max_payload", "web.max_body"]);
    let reason = plan.held_back().unwrap().to_string();
    assert!(
        reason.contains("`jobs.max_payload` (\"5MiB\") must not be larger than `web.max_body` (\"1MiB\")"),
        "{reason}"
    );
    assert_eq!(plan.settings().jobs.max_backlog, Settings::default().jobs.max_backlog);
    configuration.commit(plan);
    // A request that has no part in it is carried out only when the rest fits; it is told so.
    assert!(configuration.set([("retention.batch", Some("5"))], "me").is_err());
}

#[test]
fn what_is_set_while_it_runs_stands_above_all_else_until_it_is_taken_back() {
    let folder = Folder::new();
    let path = folder.write("callboard.toml", "[jobs]\nmax_backlog = 5\n");
    let loader = Loader::new().file(path).environment(variables([("CALLBOARD__RETENTION__BATCH", "8")]));
    let mut configuration = Configuration::load(loader).unwrap();
    let plan =
        configuration.set([("jobs.max_backlog", Some("6")), ("retention.batch", Some("9"))], "ann").unwrap();
    assert_eq!(
        lines(plan.applied()),
        [
            "jobs.max_backlog: 5 -> 6 (set while it runs, by ann)",
            "retention.batch: 8 -> 9 (set while it runs, by ann)"
        ]
    );
    configuration.commit(plan);
    folder.write("callboard.toml", "[jobs]\nmax_backlog = 7\n");
    assert!(configuration.reread().unwrap().applied().is_empty());
    let plan = configuration.set([("jobs.max_backlog", None::<&str>)], "ann").unwrap();
    let place = folder.path("callboard.toml");
    assert_eq!(lines(plan.applied()), [format!("jobs.max_backlog: 6 -> 7 ({}:2)", place.display())]);
    configuration.commit(plan);
    let plan = configuration.set([("retention.batch", None::<&str>)], "ann").unwrap();
    assert_eq!(
        lines(plan.applied()),
        ["retention.batch: 9 -> 8 (environment variable CALLBOARD__RETENTION__BATCH)"]
    );
}

#[test]
fn what_cannot_be_set_while_it_runs_is_refused_with_the_reason() {
    let mut configuration = Configuration::load(Loader::new()).unwrap();
    configuration.fix("log.level");
    let refused = |key: &str, value: &str, part: &str| {
        let changes = [("retention.batch", Some("5")), (key, Some(value))];
        let error = configuration.set(changes, "ann").err().expect(key).to_string();
        assert!(error.contains(part), "{part} is not in:\n{error}");
    };
    refused("web.workers", "3", "`web.workers` needs a restart");
    refused(
        "queues.default.served_by",
        "bus",
        "of a queue, its numbers (concurrency, max_backlog, max_payload",
    );
    refused("retention.comleted", "3d", "did you mean `retention.completed`?");
    refused("queues.mail.concurrency", "3", "there are: default; a new queue needs a table");
    refused("queues.default.concurrency", "0", "set while it runs, by ann");
    refused("queues.default.concurrency", "many", "expected a whole number");
    refused("jobs.max_payload", "2MiB", "must not be larger than `web.max_body`");
    refused("log.level", "debug", "`log.level` needs a restart");
    refused("store.url", "postgres://me:hush@there/db", "needs a restart");
    let error = configuration.set([("store.url", Some("postgres://me:hush@there/db"))], "ann").err().unwrap();
    assert!(!error.to_string().contains("hush"), "{error}");
    assert!(Configuration::check_keys(["retention.batch", "queues.any.concurrency"]).is_ok());
    assert!(Configuration::check_keys(["web.token"]).is_err());
}

#[test]
fn a_secret_that_changes_waits_for_a_restart_and_is_not_shown() {
    let (folder, configuration) = of_file("[web]\ntoken = \"first-secret\"\n");
    folder.write("callboard.toml", "[web]\ntoken = \"second-secret\"\n");
    let plan = configuration.reread().unwrap();
    assert_eq!(keys(plan.waiting()), ["web.token"]);
    let shown = format!("{} {:?}", plan.waiting()[0], plan.waiting());
    assert!(!shown.contains("-secret"), "{shown}");
    assert!(!format!("{:?}", configuration.running()).contains("-secret"));
    folder.write("callboard.toml", "\n\n[web]\ntoken = 'first-secret'\n");
    assert!(configuration.reread().unwrap().waiting().is_empty());
}

#[test]
fn queues_that_come_and_go_need_a_restart() {
    let (folder, mut configuration) = of_file("[queues.mail]\nconcurrency = 5\n");
    folder.write("callboard.toml", "[queues.gpu]\nconcurrency = 2\n[queue_defaults]\nmax_backlog = 9\n");
    let plan = configuration.reread().unwrap();
    assert_eq!(keys(plan.waiting()), ["queues.gpu", "queues.mail"]);
    assert!(plan.waiting()[0].new.as_ref().unwrap().contains("concurrency = 2"));
    assert!(plan.waiting()[0].old.is_none() && plan.waiting()[1].new.is_none());
    assert_eq!(plan.settings().queues.keys().collect::<Vec<_>>(), ["default", "mail"]);
    configuration.commit(plan);
    assert_eq!(keys(&configuration.waiting()), ["queues.gpu", "queues.mail"]);
    assert_eq!(configuration.running().settings.queues["default"].max_backlog, 9);
}

#[test]
fn a_file_that_is_gone_is_an_error_and_one_that_comes_is_read() {
    let folder = Folder::new();
    let path = folder.path("callboard.toml");
    let mut configuration = Configuration::load(Loader::new().default_files([&path])).unwrap();
    assert_eq!(configuration.files(), std::slice::from_ref(&path));
    folder.write("callboard.toml", "[retention]\nbatch = 3\n");
    let plan = configuration.reread().unwrap();
    assert_eq!(keys(plan.applied()), ["retention.batch"]);
    configuration.commit(plan);
    std::fs::remove_file(&path).unwrap();
    let error = configuration.reread().err().unwrap().to_string();
    assert!(error.contains("cannot read the configuration file"), "{error}");
    assert_eq!(configuration.running().settings.retention.batch, 3);
}

#[test]
fn settings_made_in_code_are_a_base_as_files_are() {
    let mut settings = Settings::default();
    settings.web.max_body = ByteSize::from_bytes(0);
    let mut mail = settings.queue_defaults.clone();
    mail.concurrency = 4;
    settings.queues.insert("mail".to_owned(), mail);
    settings.store.backend = StoreBackend::Postgres;
    settings.store.url = Some(DatabaseUrl::new("postgres://me:hush@there/db").unwrap());
    // What is wrong in code is not looked for at the start, and no change of it is made.
    let wrong = Configuration::of(settings.clone());
    assert_eq!(wrong.running().settings.web.max_body.bytes(), 0);
    assert!(wrong.set([("retention.batch", Some("5"))], "me").is_err());
    settings.web.max_body = ByteSize::from_bytes(1 << 21);
    let mut configuration = Configuration::of(settings);
    let source = |configuration: &Configuration, key: &str| {
        configuration.running().sources().find(|value| value.key == key).expect(key).source.to_string()
    };
    assert_eq!(source(&configuration, "queues.mail.concurrency"), "set by the program");
    assert_eq!(source(&configuration, "queues.mail.max_backlog"), "default");
    let plan = configuration.set([("queue_defaults.concurrency", Some("6"))], "me").unwrap();
    assert_eq!(keys(plan.applied()), ["queue_defaults.concurrency", "queues.default.concurrency"]);
    assert!(plan.waiting().is_empty(), "{:?}", plan.waiting());
    configuration.commit(plan);
    assert_eq!(
        configuration.running().settings.store.url.as_ref().unwrap().expose(),
        "postgres://me:hush@there/db"
    );
    assert!(!format!("{:?}", configuration.running()).contains("hush"));
}

#[test]
fn a_flag_may_name_a_queue() {
    let loader = Loader::new().queue("mail", "--queues").set("queue_defaults.concurrency", "7", "--set");
    assert_eq!(loader.load().unwrap().settings.queues["mail"].concurrency, 7);
    let error = Loader::new().queue("a b", "--queues").load().unwrap_err().to_string();
    assert!(error.contains("no name for a queue"), "{error}");
}

/// Files of a few keys, live and not.
fn any_file() -> impl Strategy<Value = String> {
    let number = 1_u32..4;
    (number.clone(), number.clone(), number.clone(), number, any::<bool>(), any::<bool>()).prop_map(
        |(batch, workers, defaults, mail, has_mail, own)| {
            let mut text = format!(
                "[retention]\nbatch = {batch}\n[web]\nworkers = {workers}\n[queue_defaults]\nconcurrency = {defaults}\n"
            );
            if has_mail {
                text.push_str("[queues.mail]\n");
            }
            if has_mail && own {
                text.push_str(&format!("concurrency = {mail}\n"));
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_follows_what_is_live_is_as_in_the_file_and_the_rest_as_before(
        files in proptest::collection::vec(any_file(), 2..5),
    ) {
        let (folder, mut configuration) = of_file(&files[0]);
        let workers = configuration.running().settings.web.workers;
        let queues: Vec<String> = configuration.running().settings.queues.keys().cloned().collect();
        for file in &files[1..] {
            let path = folder.write("callboard.toml", file);
            let plan = configuration.reread().unwrap();
            prop_assert!(plan.applied().iter().all(|change| is_live(&change.key) && change.old != change.new));
            prop_assert!(plan.waiting().iter().all(|change| !is_live(&change.key)));
            configuration.commit(plan);
            let wanted = Loader::new().file(path).load().unwrap().settings;
            let settings = &configuration.running().settings;
            prop_assert_eq!(settings.retention.batch, wanted.retention.batch);
            prop_assert_eq!(settings.web.workers, workers);
            prop_assert!(settings.queues.keys().eq(queues.iter()));
            for (name, queue) in settings.queues.iter().filter(|(name, _)| wanted.queues.contains_key(*name)) {
                prop_assert_eq!(queue.concurrency, wanted.queues[name].concurrency);
            }
            prop_assert!(configuration.reread().unwrap().applied().is_empty());
        }
    }
}

#[test]
fn times_and_sizes_are_those_of_the_new_value() {
    let configuration = Configuration::load(Loader::new()).unwrap();
    let plan = configuration
        .set([("retention.completed", Some("36h")), ("queues.default.max_payload", Some("1KiB"))], "me")
        .unwrap();
    assert_eq!(plan.settings().retention.completed, Duration::from_secs(36 * 3600));
    assert_eq!(plan.settings().queues["default"].max_payload, Some(ByteSize::from_bytes(1024)));
}
