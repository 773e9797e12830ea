//! Which layer wins, and what is said about it.

use std::path::Path;
use std::time::Duration;

use callboard_config::{ByteSize, Durability, Loaded, Loader, LogFormat, Settings, Source, TokenRole};
use secrecy::ExposeSecret;

use crate::folder::{Folder, variables};

fn shown(loaded: &Loaded, key: &str) -> String {
    let value = loaded.sources().find(|value| value.key == key).expect(key);
    format!("{} ({})", value.value, value.source)
}

#[test]
fn the_defaults_are_those_of_default_toml() {
    let settings = Settings::default();
    assert_eq!(settings.data.dir, Path::new("callboard-data"));
    assert_eq!(settings.log.format, LogFormat::Auto);
    assert_eq!(settings.web.listen, "127.0.0.1:8080".parse().unwrap());
    assert!(settings.web.token.is_none());
    assert_eq!(settings.web.max_body, ByteSize::from_bytes(1 << 20));
    assert_eq!(settings.store.durability, Durability::Full);
    assert_eq!(settings.retention.discarded, Duration::from_secs(90 * 24 * 3600));
    assert_eq!(settings.queues.keys().collect::<Vec<_>>(), ["default"]);
    assert_eq!(settings.queues["default"].concurrency, 50);
    assert_eq!(settings.command_workspace(), Path::new("callboard-data/workspace"));
}

#[test]
fn a_header_for_the_collector_may_have_spaces_and_is_not_shown() {
    let headers = "[{name = \"authorization\", value = \"Bearer hush now\"}]";
    let loaded = Loader::new()
        .environment(variables([("CALLBOARD__TELEMETRY__HEADERS", headers)]))
        .set("telemetry.endpoint", "https://collector:4318", "--set")
        .load()
        .unwrap();
    let telemetry = &loaded.settings.telemetry;
    assert_eq!(telemetry.endpoint.as_ref().map(|url| url.as_str()), Some("https://collector:4318"));
    assert_eq!(telemetry.headers[0].value.expose_secret(), "Bearer hush now");
    let hidden = "[{ name = \"authorization\", value = \"***\" }]";
    assert!(
        shown(&loaded, "telemetry.headers").starts_with(hidden),
        "{}",
        shown(&loaded, "telemetry.headers")
    );
    assert!(!format!("{telemetry:?}").contains("hush"));
}

#[test]
fn a_higher_layer_wins_and_every_value_knows_its_own() {
    let folder = Folder::new();
    let low = folder.write(
        "low.toml",
        "[web]\nworkers = 1\nmax_batch = 10\nmax_json_depth = 10\n[log]\nlevel = \"warn\"\n",
    );
    let high = folder.write("high.toml", "[web]\n\n  max_batch   =  20\nmax_json_depth = 20\n");
    let loaded = Loader::new()
        .default_files([&low, &high])
        .environment(variables([
            ("CALLBOARD__WEB__MAX_JSON_DEPTH", "30"),
            ("CALLBOARD__WEB__REQUEST_TIMEOUT", "90s"),
            ("CALLBOARD_WEB_WORKERS", "7"),
        ]))
        .set("web.request_timeout", "2m", "--request-timeout")
        .load()
        .unwrap();
    assert_eq!(shown(&loaded, "web.workers"), format!("1 ({}:2)", low.display()));
    assert_eq!(shown(&loaded, "web.max_batch"), format!("20 ({}:3)", high.display()));
    assert_eq!(
        shown(&loaded, "web.max_json_depth"),
        "30 (environment variable CALLBOARD__WEB__MAX_JSON_DEPTH)"
    );
    assert_eq!(shown(&loaded, "web.request_timeout"), "\"2m\" (flag --request-timeout)");
    assert_eq!(shown(&loaded, "web.max_body"), "\"1MiB\" (default)");
    assert_eq!(loaded.settings.web.max_json_depth, 30);
    assert_eq!(loaded.settings.web.request_timeout, Duration::from_secs(120));
    let batch = loaded.sources().find(|value| value.key == "web.max_batch").unwrap();
    assert_eq!(batch.source, &Source::File { path: high.as_path().into(), line: 3, column: 18 });
}

#[test]
fn a_named_file_stands_in_for_the_default_files() {
    let folder = Folder::new();
    let named = folder.write("named.toml", "[web]\nworkers = 3\n");
    let default = folder.write("callboard.toml", "[web]\nworkers = 5\nmax_batch = 5\n");
    let loaded = Loader::new().default_files([default]).file(named).load().unwrap();
    assert_eq!(loaded.settings.web.workers, 3);
    assert_eq!(loaded.settings.web.max_batch, 1000);
}

#[test]
fn queues_inherit_what_they_do_not_say() {
    let folder = Folder::new();
    let path = folder.write(
        "callboard.toml",
        "[queue_defaults]\nconcurrency = 7\n[queues.mail]\nmax_backlog = 9\n[queues.\"a.B-c_1\"]\nconcurrency = 1\n[queues.empty]\n",
    );
    let loaded = Loader::new()
        .file(path.clone())
        .environment(variables([("CALLBOARD__QUEUES__BULK__CONCURRENCY", "3")]))
        .set("queues.\"a.B-c_1\".max_backlog", "4", "--set")
        .load()
        .unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.queues.keys().collect::<Vec<_>>(), ["a.B-c_1", "bulk", "default", "empty", "mail"]);
    let pair = |name: &str| (settings.queue(name).concurrency, settings.queue(name).max_backlog);
    assert_eq!(pair("a.B-c_1"), (1, 4));
    assert_eq!(pair("bulk"), (3, 1_000_000));
    assert_eq!(pair("default"), (7, 1_000_000));
    assert_eq!(pair("empty"), (7, 1_000_000));
    assert_eq!(pair("mail"), (7, 9));
    assert_eq!(pair("nobody's"), (7, 1_000_000));
    assert_eq!(shown(&loaded, "queues.mail.concurrency"), format!("7 ({}:2)", path.display()));
    assert_eq!(shown(&loaded, "queues.\"a.B-c_1\".concurrency"), format!("1 ({}:6)", path.display()));
}

