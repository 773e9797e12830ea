//! What must hold of values and between them, beyond their types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::choice::StoreBackend;
use crate::job_type::JobTypeSettings;
use crate::key::{Key, shortened};
use crate::labels::LabelSettings;
use crate::layers::{Layers, is_queue_name};
use crate::problem::{Problem, Problems};
use crate::schema::{QUEUE_DEFAULTS, QUEUES, nearest};
use crate::settings::{
    BusSettings, CommandSettings, HttpSettings, ProxySettings, QueueSettings, Settings, StoreSettings,
    TelemetrySettings, TerminalSettings, WebSettings,
};
use crate::source::Source;
use crate::value::Setting;

/// Edges that one table may name.
const MOST_NEEDS: usize = 8;
/// Keys whose line is not shown, since it may hold a secret.
const SECRET: [&str; 8] = [
    "web.token",
    "web.tokens",
    "store.url",
    "http.secrets",
    "telemetry.headers",
    "bus.url",
    "counters.url",
    "archive.url",
];

/// Checks settings; what could not be read is left out.
pub(crate) fn check(settings: &Settings, layers: &Layers, unread: &BTreeSet<Key>, problems: &mut Problems) {
    let mut rules = Rules { layers, unread, problems };
    log(&mut rules, &settings.log.level);
    web(&mut rules, &settings.web);
    command(&mut rules, &settings.command);
    http(&mut rules, &settings.http);
    numbers(&mut rules, settings);
    results(&mut rules, settings);
    job_types(&mut rules, settings);
    cron(&mut rules, settings);
    encryption(&mut rules, settings);
    inbound(&mut rules, settings);
    store(&mut rules, &settings.store);
    telemetry(&mut rules, &settings.telemetry);
    observatory(&mut rules, settings);
    terminal(&mut rules, &settings.terminal);
    proxy(&mut rules, &settings.proxy);
    outside(&mut rules, settings);
    durations(&mut rules, settings);
    bus(&mut rules, &settings.bus);
    labels(&mut rules, &key("system.labels"), &settings.system.labels);
    worker(&mut rules, settings);
    queue(&mut rules, &Key::from([QUEUE_DEFAULTS]), &settings.queue_defaults);
    for (name, settings) in &settings.queues {
        queue(&mut rules, &Key::from([QUEUES, name]), settings);
    }
    if let Some(name) = &settings.system.node_name {
        let fits =
            name.len() <= 255 && !name.chars().any(|letter| letter.is_control() || letter.is_whitespace());
        rules.require(
            fits,
            "system.node_name",
            "a name has at most 255 bytes and no spaces or control characters",
        );
    }
}

struct Rules<'a> {
    layers: &'a Layers,
    unread: &'a BTreeSet<Key>,
    problems: &'a mut Problems,
}

impl Rules<'_> {
    /// Reports a value that breaks a rule.
    fn require(&mut self, holds: bool, key: &str, rule: &str) {
        if !holds {
            self.report(&[Key::parse(key)], format!("invalid value for `{key}`: {rule}"), None);
        }
    }

    fn range<T: PartialOrd + Display>(&mut self, key: &Key, value: T, least: T, most: T) {
        if value < least || value > most {
            let message = format!("invalid value for `{key}`: expected {least} to {most}, found {value}");
            self.report(std::slice::from_ref(key), message, None);
        }
    }

    fn at_least<T: PartialOrd + Display>(&mut self, key: &Key, value: T, least: T) {
        if value < least {
            let message = format!("invalid value for `{key}`: expected at least {least}, found {value}");
            self.report(std::slice::from_ref(key), message, None);
        }
    }

    fn not_zero(&mut self, key: &str, value: Duration) {
        self.require(!value.is_zero(), key, "it must be longer than zero");
    }

    /// Reports a value that is larger than another which bounds it.
    fn ordered<T: PartialOrd + Setting>(&mut self, (small, less): (&str, &T), (large, more): (&str, &T)) {
        if less > more {
            let message = format!(
                "`{small}` ({}) must not be larger than `{large}` ({})",
                less.render(),
                more.render()
            );
            self.report(&[Key::parse(small), Key::parse(large)], message, None);
        }
    }

    /// Reports a problem at the first of the keys that somebody set, and notes where the others were.
    fn report(&mut self, keys: &[Key], message: String, help: Option<String>) {
        if keys.iter().any(|key| self.unread.contains(key)) {
            return;
        }
        // A queue's value that comes from the defaults of queues was checked there.
        let entries: Vec<_> = keys.iter().filter_map(|key| Some((key, self.layers.get(key)?))).collect();
        let source = |index: usize| {
            let (_, entry): &(&Key, &crate::layers::Entry) = &entries[index];
            entry.origin.source(&entry.node.span)
        };
        let set = (0..entries.len()).find(|index| source(*index) != Source::Default).unwrap_or(0);
        let Some((key, entry)) = entries.get(set) else {
            return;
        };
        let mut problem = Problem::new(message).with_key(key.to_string());
        for (index, (other, _)) in entries.iter().enumerate() {
            if index != set {
                problem = problem.with_help(format!("note: `{other}` is set by: {}", source(index)));
            }
        }
        if let Some(help) = help {
            problem = problem.with_help(format!("help: {help}"));
        }
        let (key, span) = (key.to_string(), &entry.node.span);
        self.problems.push(|| match SECRET.contains(&key.as_str()) {
            true => problem.with_source(entry.origin.source(span)),
            false => entry.origin.locate(problem, span, false),
        });
    }
}

