//! The texts of errors, as people read them.

use callboard_config::Loader;
use insta::assert_snapshot;

use crate::folder::{Folder, errors, variables};

#[test]
fn everything_wrong_is_reported_at_once() {
    let folder = Folder::new();
    let path = folder.write(
        "callboard.toml",
        "[web]\nlisen = \"127.0.0.1:0\"\nworkers = \"two\"\n\n[retry]\nmin = 5\nmax = \"1s\"\njitter = 3\n",
    );
    let loader = Loader::new()
        .file(path)
        .environment(variables([
            ("CALLBOARD__STORE__REEDERS", "2"),
            ("CALLBOARD__STORE__DURABILITY", "ful"),
            ("PATH", "/bin"),
        ]))
        .set("web.max_batch", "many", "--max-batch")
        .set("web.request_time", "5s", "--set web.request_time=5s");
    assert_snapshot!(folder.errors(loader));
}

#[test]
fn unknown_keys_and_sections() {
    assert_snapshot!(errors(
        "listen = 1\n[wep]\nlisten = 1\n[data]\ncolour = 1\nlevel = \"info\"\n[queues.mail]\nconcurency = 1\n\
         [queues.a.b]\nconcurrency = 1\n[queues.\"a b\"]\n[store.readers]\nx = 1\n"
    ));
}

#[test]
fn sections_of_another_shape() {
    assert_snapshot!(errors("web = 5\nqueues = []\n[[log]]\nlevel = \"info\"\n"));
}

#[test]
fn values_of_another_type() {
    assert_snapshot!(errors(
        "[data]\ndir = \"\"\n[log]\nformat = \"jsn\"\nlevel = true\n[web]\nlisten = \"localhost:80\"\nhosts = \"a\"\n\
         max_body = \"1mb\"\nmax_json_depth = -1\nmax_batch = 1.5\nmax_connections = 99999999999999999999999999999999999999999999\n\
         [store]\nbusy_timeout = \"5 parsecs\"\nwrite_timeout = 10\nmin_free_space = \"64\"\n\
         [command]\nprograms = [\"ls\", 5, { a = 1 }]\n[retry]\nfactor = nan\nmax = 1979-05-27\n"
    ));
}

#[test]
fn values_out_of_bounds() {
    assert_snapshot!(errors(
        "[log]\nlevel = \"inof,web=dbug\"\n[web]\nhosts = [\"http://a\", \"a.example\", \"[::1]\"]\nworkers = 0\nmax_body = 0\n\
         [store]\nreaders = 65\n[retry]\nmax_attempts = 0\nfactor = 0.5\n[queue_defaults]\nconcurrency = 0\n\
         [queues.mail]\nmax_backlog = 0\nmax_payload = 1\n[jobs]\ntimeout = \"0s\"\nmax_backlog = 0\n\
         types = [{ name = \"a b\", max_payload = 1 }, { name = \"x\" }, { name = \"x\", needs = [\"smtp\", \"a,b\"] }]\n\
         [command]\nprograms = [\"sha256sum\", \"bin/ls\"]\nenv = [\"A=B\"]\n[system]\nnode_name = \"a b\"\n"
    ));
}

#[test]
fn values_that_contradict_each_other() {
    let folder = Folder::new();
    let path = folder.write(
        "callboard.toml",
        "[retry]\nmin = \"20m\"\n[store]\nqueue_max = 10\n[rescuer]\nheartbeat = \"6s\"\n[web]\nlisten = \"0.0.0.0:80\"\n\
         [command]\nmax_output = \"8MiB\"\n",
    );
    let loader = Loader::new().file(path).environment(variables([("CALLBOARD__JOBS__MAX_PAYLOAD", "2MiB")]));
    assert_snapshot!(folder.errors(loader));
}

#[test]
fn stores_that_contradict_themselves() {
    let text = [
        "[store]\nbackend = \"postgres\"\nschema = \"Jobs\"\nstatement_timeout = \"20s\"\nbusy_timeout = \"30s\"\n",
        "[store]\nurl = \"postgres://me:secret@db/jobs\"\nwriters = 0\nschema = \"pg_jobs\"\n",
        "[store]\nbackend = \"postgresql\"\nurl = \"db:5432\"\nconnect_timeout = \"0s\"\n",
    ];
    assert_snapshot!(text.map(errors).join("\n---\n"));
}

#[test]
fn old_ports_that_contradict_the_others() {
    let text = [
        "[observatory]\nports = true\ngateway_listen = \"0.0.0.0:3000\"\nmetrics_listen = \"127.0.0.1:3000\"\n",
        "[observatory]\nports = true\nallow_unauthenticated = true\n[web]\ntoken = \"t\"\n",
        "[observatory]\nports = 1\nallow_unauthenticated = \"yes\"\n\
         [proxy]\nalertmanager_url = \"https://me:secret@a\"\ntimeout = \"0s\"\nmax_answer = 1\n",
    ];
    assert_snapshot!(text.map(errors).join("\n---\n"));
}