#[test]
fn payloads_are_limited_by_queue_and_by_type() {
    let folder = Folder::new();
    let text = "[queue_defaults]\nmax_payload = \"8KiB\"\n[queues.mail]\nmax_payload = \"1KiB\"\n[queues.bulk]\nmax_payload = \"\"\n\
                [[jobs.types]]\nname = \"http\"\nmax_payload = \"2KiB\"\n[[jobs.types]]\nname = \"noop\"\nneeds = [\"smtp\"]\n";
    let settings = Loader::new().file(folder.write("callboard.toml", text)).load().unwrap().settings;
    let of_queue = |name: &str| settings.queue(name).max_payload.map(|most| most.bytes());
    assert_eq!((of_queue("default"), of_queue("mail"), of_queue("bulk")), (Some(8192), Some(1024), None));
    let types: Vec<_> = settings
        .jobs
        .types
        .iter()
        .map(|one| (&*one.name, one.max_payload.map(|most| most.bytes())))
        .collect();
    assert_eq!(types, [("http", Some(2048)), ("noop", None)]);
    assert_eq!(settings.jobs.types[1].needs, ["smtp"]);
}

#[test]
fn text_without_a_type_takes_that_of_its_setting() {
    let loaded = Loader::new()
        .environment(variables([
            ("CALLBOARD__WEB__TOKEN", "12345"),
            ("CALLBOARD__WEB__HOSTS", "a.example, b.example,"),
            ("CALLBOARD__COMMAND__PROGRAMS", "[\"/opt/a,b/run\", 'ls']"),
            ("CALLBOARD__COMMAND__ENV", ""),
            ("CALLBOARD__COMMAND__WORKSPACE", "'/srv/work'"),
            ("CALLBOARD__SYSTEM__NODE_NAME", "true"),
            ("CALLBOARD__WEB__MAX_BATCH", " 1_000 "),
            ("CALLBOARD__WEB__MAX_BODY", "2097152"),
            ("CALLBOARD__RETRY__FACTOR", "3"),
            ("CALLBOARD__LOG__FORMAT", "\"json\""),
            ("CALLBOARD__WEB__TOKENS", "[{ name = 'ci', role = 'viewer', token = 'abc' }]"),
        ]))
        .set("web.listen", "[::1]:0", "--listen")
        .load()
        .unwrap();
    let Settings { web, command, system, retry, log, .. } = &loaded.settings;
    assert_eq!(web.token.as_ref().unwrap().expose_secret(), "12345");
    assert_eq!(web.hosts, ["a.example", "b.example"]);
    assert_eq!(command.programs, ["/opt/a,b/run", "ls"]);
    assert!(command.env.is_empty());
    assert_eq!(command.workspace.as_deref(), Some(Path::new("/srv/work")));
    assert_eq!(system.node_name.as_deref(), Some("true"));
    assert_eq!(web.max_batch, 1000);
    assert_eq!(web.max_body.bytes(), 2 << 20);
    assert_eq!(retry.factor, 3.0);
    assert_eq!(log.format, LogFormat::Json);
    assert_eq!(web.tokens[0].role, TokenRole::Viewer);
    assert_eq!(web.listen, "[::1]:0".parse().unwrap());
}

#[test]
fn a_list_of_a_flag_may_hold_commas() {
    let loaded = Loader::new()
        .set_list("command.programs", ["/opt/a,b", "sha256sum"], "--allow-program")
        .load()
        .unwrap();
    assert_eq!(loaded.settings.command.programs, ["/opt/a,b", "sha256sum"]);
    assert_eq!(shown(&loaded, "command.programs"), "[\"/opt/a,b\", \"sha256sum\"] (flag --allow-program)");
}

#[test]
fn an_address_that_others_reach_is_fine_with_a_token() {
    let loader = || Loader::new().set("web.listen", "0.0.0.0:0", "--listen");
    assert!(loader().load().is_err());
    loader().set("web.token", "abc", "--token").load().unwrap();
    let tokens = "[{ name = \"a\", role = \"admin\", token = \"abc\" }]";
    loader().set("web.tokens", tokens, "--tokens").load().unwrap();
}

#[test]
fn secrets_are_masked_wherever_they_could_show() {
    let folder = Folder::new();
    let path = folder.write(
        "callboard.toml",
        "[web]\ntoken = \"SECRET-1\"\n[[web.tokens]]\nname = \"ci\"\nrole = \"operator\"\ntoken = \"SECRET-2\"\n",
    );
    let loaded = Loader::new().file(path.clone()).load().unwrap();
    assert_eq!(shown(&loaded, "web.token"), format!("\"***\" ({}:2)", path.display()));
    assert!(
        shown(&loaded, "web.tokens")
            .starts_with("[{ name = \"ci\", role = \"operator\", token = \"***\" }] (")
    );
    assert!(!format!("{loaded:?}").contains("SECRET"));
}