fn key(text: &str) -> Key {
    Key::parse(text)
}

fn numbers(rules: &mut Rules<'_>, settings: &Settings) {
    let Settings { web, store, retention, retry, system, .. } = settings;
    rules.at_least(&key("web.max_body"), web.max_body.bytes(), 1);
    rules.range(&key("web.max_json_depth"), web.max_json_depth, 1, 1_000);
    rules.range(&key("web.max_batch"), web.max_batch, 1, 100_000);
    rules.range(&key("web.workers"), web.workers, 1, 1_024);
    rules.range(&key("web.max_connections"), web.max_connections, 1, 1_000_000);
    rules.range(&key("web.sse_max_clients"), web.sse_max_clients, 0, 1_000_000);
    rules.range(&key("web.rate_limit"), web.rate_limit, 0, 1_000_000);
    interfaces(rules, web);
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
    let fits = (least..=most).contains(&web.rate_limit_window);
    rules.require(fits, "web.rate_limit_window", "it must be from 1s to 1d");
    sessions(rules, web);
    rules.range(&key("store.batch_max"), store.batch_max, 1, 100_000);
    rules.range(&key("store.queue_max"), store.queue_max, 1, 10_000_000);
    rules.ordered(("store.batch_max", &store.batch_max), ("store.queue_max", &store.queue_max));
    rules.range(&key("store.readers"), store.readers, 1, 64);
    rules.at_least(&key("retention.events_max"), retention.events_max, 1);
    rules.range(&key("retention.batch"), retention.batch, 1, 100_000);
    rules.range(&key("retry.max_attempts"), retry.max_attempts, 1, 1_000);
    rules.range(&key("retry.factor"), retry.factor, 1.0, 100.0);
    rules.range(&key("retry.jitter"), retry.jitter, 0.0, 1.0);
    rules.range(&key("system.executors"), system.executors, 0, 1_024);
    rules.at_least(&key("jobs.max_backlog"), settings.jobs.max_backlog, 1);
    let jobs = &settings.jobs;
    rules.range(&key("jobs.log_max_lines"), jobs.log_max_lines, 0, 100_000);
    // Each attempt that runs may hold as much.
    rules.range(&key("jobs.log_max_bytes"), jobs.log_max_bytes.bytes(), 1024, 16 * 1024 * 1024);
    rules.at_least(&key("jobs.log_max_line"), jobs.log_max_line.bytes(), 64);
    rules.ordered(("jobs.log_max_line", &jobs.log_max_line), ("jobs.log_max_bytes", &jobs.log_max_bytes));
    rules.ordered(("jobs.max_payload", &settings.jobs.max_payload), ("web.max_body", &web.max_body));
}

/// What one address may have of the server, and how long a sign-in holds.
fn sessions(rules: &mut Rules<'_>, web: &WebSettings) {
    rules.range(&key("web.sse_max_clients_per_address"), web.sse_max_clients_per_address, 1, 1_000_000);
    rules.range(&key("web.max_connections_per_address"), web.max_connections_per_address, 1, 1_000_000);
    rules.range(&key("web.max_sessions"), web.max_sessions, 1, 10_000);
    rules.range(&key("web.sign_in_limit"), web.sign_in_limit, 1, 10_000);
    let (least, most) = (Duration::from_secs(60), Duration::from_secs(30 * 24 * 3600));
    for (name, value) in
        [("web.session_lifetime", web.session_lifetime), ("web.session_idle", web.session_idle)]
    {
        rules.require((least..=most).contains(&value), name, "it must be from 1m to 30d");
    }
    rules.ordered(("web.session_idle", &web.session_idle), ("web.session_lifetime", &web.session_lifetime));
}