#[test]
fn buses_that_contradict_themselves() {
    let text = [
        "[bus]\npublish = [\"jobs.created\"]\nconsume = [\"callboard.outcomes\"]\nbackoff_min = \"1m\"\n",
        "[bus]\nurl = \"amqp://me:secret@mq/jobs\"\nca_file = \"ca.pem\"\nexchange = \"amq.topic\"\nwindow = 0\n\
         publish = [\"jobs.created\"]\nconsume = [\"jobs.created\"]\naddresses = [\"mq2\", \"[::1]:5673\", \"mq3:0\"]\n",
        "[bus]\nurl = \"mq:5672\"\ndeclare = \"declared\"\nevents = \"yes\"\nheartbeat = \"1ms\"\npublish = [\"jobs.done\"]\n",
    ];
    assert_snapshot!(text.map(errors).join("\n---\n"));
}

#[test]
fn old_ports_that_nobody_opens_are_not_judged() {
    let loader = Loader::new().set("observatory.gateway_listen", "0.0.0.0:8080", "--set").set(
        "observatory.metrics_listen",
        "0.0.0.0:8080",
        "--set",
    );
    assert!(!loader.load().unwrap().settings.observatory.ports);
}

#[test]
fn the_read_model_has_a_port_where_the_server_is_not() {
    let listen = |own: &str| {
        let loader = Loader::new().set("web.listen", own, "--listen").set("web.token", "t", "--set");
        loader.load().unwrap().settings.read_model_listen().map(|address| address.to_string())
    };
    for own in ["127.0.0.1:8080", "0.0.0.0:8080"] {
        assert_eq!(listen(own), None, "{own}");
    }
    for own in ["127.0.0.1:80", "192.0.2.1:8080"] {
        assert_eq!(listen(own).as_deref(), Some("127.0.0.1:8080"), "{own}");
    }
}