fn store(rules: &mut Rules<'_>, store: &StoreSettings) {
    let keys = [key("store.backend"), key("store.url")];
    match (store.backend, &store.url) {
        (StoreBackend::Postgres, None) => {
            let message =
                "`store.backend` is \"postgres\", but `store.url` does not say which database".to_owned();
            let help = "set CALLBOARD__STORE__URL=postgres://USER:PASSWORD@HOST:5432/DATABASE".to_owned();
            rules.report(&keys, message, Some(help));
        }
        (StoreBackend::Sqlite, Some(url)) => {
            let message = format!(
                "`store.url` is {url}, but `store.backend` is \"sqlite\", which keeps its file in data.dir"
            );
            let help = "set `store.backend` to \"postgres\", or leave `store.url` empty".to_owned();
            rules.report(&keys, message, Some(help));
        }
        _ => {}
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let schema = store.schema.as_bytes();
    rules.require(
        (1..=40).contains(&schema.len())
            && schema.iter().copied().all(fits)
            && !schema[0].is_ascii_digit()
            && !store.schema.starts_with("pg_"),
        "store.schema",
        "expected 1 to 40 of lower-case letters, digits and \"_\", no digit and no \"pg_\" first",
    );
    rules.range(&key("store.writers"), store.writers, 1, 64);
    if store.backend == StoreBackend::Postgres {
        let statement = ("store.statement_timeout", &store.statement_timeout);
        rules.ordered(("store.busy_timeout", &store.busy_timeout), statement);
        rules.ordered(statement, ("store.write_timeout", &store.write_timeout));
    }
}

/// Whatever a program writes must fit into its job's result.
fn results(rules: &mut Rules<'_>, settings: &Settings) {
    /// Two streams, of which JSON writes a byte with up to six.
    const LONGEST: u64 = 2 * 6;
    /// Everything else that the result of a `command` says.
    const FRAME: u64 = 1024;
    let (result, output) = (settings.jobs.max_result, settings.command.max_output);
    if result.bytes() < output.bytes().saturating_mul(LONGEST).saturating_add(FRAME) {
        let message = format!(
            "`jobs.max_result` ({}) is too small for `command.max_output` ({}): the result of a program holds two streams, \
             and JSON may write a byte with six; {LONGEST} times `command.max_output` and {FRAME} bytes are needed",
            result.render(),
            output.render()
        );
        rules.report(&[key("jobs.max_result"), key("command.max_output")], message, None);
    }
    /// One body, and what of the headers is kept.
    const BODY: u64 = 6;
    const HEAD: u64 = 64 * 1024;
    let response = settings.http.max_response;
    if result.bytes() < response.bytes().saturating_mul(BODY).saturating_add(HEAD) {
        let message = format!(
            "`jobs.max_result` ({}) is too small for `http.max_response` ({}): JSON may write a byte with six; {BODY} times \
             `http.max_response` and {HEAD} bytes are needed",
            result.render(),
            response.render()
        );
        rules.report(&[key("jobs.max_result"), key("http.max_response")], message, None);
    }
}

fn http(rules: &mut Rules<'_>, http: &HttpSettings) {
    let mut names = BTreeSet::new();
    for secret in &http.secrets {
        let name = shortened(&secret.name);
        let fits =
            !secret.name.is_empty() && secret.name.len() <= 100 && !secret.name.contains(char::is_control);
        rules.require(fits, "http.secrets", "a secret's name has 1 to 100 bytes and no control characters");
        let first = names.insert(&secret.name);
        rules.require(first, "http.secrets", &format!("two secrets have the name \"{name}\""));
        let bound = !secret.origins.is_empty();
        rules.require(
            bound,
            "http.secrets",
            &format!("\"{name}\" has no `origins`: it could be sent nowhere"),
        );
    }
}

fn outside(rules: &mut Rules<'_>, settings: &Settings) {
    let Settings { counters, archive, .. } = settings;
    rules.not_zero("counters.timeout", counters.timeout);
    rules.not_zero("archive.timeout", archive.timeout);
    rules.not_zero("archive.retention", archive.retention);
    rules.range(&key("counters.batch_max"), counters.batch_max, 1, 5_000);
    rules.range(&key("archive.batch_max"), archive.batch_max, 1, 5_000);
    let prefix = counters.key_prefix.as_deref().unwrap_or_default();
    let fits = prefix.len() <= 200 && prefix.bytes().all(|byte| byte.is_ascii_graphic());
    rules.require(fits, "counters.key_prefix", "expected at most 200 visible ASCII characters");
    // What a name of a database may not hold.
    let name = archive.database.as_str();
    let fits = |letter: char| letter.is_ascii_graphic() && !"/\\. \"$*<>:|?".contains(letter);
    let named = (1..=63).contains(&name.len()) && name.chars().all(fits);
    rules.require(
        named,
        "archive.database",
        "expected 1 to 63 visible ASCII characters, none of /\\.\"$*<>:|?",
    );
}

fn telemetry(rules: &mut Rules<'_>, telemetry: &TelemetrySettings) {
    /// The tree has to stop within 15 s, and the last spans are sent within it.
    const LONGEST: Duration = Duration::from_secs(10);
    for header in &telemetry.headers {
        let name = shortened(&header.name);
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let fits = (1..=100).contains(&header.name.len()) && header.name.bytes().all(token);
        rules.require(fits, "telemetry.headers", &format!("\"{name}\" is no name of a header"));
        let own = ["host", "content-type", "content-length", "connection", "transfer-encoding"];
        let ours = own.iter().any(|own| own.eq_ignore_ascii_case(&header.name));
        rules.require(!ours, "telemetry.headers", &format!("\"{name}\" is set by the program itself"));
    }
    let name = &telemetry.service_name;
    let fits = (1..=255).contains(&name.len()) && !name.contains(char::is_control);
    rules.require(fits, "telemetry.service_name", "a name has 1 to 255 bytes and no control characters");
    rules.range(&key("telemetry.sample_ratio"), telemetry.sample_ratio, 0.0, 1.0);
    rules.range(&key("telemetry.batch_max"), telemetry.batch_max, 1, 10_000);
    rules.range(&key("telemetry.queue_max"), telemetry.queue_max, 1, 1_000_000);
    let batch = ("telemetry.batch_max", &telemetry.batch_max);
    rules.ordered(batch, ("telemetry.queue_max", &telemetry.queue_max));
    rules.not_zero("telemetry.timeout", telemetry.timeout);
    rules.not_zero("telemetry.interval", telemetry.interval);
    rules.require(telemetry.timeout <= LONGEST, "telemetry.timeout", "it must be at most 10s");
}

fn terminal(rules: &mut Rules<'_>, terminal: &TerminalSettings) {
    let mut names = BTreeSet::from(["console"]);
    for command in &terminal.commands {
        let name = &command.name;
        rules.require(
            is_queue_name(name),
            "terminal.commands",
            "a name is 1 to 50 of letters, digits, \"-\", \"_\" and \".\"",
        );
        rules.require(
            names.insert(name),
            "terminal.commands",
            "each command needs a name of its own, and \"console\" is taken",
        );
        rules.require(
            !command.program.is_empty() && !command.program.contains('\0'),
            "terminal.commands",
            "a program is a plain name or an absolute path",
        );
    }
    rules.require(
        names.contains(terminal.command.as_str()),
        "terminal.command",
        "it must be \"console\" or the name of one of terminal.commands",
    );
    for origin in &terminal.origins {
        rules.require(
            is_origin(origin),
            "terminal.origins",
            "an origin is a scheme, a host and perhaps a port, as \"https://ops.example.com\", and nothing behind them",
        );
    }
    rules.range(&key("terminal.max_sessions"), terminal.max_sessions, 1, 1000);
    rules.range(&key("terminal.per_address"), terminal.per_address, 1, 1000);
    rules.ordered(
        ("terminal.per_address", &terminal.per_address),
        ("terminal.max_sessions", &terminal.max_sessions),
    );
    rules.range(&key("terminal.ring_frames"), terminal.ring_frames, 1, 100_000);
    let sizes = [
        ("terminal.ring", terminal.ring, 64, 64 * 1024),
        ("terminal.ring_v2", terminal.ring_v2, 2 * 1024, 64 * 1024),
        ("terminal.window", terminal.window, 32, 2 * 1024),
    ];
    for (name, size, least, most) in sizes {
        let kib = |number: u64| number * 1024;
        let fits = (kib(least)..=kib(most)).contains(&size.bytes());
        rules.require(fits, name, &format!("it must be from {least}KiB to {most}KiB"));
    }
    for (name, time) in [
        ("terminal.idle_timeout", terminal.idle_timeout),
        ("terminal.reconnect_token", terminal.reconnect_token),
        ("terminal.ticket", terminal.ticket),
        ("terminal.ping", terminal.ping),
    ] {
        rules.not_zero(name, time);
    }
    rules.require(terminal.ticket <= Duration::from_secs(30), "terminal.ticket", "it must be at most 30s");
    rules.require(
        terminal.ping < terminal.dead_after,
        "terminal.dead_after",
        "it must be longer than terminal.ping",
    );
    rules.require(
        terminal.kill_grace <= Duration::from_secs(10),
        "terminal.kill_grace",
        "it must be at most 10s",
    );
    rules.require(
        terminal.idle_timeout <= terminal.absolute_timeout,
        "terminal.absolute_timeout",
        "it must be at least terminal.idle_timeout",
    );
}

/// Whether a browser could name it in `Origin`.
fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| {
        let letter = |byte: u8| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'-' | b'.' | b':' | b'[' | b']')
        };
        !host.is_empty() && host.bytes().all(letter)
    })
}

/// The ports of the old system, if they are to be opened.
fn observatory(rules: &mut Rules<'_>, settings: &Settings) {
    let Settings { observatory, web, .. } = settings;
    if !observatory.ports {
        return;
    }
    let asks = web.token.is_some() || !web.tokens.is_empty();
    let mut taken = vec![("web.listen", web.listen)];
    for (name, listen) in [
        ("observatory.gateway_listen", observatory.gateway_listen),
        ("observatory.read_model_listen", observatory.read_model_listen),
        ("observatory.metrics_listen", observatory.metrics_listen),
        ("observatory.terminal_listen", observatory.terminal_listen),
        ("observatory.terminal_socket_listen", observatory.terminal_socket_listen),
        ("observatory.terminal_metrics_listen", observatory.terminal_metrics_listen),
    ] {
        if name == "observatory.read_model_listen" && settings.read_model_listen().is_none() {
            if asks && observatory.allow_unauthenticated {
                let message = format!(
                    "`{name}` is {listen}, where `web.listen` has the routes of the read model, which ask for a token"
                );
                let help = "give it an address of its own: there nobody is asked for one".to_owned();
                let keys = [key(name), key("web.listen"), key("observatory.allow_unauthenticated")];
                rules.report(&keys, message, Some(help));
            }
            continue;
        }
        // A terminal is for those alone who have a token.
        let runs_programs =
            ["observatory.terminal_listen", "observatory.terminal_socket_listen"].contains(&name);
        if !listen.ip().is_loopback() && !asks && runs_programs {
            let message =
                format!("`{name}` is {listen}, which other machines may reach, but no token is set");
            let help = "set `web.token` or `[[web.tokens]]`, or listen on 127.0.0.1".to_owned();
            rules.report(&[key(name), key("web.token"), key("web.tokens")], message, Some(help));
        } else if !listen.ip().is_loopback() && !asks && !observatory.allow_unauthenticated {
            let message =
                format!("`{name}` is {listen}, which other machines may reach, but no token is set");
            let help = "set `web.token` or `[[web.tokens]]`, or listen on 127.0.0.1, or let everybody in who reaches the old \
                        ports: `observatory.allow_unauthenticated = true`"
                .to_owned();
            let keys =
                [key(name), key("observatory.allow_unauthenticated"), key("web.token"), key("web.tokens")];
            rules.report(&keys, message, Some(help));
        }
        // Port 0 is a new one each time.
        if let Some((other, _)) = taken.iter().find(|(_, used)| used.port() != 0 && overlap(*used, listen)) {
            let message = format!("`{name}` is {listen}, which `{other}` takes already");
            rules.report(&[key(name), key(other)], message, None);
        }
        taken.push((name, listen));
    }
}