#[test]
fn variables_that_are_wrong() {
    let loader = Loader::new().environment(variables([
        ("CALLBOARD__", "1"),
        ("CALLBOARD__WEB", "{ workers = 1 }"),
        ("CALLBOARD__WEB__LISTEN__PORT", "1"),
        ("CALLBOARD__web__workers", "1"),
        ("CALLBOARD__QUEUES__A B__CONCURRENCY", "1"),
        ("CALLBOARD__QUEUES__MAIL", "1"),
        ("CALLBOARD__QUEUES__MAIL__BACKLOG", "1"),
        ("CALLBOARD__COMMAND__PROGRAMS", "[\"ls\""),
        ("CALLBOARD__JOBS__TIMEOUT", "15"),
        ("CALLBOARD__WEB__TOKENS", "secret-1"),
    ]));
    assert_snapshot!(Folder::new().errors(loader));
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_utf_8() {
    use std::os::unix::ffi::OsStringExt;
    let odd = |bytes: &[u8]| std::ffi::OsString::from_vec(bytes.to_vec());
    let loader = Loader::new().environment([
        (odd(b"CALLBOARD__DATA__DIR"), odd(b"a\xff")),
        (odd(b"CALLBOARD__DATA__D\xff"), odd(b"a")),
        (odd(b"OTHER\xff"), odd(b"\xff")),
    ]);
    assert_snapshot!(Folder::new().errors(loader));
}

#[test]
fn text_that_is_no_toml() {
    assert_snapshot!(errors("[web\nlisten = \n= 5\n[web]\nworkers = 1\nworkers = 2\n"));
}

#[test]
fn a_file_that_is_no_toml_does_not_hide_other_problems() {
    let folder = Folder::new();
    let path = folder.write("callboard.toml", "[web\n");
    let loader =
        Loader::new().file(path).file(folder.path("missing.toml")).set("web.workers", "x", "--workers");
    assert_snapshot!(folder.errors(loader));
}

#[test]
fn lines_that_are_long_or_hostile() {
    let long =
        format!("[data]\nnone = \"{}\"\ndir = [\"{}\", \t\"\u{1f600}\"]\n", "x".repeat(500), "y".repeat(500));
    let mut text = errors(long);
    text.push_str("\n\n");
    text.push_str(&errors("[data]\n\"\\u001B[31mred\\u0007\" = 1\n'''\u{1b}"));
    assert!(!text.contains('\u{1b}'), "{text}");
    assert_snapshot!(text);
}

#[test]
fn no_error_shows_a_secret() {
    let secret = "SECRET-8f14e45f";
    let texts = [
        format!("[web]\ntokn = \"{secret}\"\n"),
        format!("[web]\ntoken = \"{secret}\n"),
        format!("[web]\ntoken = \"{secret} with spaces\"\n"),
        format!("[web]\ntoken = [\"{secret}\"]\n"),
        format!("[web]\ntoken = \"\"\"\n{secret}\\q==\n\"\"\"\n"),
        format!("[web]\ntokens = \"{secret}\"\n"),
        format!("[web]\ntokens = [{{ token = \"{secret}\", nme = \"a\" }}]\n"),
        format!("[web]\ntokens = [{{ token = \"{secret}\", name = \"a\", role = \"amin\" }}]\n"),
        format!("[[web.tokens]]\ntken = \"{secret}\"\n"),
        format!("[[web.tokens]]\nname = \"a\"\nrole = \"admin\"\ntoken = '{secret}' 5\n"),
        format!(
            "[web]\ntoken = \"{secret}\"\n[[web.tokens]]\nname = \"a\"\nrole = \"admin\"\ntoken = \"{secret}\"\n"
        ),
        format!("web = {{ token = \"{secret}\", lisen = 1 }}\n"),
        format!("token = \"{secret}\"\n"),
        format!("[[web.tokens]]\nname = \"a\"\ntken = \"{secret}\n"),
        format!("[store]\nurl = \"postgres://me:{secret}@db/jobs\"\n"),
        format!("[telemetry]\nendpoint = \"http://me:{secret}@collector\"\n"),
        format!("[telemetry]\nendpoint = \"http://collector?key={secret}\"\n"),
        format!("[http]\nsecrets = [{{ name = \"\", value = \"{secret}\", origins = [] }}]\n"),
        format!("[telemetry]\nheaders = [{{ name = \"host\", value = \"{secret}\" }}]\n"),
        format!("[telemetry]\nheaders = [{{ name = \"authorization\", vale = \"{secret}\" }}]\n"),
        format!("[[telemetry.headers]]\nname = \"authorization\"\nvalue = \"{secret}\\u00e4\"\n"),
        format!("[store]\nurl = \"postgres://me:{secret}@db/jobs\n"),
        format!("[store]\nurl = \"mysql://me:{secret}@db/jobs\"\n"),
        format!("[store]\nurl = [\"postgres://me:{secret}@db/jobs\"]\n"),
        format!("[store]\nurll = \"postgres://me:{secret}@db/jobs\"\n"),
        format!("[store]\nuri = \"postgres://me:{secret}@db/jobs\"\n"),
        format!("[store]\nbackend = \"postgres://me:{secret}@db/jobs\"\n"),
        format!("[web]\ntoken = \"\"\"\n{}\n{secret}\\q\n\"\"\"\n", "line\n".repeat(150)),
        format!("[bus]\nurl = \"amqp://me:{secret}@mq\"\nca_file = \"ca.pem\"\n"),
        format!("[bus]\nurl = \"http://me:{secret}@mq\"\n"),
        format!("[bus]\nurls = \"amqp://me:{secret}@mq\"\n"),
    ];
    for text in texts {
        let shown = errors(&text);
        assert!(!shown.contains(secret), "{text}\n{shown}");
    }
    for variable in
        ["CALLBOARD__WEB__TOKEN", "CALLBOARD__WEB__TOKENS", "CALLBOARD__WEB__TOKN", "CALLBOARD__STORE__URL"]
    {
        let value = format!("{secret} {secret}");
        let shown = Folder::new().errors(Loader::new().environment(variables([(variable, &value)])));
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn problems_say_key_and_place() {
    let error = Loader::new().set("web.workers", "two", "--workers").load().unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert_eq!(problem.key(), Some("web.workers"));
    assert_eq!(problem.source().unwrap().to_string(), "flag --workers");
    assert_eq!(problem.message(), "invalid value for `web.workers`: expected a whole number, found \"two\"");
    assert_eq!(problem.help().count(), 0);
}

#[test]
fn problems_beyond_a_hundred_are_counted() {
    let folder = Folder::new();
    let text: String = (0..250).map(|number| format!("unknown{number} = 1\n")).collect();
    let error = Loader::new().file(folder.write("callboard.toml", text)).load().unwrap_err();
    assert_eq!(error.problems().len(), 100);
    assert_eq!(error.omitted(), 150);
    assert!(error.to_string().ends_with("error: there are 150 more problems"));
}

#[test]
fn a_broken_line_of_a_secret_is_not_shown() {
    for text in [
        "[[http.secrets]]\nname = \"api\"\nvalue = \"hush\n",
        "[telemetry]\nheaders = [{ name = \"authorization\", value = \"hush\n",
        "[[telemetry.headers]]\nvalue = \"hush\n",
        "[counters]\npassword = \"hush\n",
    ] {
        let said = errors(text);
        assert!(said.contains("this is no TOML") && !said.contains("hush"), "{said}");
    }
}