/// Whether only one of two listeners can have its address.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || any)
}

fn interfaces(rules: &mut Rules<'_>, web: &WebSettings) {
    const MOST: usize = 50;
    rules.require(web.interfaces.len() <= MOST, "web.interfaces", &format!("there may be {MOST} at most"));
    let mut names = BTreeSet::new();
    for interface in &web.interfaces {
        let name = &interface.name;
        let fits = (1..=100).contains(&name.len()) && !name.chars().any(char::is_control);
        rules.require(fits, "web.interfaces", "a name has 1 to 100 bytes and no control characters");
        rules.require(names.insert(name), "web.interfaces", &format!("two have the name \"{name}\""));
        let about = interface.about.as_deref().unwrap_or_default();
        let fits = about.len() <= 200 && !about.chars().any(char::is_control);
        rules.require(
            fits,
            "web.interfaces",
            "what is said about one has 200 bytes at most and no control characters",
        );
    }
}

fn proxy(rules: &mut Rules<'_>, proxy: &ProxySettings) {
    rules.not_zero("proxy.timeout", proxy.timeout);
    rules.at_least(&key("proxy.max_answer"), proxy.max_answer.bytes(), 1024);
}

fn queue(rules: &mut Rules<'_>, section: &Key, settings: &QueueSettings) {
    rules.range(&section.join("concurrency"), settings.concurrency, 1, 100_000);
    rules.at_least(&section.join("max_backlog"), settings.max_backlog, 1);
    labels(rules, &section.join("labels"), &settings.labels);
    if let Some(max_payload) = settings.max_payload {
        rules.at_least(&section.join("max_payload"), max_payload.bytes(), 2);
    }
    supervision(rules, section, settings);
    let mut wrong = |key: &str, rule: &str| {
        let key = section.join(key);
        let message = format!("invalid value for `{key}`: {rule}");
        rules.report(&[key], message, None);
    };
    if settings.visibility_timeout.is_zero() {
        wrong("visibility_timeout", "it must be longer than zero");
    }
    if settings.sent_to.as_ref().is_some_and(|name| name.len() > 255 || name.contains(char::is_control)) {
        wrong("sent_to", "a name has at most 255 bytes and no control characters");
    }
}

/// How the actors of a queue are restarted, and what pauses it.
fn supervision(rules: &mut Rules<'_>, section: &Key, settings: &QueueSettings) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    rules.range(&section.join("max_restarts"), settings.max_restarts, 0, 1000);
    rules.range(&section.join("pause_after_crashes"), settings.pause_after_crashes, 0, 10_000);
    for (name, period) in
        [("restart_period", settings.restart_period), ("crash_period", settings.crash_period)]
    {
        let fits = (Duration::from_secs(1)..=DAY).contains(&period);
        rules.require(fits, &section.join(name).to_string(), "it must be 1s to 1d");
    }
    let (min, max) = (settings.restart_backoff_min, settings.restart_backoff_max);
    let (min_key, max_key) = (section.join("restart_backoff_min"), section.join("restart_backoff_max"));
    rules.not_zero(&min_key.to_string(), min);
    rules.ordered((&min_key.to_string(), &min), (&max_key.to_string(), &max));
    if settings.pause_after_crashes > 0 && settings.crash_kinds.is_empty() {
        let key = section.join("crash_kinds");
        let message = format!(
            "invalid value for `{key}`: with `pause_after_crashes` above 0 some kind of end must count; to pause after none, set that \
             to 0"
        );
        rules.report(&[key], message, None);
    }
    if settings.max_restarts > 1000 || settings.restart_period.is_zero() || min > max {
        return;
    }
    // As the supervisor waits before each restart: from the first pause on, twice as long each time.
    let mut pause = min;
    let mut total = Duration::ZERO;
    for _ in 0..settings.max_restarts {
        total = total.saturating_add(pause.min(max));
        pause = pause.saturating_mul(2).min(max);
    }
    if total > settings.restart_period {
        let keys = ["max_restarts", "restart_period", "restart_backoff_max"].map(|name| section.join(name));
        let [restarts, period, _] = &keys;
        let message = format!(
            "`{restarts}` ({}) can never be used up: the pauses before so many restarts take {}, which is longer than `{period}` ({})",
            settings.max_restarts,
            total.render(),
            settings.restart_period.render(),
        );
        rules.report(&keys, message, None);
    }
}

fn labels(rules: &mut Rules<'_>, key: &Key, labels: &LabelSettings) {
    /// As many as a node or a queue may have.
    const MOST: usize = 16;
    for (name, value) in &labels.0 {
        let (name, value) = (shortened(name), shortened(value));
        let fits = is_queue_name(&name) && is_queue_name(&value);
        let rule = format!(
            "\"{name}={value}\" is no label: names and values are 1 to 50 letters, digits, \"-\", \"_\" and \".\""
        );
        rules.require(fits, &key.to_string(), &rule);
    }
    rules.require(labels.0.len() <= MOST, &key.to_string(), &format!("there may be {MOST} labels at most"));
}

fn worker(rules: &mut Rules<'_>, settings: &Settings) {
    let (listen, web) = (settings.worker.probes, &settings.web);
    if !listen.ip().is_loopback() && web.token.is_none() && web.tokens.is_empty() {
        let message =
            format!("`worker.probes` is {listen}, which other machines may reach, but no token is set");
        let help = "set `web.token` or `[[web.tokens]]`, or listen on 127.0.0.1".to_owned();
        rules.report(&[key("worker.probes"), key("web.token"), key("web.tokens")], message, Some(help));
    }
}

fn inbound(rules: &mut Rules<'_>, settings: &Settings) {
    rules.at_least(&key("inbound.max_message"), settings.inbound.max_message.bytes(), 1);
    // A parser that nests deeper could run out of its stack.
    rules.range(&key("inbound.max_json_depth"), settings.inbound.max_json_depth, 1, 127);
    rules.range(&key("inbound.concurrency"), settings.inbound.concurrency, 1, 100_000);
    rules.not_zero("retention.inbox", settings.retention.inbox);
    rules.at_least(&key("retention.inbox_max"), settings.retention.inbox_max, 1);
}

fn job_types(rules: &mut Rules<'_>, settings: &Settings) {
    let types: &[JobTypeSettings] = &settings.jobs.types;
    let mut names = BTreeSet::new();
    for job_type in types {
        let name = shortened(&job_type.name);
        rules.require(
            is_queue_name(&job_type.name),
            "jobs.types",
            &format!("\"{name}\" is no name of a job type"),
        );
        let first = names.insert(&job_type.name);
        rules.require(first, "jobs.types", &format!("two tables have the name \"{name}\""));
        if let Some(queue) = &job_type.queue {
            let rule =
                format!("there is no queue \"{}\", where jobs of \"{name}\" are to go", shortened(queue));
            rules.require(settings.queues.contains_key(queue), "jobs.types", &rule);
        }
        let some = job_type.max_payload.is_none_or(|most| most.bytes() >= 2);
        for edge in &job_type.needs {
            let rule = format!("\"{}\", which \"{name}\" is to need, is no name of an edge", shortened(edge));
            rules.require(is_queue_name(edge), "jobs.types", &rule);
        }
        let few = job_type.needs.len() <= MOST_NEEDS;
        rules.require(few, "jobs.types", &format!("\"{name}\" may need {MOST_NEEDS} edges at most"));
        rules.require(some, "jobs.types", &format!("`max_payload` of \"{name}\" must be at least 2 bytes"));
    }
}

fn encryption(rules: &mut Rules<'_>, settings: &Settings) {
    let encryption = &settings.encryption;
    let mut names = BTreeSet::new();
    for key in &encryption.keys {
        let name = shortened(&key.name);
        let one = key.file.is_some() != key.env.is_some();
        let rule = format!("the key \"{name}\" needs either `file` or `env`");
        rules.require(one, "encryption.keys", &rule);
        let first = names.insert(key.name.as_str());
        rules.require(first, "encryption.keys", &format!("two keys have the name \"{name}\""));
    }
    let given = [
        ("encryption.current", &encryption.current),
        ("encryption.fingerprint_key", &encryption.fingerprint_key),
    ];
    for (key, name) in given {
        if let Some(name) = name {
            let rule = format!("there is no key \"{}\" in `encryption.keys`", shortened(name));
            rules.require(names.contains(name.as_str()), key, &rule);
        }
    }
    let rule = "there are keys, so one of them must be the current one, which encrypts";
    rules.require(encryption.current.is_some() || names.is_empty(), "encryption.current", rule);
    let both = encryption.current.is_some() && encryption.current == encryption.fingerprint_key;
    let rule = "it is never rotated, so it cannot be the current key as well";
    rules.require(!both, "encryption.fingerprint_key", rule);
    let mut types = BTreeSet::new();
    for own in &encryption.types {
        let name = shortened(&own.name);
        let rule = format!("\"{name}\" is no name of a job type");
        rules.require(is_queue_name(&own.name), "encryption.types", &rule);
        let first = types.insert(&own.name);
        rules.require(first, "encryption.types", &format!("two tables have the name \"{name}\""));
        let fields = own.fields.iter().chain(&own.results);
        if let Some(field) = fields.into_iter().find(|field| *field != "*" && !field.starts_with('/')) {
            let rule = format!(
                "\"{}\", which is to be secret in \"{name}\", is neither `*` nor a JSON Pointer such as /recipients/*/email",
                shortened(field)
            );
            rules.require(false, "encryption.types", &rule);
        }
        let needless = own.required && encryption.current.is_none();
        let rule = format!("\"{name}\" must be encrypted, and there is no `encryption.current` key");
        rules.require(!needless, "encryption.types", &rule);
    }
}

/// What an expression says is for others to check.
fn cron(rules: &mut Rules<'_>, settings: &Settings) {
    for (name, entry) in &settings.cron.entries.0 {
        let queue = entry.queue.as_ref().filter(|queue| !settings.queues.contains_key(*queue));
        if let Some(queue) = queue {
            let rule =
                format!("there is no queue \"{}\", where the jobs of \"{name}\" are to go", shortened(queue));
            rules.require(false, "cron.entries", &rule);
        }
    }
}

fn durations(rules: &mut Rules<'_>, settings: &Settings) {
    let Settings { web, store, retention, retry, jobs, command, http, scheduler, rescuer, .. } = settings;
    for (key, value) in [
        ("web.request_timeout", web.request_timeout),
        ("store.connect_timeout", store.connect_timeout),
        ("store.statement_timeout", store.statement_timeout),
        ("store.write_timeout", store.write_timeout),
        ("retention.events", retention.events),
        ("retention.audit", retention.audit),
        ("retention.interval", retention.interval),
        ("retry.min", retry.min),
        ("jobs.timeout", jobs.timeout),
        ("command.timeout", command.timeout),
        ("http.timeout", http.timeout),
        ("scheduler.poll", scheduler.poll),
        ("rescuer.heartbeat", rescuer.heartbeat),
        ("rescuer.interval", rescuer.interval),
    ] {
        rules.not_zero(key, value);
    }
    rules.ordered(("retry.min", &retry.min), ("retry.max", &retry.max));
    rules.ordered(("store.busy_timeout", &store.busy_timeout), ("store.write_timeout", &store.write_timeout));
    if rescuer.session_ttl < rescuer.heartbeat * 2 {
        let message = format!(
            "`rescuer.session_ttl` ({}) must be at least twice `rescuer.heartbeat` ({}), or one late heartbeat ends a session",
            rescuer.session_ttl.render(),
            rescuer.heartbeat.render(),
        );
        rules.report(&[key("rescuer.session_ttl"), key("rescuer.heartbeat")], message, None);
    }
}

fn web(rules: &mut Rules<'_>, web: &WebSettings) {
    for host in &web.hosts {
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = bracketed.unwrap_or(host).parse::<IpAddr>().is_ok();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let name = !host.is_empty() && host.len() <= 253 && host.bytes().all(fits);
        let rule = format!("\"{}\" is no host name (without scheme, port and path)", shortened(host));
        rules.require(address || name, "web.hosts", &rule);
    }
    let mut names = BTreeMap::new();
    let mut secrets: BTreeMap<&str, &str> = BTreeMap::new();
    if let Some(token) = &web.token {
        secrets.insert(token.expose_secret(), "web.token");
    }
    for token in &web.tokens {
        let name = shortened(&token.name);
        let fits =
            !token.name.is_empty() && token.name.len() <= 100 && !token.name.contains(char::is_control);
        rules.require(fits, "web.tokens", "a token's name has 1 to 100 bytes and no control characters");
        let first = names.insert(&token.name, ()).is_none();
        rules.require(first, "web.tokens", &format!("two tokens have the name \"{name}\""));
        if let Some(other) = secrets.insert(token.token.expose_secret(), &token.name) {
            let rule = format!("\"{name}\" and \"{}\" have the same secret", shortened(other));
            rules.require(false, "web.tokens", &rule);
        }
    }
    if !web.listen.ip().is_loopback() && web.token.is_none() && web.tokens.is_empty() {
        let message =
            format!("`web.listen` is {}, which other machines may reach, but no token is set", web.listen);
        let help = "set `web.token` or `[[web.tokens]]`, or listen on 127.0.0.1".to_owned();
        rules.report(&[key("web.listen"), key("web.token"), key("web.tokens")], message, Some(help));
    }
}

fn command(rules: &mut Rules<'_>, command: &CommandSettings) {
    for program in &command.programs {
        let plain =
            !program.is_empty() && !program.contains(['/', '\0']) && program != "." && program != "..";
        let absolute = program.starts_with('/') && !program.ends_with('/') && !program.contains('\0');
        let rule =
            format!("\"{}\" is neither a plain name nor an absolute path of a program", shortened(program));
        rules.require(plain || absolute, "command.programs", &rule);
    }
    for name in &command.env {
        let fits = !name.is_empty() && !name.contains(['=', '\0']);
        let rule = format!("\"{}\" is no name of an environment variable", shortened(name));
        rules.require(fits, "command.env", &rule);
    }
}

/// Catches what tracing would take for the name of a target, or drop: a level misspelled.
fn log(rules: &mut Rules<'_>, directives: &str) {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    rules.require(!directives.trim().is_empty(), "log.level", "it is empty; \"off\" is no log");
    // A directive with a span's fields may hold commas and equals signs of its own: tracing reads those.
    if directives.contains('[') {
        return;
    }
    for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let (level, alone) = match directive.rsplit_once('=') {
            Some((_, level)) => (level.trim(), false),
            None => (directive, true),
        };
        let near = nearest(level, LEVELS.into_iter());
        if is_level(level) || (alone && near.is_none()) {
            continue;
        }
        let message = format!("invalid value for `log.level`: \"{}\" is no level", shortened(level));
        let help = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("levels are {}", LEVELS.join(", ")),
        };
        rules.report(&[key("log.level")], message, Some(help));
    }
}

fn bus(rules: &mut Rules<'_>, bus: &BusSettings) {
    /// What AMQP can count.
    const MOST: usize = 65_535;
    for address in &bus.addresses {
        let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        let fits = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let bracketed = address.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let usual = match (bracketed, address.split_once(':')) {
            (Some((host, rest)), _) => {
                host.parse::<IpAddr>().is_ok()
                    && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port))
            }
            (None, Some((host, number))) => fits(host) && port(number),
            (None, None) => fits(address),
        };
        let rule = format!("\"{}\" is neither HOST nor HOST:PORT", shortened(address));
        rules.require(usual, "bus.addresses", &rule);
    }
    let name = bus.exchange.as_bytes();
    let fits = (1..=127).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
        && !bus.exchange.starts_with("amq.");
    let rule = "a name has 1 to 127 of letters, digits, \"-\", \"_\", \".\" and \":\", and no \"amq.\" first";
    rules.require(fits, "bus.exchange", rule);
    for queue in &bus.consume {
        if bus.publish.iter().any(|published| published.as_str() == queue.as_str()) {
            let message = format!(
                "`bus.publish` and `bus.consume` both have \"{queue}\": what is published there would come back"
            );
            let help =
                "publish to a queue whose consumer is outside, consume one whose producer is".to_owned();
            rules.report(&[key("bus.consume"), key("bus.publish")], message, Some(help));
        }
    }
    if bus.url.is_none() {
        let set = [("bus.publish", !bus.publish.is_empty()), ("bus.consume", !bus.consume.is_empty())];
        for (name, _) in set.into_iter().filter(|(_, set)| *set) {
            let message = format!("`{name}` names queues, but `bus.url` does not say of which broker");
            let help = "set CALLBOARD__BUS__URL=amqp://USER:PASSWORD@HOST:5672/VHOST".to_owned();
            rules.report(&[key(name), key("bus.url")], message, Some(help));
        }
    }
    if bus.ca_file.is_some() && bus.url.as_ref().is_some_and(|url| !url.is_encrypted()) {
        let message =
            "`bus.ca_file` is set, but `bus.url` is of the scheme amqp, which is not encrypted".to_owned();
        let help = "write amqps:// for TLS".to_owned();
        rules.report(&[key("bus.ca_file"), key("bus.url")], message, Some(help));
    }
    rules.range(&key("bus.window"), bus.window, 1, MOST);
    rules.range(&key("bus.prefetch"), bus.prefetch, 1, MOST);
    rules.range(&key("bus.delivery_limit"), bus.delivery_limit, 1, 1_000_000);
    for (key, value) in [
        ("bus.connect_timeout", bus.connect_timeout),
        ("bus.call_timeout", bus.call_timeout),
        ("bus.confirm_timeout", bus.confirm_timeout),
        ("bus.backoff_min", bus.backoff_min),
    ] {
        rules.not_zero(key, value);
    }
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(600));
    rules.require((least..=most).contains(&bus.heartbeat), "bus.heartbeat", "it must be from 1s to 10m");
    rules.ordered(("bus.backoff_min", &bus.backoff_min), ("bus.backoff_max", &bus.backoff_max));
}
