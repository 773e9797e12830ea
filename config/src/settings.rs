//! The settings: plain structs, one a section. Their defaults stand in `default.toml`, from where the code takes them; the
//! words on defaults here are checked against it by a test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::byte_size::ByteSize;
use crate::choice::{
    ContractQueue, CrashKind, Declare, Durability, InboundQueue, KeepWorkspace, LogFormat, RestartStrategy,
    ServedBy, StoreBackend, UnfitJobs, UnknownTypes, Writer,
};
use crate::cron::CronEntries;
use crate::database_url::DatabaseUrl;
use crate::document::{Node, Value};
use crate::encryption::{EncryptionKeySettings, SecretTypeSettings};
use crate::http_secret::HttpSecretSettings;
use crate::interface::InterfaceSettings;
use crate::job_type::JobTypeSettings;
use crate::key::Key;
use crate::labels::LabelSettings;
use crate::plain_url::{CollectorUrl, UpstreamUrl};
use crate::reader::{Reader, Section};
use crate::schema::{QUEUE_DEFAULTS, QUEUES};
use crate::server_url::{BrokerUrl, MongodbUrl, RedisUrl};
use crate::telemetry_header::TelemetryHeaderSettings;
use crate::terminal_command::TerminalCommandSettings;
use crate::token::TokenSettings;
use crate::value::Setting;

/// Declares a section: a plain struct, and how it is read (each field from the key of its name).
macro_rules! section {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)+
        }

        impl Section for $name {
            fn read(reader: &mut Reader<'_>, section: &Key) -> Self {
                Self { $($field: reader.value(section, stringify!($field)),)+ }
            }

            fn list(&self, section: &Key, to: &mut dyn FnMut(Key, Node, String)) {
                $({
                    let made = Node { value: Value::Made(Arc::new(self.$field.clone())), span: 0..0 };
                    to(section.join(stringify!($field)), made, self.$field.render());
                })+
            }

            fn take(&mut self, from: &Self, section: &Key, chosen: &mut dyn FnMut(&Key) -> bool) {
                $(if chosen(&section.join(stringify!($field))) {
                    self.$field = from.$field.clone();
                })+
            }
        }
    };
}

/// Every setting of Callboard. [`Settings::default`] is `default.toml`.
///
/// Fields are public, so that an embedder can change them in code; the rules that a [`Loader`](crate::Loader) enforces (ranges, bounds
/// between keys) are not checked again then.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where files are kept.
    pub data: DataSettings,
    /// What the program writes about itself.
    pub log: LogSettings,
    /// The HTTP server.
    pub web: WebSettings,
    /// Where jobs are kept.
    pub store: StoreSettings,
    /// What is deleted, and when.
    pub retention: RetentionSettings,
    /// What becomes of a failed attempt.
    pub retry: RetrySettings,
    /// What a queue has where its own table does not say otherwise.
    pub queue_defaults: QueueSettings,
    /// The queues by name, `default` always among them; what their tables leave out is filled from `queue_defaults`.
    pub queues: BTreeMap<String, QueueSettings>,
    /// Bounds of every job.
    pub jobs: JobsSettings,
    /// Jobs of the type `command`.
    pub command: CommandSettings,
    /// Jobs of the type `http`.
    pub http: HttpSettings,
    /// The old contract.
    pub observatory: ObservatorySettings,
    /// The process.
    pub system: SystemSettings,
    /// What makes scheduled and retried jobs due.
    pub scheduler: SchedulerSettings,
    /// Jobs that are stored at times that an expression says.
    pub cron: CronSettings,
    /// Keys that payloads are encrypted with, and what of them is secret.
    pub encryption: EncryptionSettings,
    /// What gives jobs of dead nodes to living ones.
    pub rescuer: RescuerSettings,
    /// Where spans of traces are sent.
    pub telemetry: TelemetrySettings,
    /// Servers whose answers are passed on.
    pub proxy: ProxySettings,
    /// How messages of other programs are taken in.
    pub inbound: InboundSettings,
    /// The message broker.
    pub bus: BusSettings,
    /// Where finished jobs are counted for programs outside.
    pub counters: CountersSettings,
    /// Where old events are kept.
    pub archive: ArchiveSettings,
    /// A process that only runs jobs.
    pub worker: WorkerSettings,
    /// The web terminal.
    pub terminal: TerminalSettings,
}

impl Settings {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            data: reader.section("data"),
            log: reader.section("log"),
            web: reader.section("web"),
            store: reader.section("store"),
            retention: reader.section("retention"),
            retry: reader.section("retry"),
            queue_defaults: reader.section(QUEUE_DEFAULTS),
            queues: reader.queues(),
            jobs: reader.section("jobs"),
            command: reader.section("command"),
            http: reader.section("http"),
            observatory: reader.section("observatory"),
            system: reader.section("system"),
            scheduler: reader.section("scheduler"),
            cron: reader.section("cron"),
            encryption: reader.section("encryption"),
            rescuer: reader.section("rescuer"),
            telemetry: reader.section("telemetry"),
            proxy: reader.section("proxy"),
            inbound: reader.section("inbound"),
            bus: reader.section("bus"),
            counters: reader.section("counters"),
            archive: reader.section("archive"),
            worker: reader.section("worker"),
            terminal: reader.section("terminal"),
        }
    }

    /// Lists every setting with its key, its value, and that as text; of a queue what it does not have from `queue_defaults`.
    pub(crate) fn list(&self, to: &mut dyn FnMut(Key, Node, String)) {
        self.data.list(&Key::from(["data"]), to);
        self.log.list(&Key::from(["log"]), to);
        self.web.list(&Key::from(["web"]), to);
        self.store.list(&Key::from(["store"]), to);
        self.retention.list(&Key::from(["retention"]), to);
        self.retry.list(&Key::from(["retry"]), to);
        self.queue_defaults.list(&Key::from([QUEUE_DEFAULTS]), to);
        self.jobs.list(&Key::from(["jobs"]), to);
        self.command.list(&Key::from(["command"]), to);
        self.http.list(&Key::from(["http"]), to);
        self.observatory.list(&Key::from(["observatory"]), to);
        self.system.list(&Key::from(["system"]), to);
        self.scheduler.list(&Key::from(["scheduler"]), to);
        self.cron.list(&Key::from(["cron"]), to);
        self.encryption.list(&Key::from(["encryption"]), to);
        self.rescuer.list(&Key::from(["rescuer"]), to);
        self.telemetry.list(&Key::from(["telemetry"]), to);
        self.proxy.list(&Key::from(["proxy"]), to);
        self.inbound.list(&Key::from(["inbound"]), to);
        self.bus.list(&Key::from(["bus"]), to);
        self.counters.list(&Key::from(["counters"]), to);
        self.archive.list(&Key::from(["archive"]), to);
        self.worker.list(&Key::from(["worker"]), to);
        self.terminal.list(&Key::from(["terminal"]), to);
        for (name, queue) in &self.queues {
            let mut inherited = Vec::new();
            let defaults = Key::from([QUEUE_DEFAULTS]);
            self.queue_defaults.list(&defaults, &mut |_, _, text| inherited.push(text));
            let mut inherited = inherited.into_iter();
            queue.list(&Key::from([QUEUES, name]), &mut |key, node, text| {
                if inherited.next().as_ref() != Some(&text) {
                    to(key, node, text);
                }
            });
        }
    }

    /// Takes those settings of others that are chosen by their keys; those of queues that both have.
    pub(crate) fn take(&mut self, from: &Settings, chosen: &mut dyn FnMut(&Key) -> bool) {
        self.data.take(&from.data, &Key::from(["data"]), chosen);
        self.log.take(&from.log, &Key::from(["log"]), chosen);
        self.web.take(&from.web, &Key::from(["web"]), chosen);
        self.store.take(&from.store, &Key::from(["store"]), chosen);
        self.retention.take(&from.retention, &Key::from(["retention"]), chosen);
        self.retry.take(&from.retry, &Key::from(["retry"]), chosen);
        self.queue_defaults.take(&from.queue_defaults, &Key::from([QUEUE_DEFAULTS]), chosen);
        self.jobs.take(&from.jobs, &Key::from(["jobs"]), chosen);
        self.command.take(&from.command, &Key::from(["command"]), chosen);
        self.http.take(&from.http, &Key::from(["http"]), chosen);
        self.observatory.take(&from.observatory, &Key::from(["observatory"]), chosen);
        self.system.take(&from.system, &Key::from(["system"]), chosen);
        self.scheduler.take(&from.scheduler, &Key::from(["scheduler"]), chosen);
        self.cron.take(&from.cron, &Key::from(["cron"]), chosen);
        self.encryption.take(&from.encryption, &Key::from(["encryption"]), chosen);
        self.rescuer.take(&from.rescuer, &Key::from(["rescuer"]), chosen);
        self.telemetry.take(&from.telemetry, &Key::from(["telemetry"]), chosen);
        self.proxy.take(&from.proxy, &Key::from(["proxy"]), chosen);
        self.inbound.take(&from.inbound, &Key::from(["inbound"]), chosen);
        self.bus.take(&from.bus, &Key::from(["bus"]), chosen);
        self.counters.take(&from.counters, &Key::from(["counters"]), chosen);
        self.archive.take(&from.archive, &Key::from(["archive"]), chosen);
        self.worker.take(&from.worker, &Key::from(["worker"]), chosen);
        self.terminal.take(&from.terminal, &Key::from(["terminal"]), chosen);
        for (name, queue) in &mut self.queues {
            if let Some(other) = from.queues.get(name) {
                queue.take(other, &Key::from([QUEUES, name]), chosen);
            }
        }
    }

    /// The settings of a queue: its own, or those of `queue_defaults` when it has no table.
    pub fn queue(&self, name: &str) -> &QueueSettings {
        self.queues.get(name).unwrap_or(&self.queue_defaults)
    }

    /// Where the old read model's routes have a port of their own, if the old ports are opened: none where the server's own
    /// address has them.
    pub fn read_model_listen(&self) -> Option<SocketAddr> {
        let (own, wanted) = (self.web.listen, self.observatory.read_model_listen);
        let covered = own.port() == wanted.port() && (own.ip() == wanted.ip() || own.ip().is_unspecified());
        if covered && wanted.port() != 0 { None } else { Some(wanted) }
    }

    /// The folder under which attempts of `command` jobs have their own: `command.workspace`, or `workspace` in `data.dir`.
    pub fn command_workspace(&self) -> PathBuf {
        self.command.workspace.clone().unwrap_or_else(|| self.data.dir.join("workspace"))
    }
}

section! {
    /// `[data]`: where Callboard keeps its files.
    pub struct DataSettings {
        /// Folder of the database and of what belongs to it, relative to the working directory; made when it is missing.
        /// Default: `callboard-data`.
        pub dir: PathBuf,
    }
}

section! {
    /// `[log]`: what the program writes about itself.
    pub struct LogSettings {
        /// How it is written. Default: `auto`.
        pub format: LogFormat,
        /// Filter directives as of tracing's `EnvFilter`. Default: `info`.
        pub level: String,
    }
}

section! {
    /// `[web]`: the HTTP server.
    pub struct WebSettings {
        /// Address and port; port 0 lets the system choose. Default: `127.0.0.1:8080`.
        pub listen: SocketAddr,
        /// Host names, without port, that requests may name besides the loopback names and the address itself.
        /// Default: `[]`.
        pub hosts: Vec<String>,
        /// Bearer token with the role admin. Default: none.
        pub token: Option<SecretString>,
        /// Bearer tokens with a role each. Default: `[]`.
        pub tokens: Vec<TokenSettings>,
        /// Largest body of a request. Default: `1MiB`.
        pub max_body: ByteSize,
        /// Deepest nesting of arrays and objects in a JSON body. Default: `64`.
        pub max_json_depth: usize,
        /// Most jobs that one request may submit. Default: `1000`.
        pub max_batch: usize,
        /// Time a request may take from its head to its answer; event streams are not bound by it. Default: `30s`.
        pub request_timeout: Duration,
        /// Threads that serve HTTP. Default: `2`.
        pub workers: usize,
        /// Most open connections. Default: `4096`.
        pub max_connections: usize,
        /// Most clients that follow the event stream at a time. Default: `512`.
        pub sse_max_clients: usize,
        /// Requests that a client may make in `rate_limit_window`; 0: as many as it likes. Default: `0`.
        pub rate_limit: u32,
        /// The time of `rate_limit`. Default: `1m`.
        pub rate_limit_window: Duration,
        /// Most clients of one address that follow event streams at a time. Default: `256`.
        pub sse_max_clients_per_address: usize,
        /// Most open connections of one address. Default: `2048`.
        pub max_connections_per_address: usize,
        /// Whether browsers reach the server by https, through a proxy that ends it. Default: `false`.
        pub https: bool,
        /// Longest time that a sign-in holds. Default: `12h`.
        pub session_lifetime: Duration,
        /// Time after which a sign-in ends that nothing is asked with; at most `session_lifetime`. Default: `2h`.
        pub session_idle: Duration,
        /// Most sign-ins that hold at a time. Default: `1000`.
        pub max_sessions: usize,
        /// Sign-ins that an address may try in a minute. Default: `20`.
        pub sign_in_limit: u32,
        /// Web interfaces that the console and the pages offer to open, besides the server's own. Default: `[]`.
        pub interfaces: Vec<InterfaceSettings>,
        /// Folder whose pages are served in the place of those in the program. Default: none.
        pub pages_dir: Option<PathBuf>,
    }
}

section! {
    /// `[store]`: where jobs are kept.
    pub struct StoreSettings {
        /// What keeps them. Default: `sqlite`.
        pub backend: StoreBackend,
        /// The database of the backend `postgres`, which needs one. Default: none.
        pub url: Option<DatabaseUrl>,
        /// PostgreSQL: the schema that holds the tables; made when it is missing. Default: `callboard`.
        pub schema: String,
        /// What a write that was answered survives. Default: `full`.
        pub durability: Durability,
        /// Most members of one write transaction. Default: `1000`.
        pub batch_max: usize,
        /// Writes that may wait; more are refused until there is room. At least `batch_max`. Default: `8192`.
        pub queue_max: usize,
        /// PostgreSQL: connections that write, each a batch at a time; SQLite has one. Default: `4`.
        pub writers: usize,
        /// Connections that only read. Default: `2`.
        pub readers: usize,
        /// PostgreSQL: time that a connection may take to be made. Default: `5s`.
        pub connect_timeout: Duration,
        /// Time that a statement waits for a lock of the database. Default: `5s`.
        pub busy_timeout: Duration,
        /// PostgreSQL: time after which the server ends a statement; at least `busy_timeout`, at most `write_timeout`.
        /// Default: `10s`.
        pub statement_timeout: Duration,
        /// Time that a write may take, its waiting included; at least `busy_timeout`. Default: `10s`.
        pub write_timeout: Duration,
        /// SQLite: below this much free space on the disk new jobs are refused. Default: `64MiB`.
        pub min_free_space: ByteSize,
    }
}

section! {
    /// `[retention]`: what is deleted, and when.
    pub struct RetentionSettings {
        /// Age, since its end, after which a completed job is deleted. Default: `7d`.
        pub completed: Duration,
        /// Age, since its end, after which a discarded (dead) job is deleted. Default: `90d`.
        pub discarded: Duration,
        /// Age, since its end, after which a cancelled job is deleted. Default: `30d`.
        pub cancelled: Duration,
        /// Age after which an event is deleted. Default: `7d`.
        pub events: Duration,
        /// Most events kept, whatever their age. Default: `1000000`.
        pub events_max: u64,
        /// Age after which an `Idempotency-Key`, with the answer that is given again, is deleted. Default: `1d`.
        pub idempotency_keys: Duration,
        /// Age after which it is forgotten that an event of another program was dealt with. Default: `7d`.
        pub inbox: Duration,
        /// Most such events that are remembered, whatever their age. Default: `1000000`.
        pub inbox_max: u64,
        /// Age after which an entry of the audit trail, or a command to a node, is deleted. Default: `90d`.
        pub audit: Duration,
        /// Time between two rounds of deletion. Default: `1m`.
        pub interval: Duration,
        /// Most rows deleted in one transaction. Default: `1000`.
        pub batch: usize,
    }
}

section! {
    /// `[retry]`: what becomes of a failed attempt, where the job does not say it.
    pub struct RetrySettings {
        /// Attempts in all, the first included. Default: `5`.
        pub max_attempts: u32,
        /// Wait before the second attempt. Default: `1s`.
        pub min: Duration,
        /// Longest wait between two attempts; at least `min`. Default: `10m`.
        pub max: Duration,
        /// What the wait grows by from attempt to attempt, 1 to 100. Default: `2.0`.
        pub factor: f64,
        /// Share of the wait that is drawn at random, up or down, 0 to 1. Default: `0.1`.
        pub jitter: f64,
    }
}

section! {
    /// `[queue_defaults]` and `[queues.NAME]`: one queue.
    pub struct QueueSettings {
        /// Jobs of the queue that run at a time. Default: `50`.
        pub concurrency: usize,
        /// Waiting jobs after which new ones are refused until there is room. Default: `1000000`.
        pub max_backlog: u64,
        /// Largest payload of a job of the queue; none: [`JobsSettings::max_payload`] alone holds. Default: none.
        pub max_payload: Option<ByteSize>,
        /// Who runs its jobs. Default: `callboard`.
        pub served_by: ServedBy,
        /// With `served_by` bus: time that nothing may be heard of an attempt before it is taken for lost. Default: `5m`.
        pub visibility_timeout: Duration,
        /// With `served_by` bus: the broker's queue; none: `callboard.jobs.NAME`. Default: none.
        pub sent_to: Option<String>,
        /// Which of the queue's actors a crash of one of them restarts. Default: `one_for_one`.
        pub restart_strategy: RestartStrategy,
        /// Restarts of the queue's actors within `restart_period` after which one more crash pauses the queue. Default: `8`.
        pub max_restarts: usize,
        /// The time of `max_restarts`. Default: `1m`.
        pub restart_period: Duration,
        /// First pause before a restart. Default: `100ms`.
        pub restart_backoff_min: Duration,
        /// Longest such pause; at least `restart_backoff_min`. Default: `10s`.
        pub restart_backoff_max: Duration,
        /// Attempts that crash on one node within `crash_period` after which the queue is paused; 0: never. Default: `20`.
        pub pause_after_crashes: u32,
        /// The time of `pause_after_crashes`. Default: `1m`.
        pub crash_period: Duration,
        /// The ends of an attempt that are crashes. Default: `["panicked", "lost"]`.
        pub crash_kinds: Vec<CrashKind>,
        /// What a node must have to run the queue's jobs; kept in the store, and none here leaves what is there. Default: `{}`.
        pub labels: LabelSettings,
    }
}

section! {
    /// `[jobs]`: bounds of every job.
    pub struct JobsSettings {
        /// Time an attempt may take, where the job does not say it. Default: `15m`.
        pub timeout: Duration,
        /// Time a cancelled attempt has to end by itself before it is killed. Default: `5s`.
        pub cancel_grace: Duration,
        /// Time that running jobs have to end when the server stops; the rest is handed back. Default: `20s`.
        pub shutdown_grace: Duration,
        /// Largest payload of a job; at most `web.max_body`. Default: `256KiB`.
        pub max_payload: ByteSize,
        /// Waiting jobs of all queues together after which new ones are refused until there is room. Default: `10000000`.
        pub max_backlog: u64,
        /// What a start does about jobs that wait and do not fit their type any more. Default: `refuse`.
        pub unfit: UnfitJobs,
        /// What holds for single job types. Default: `[]`.
        pub types: Vec<JobTypeSettings>,
        /// Largest result of a job; at least 12 times `command.max_output` and 1 KiB, and 6 times `http.max_response` and 64 KiB. Default: `16MiB`.
        pub max_result: ByteSize,
        /// Most lines of an attempt's log; 0: none. Of a longer one the first half of them and the newest are kept. Default: `1000`.
        pub log_max_lines: usize,
        /// Most bytes of an attempt's log, of which the same holds; 1 KiB to 16 MiB. Default: `256KiB`.
        pub log_max_bytes: ByteSize,
        /// Longest line of an attempt's log; at most `log_max_bytes`. Default: `8KiB`.
        pub log_max_line: ByteSize,
    }
}

section! {
    /// `[command]`: jobs of the type `command`.
    pub struct CommandSettings {
        /// Programs that may run: plain names, looked up in `PATH`, or absolute paths. Default: `[]`.
        pub programs: Vec<String>,
        /// Folder under which each attempt has its own; see [`Settings::command_workspace`]. Default: none.
        pub workspace: Option<PathBuf>,
        /// When an attempt's folder stays. Default: `never`.
        pub keep_workspace: KeepWorkspace,
        /// Names of the variables of the server's environment that programs see. Default: `[]`.
        pub env: Vec<String>,
        /// Most that is kept of each output stream. Default: `1MiB`.
        pub max_output: ByteSize,
        /// Time a program may run, where the job does not say it. Default: `10m`.
        pub timeout: Duration,
    }
}

section! {
    /// `[http]`: jobs of the type `http`.
    pub struct HttpSettings {
        /// Origins that requests may be sent to: `https://HOST`, `http://HOST:PORT`, `*.DOMAIN`, `*`. Default: `[]`.
        pub allow: Vec<String>,
        /// Addresses, and blocks of them, that are allowed besides public ones. Default: `[]`.
        pub allow_addresses: Vec<String>,
        /// Secrets that headers may name, each with where it may be sent. Default: `[]`.
        pub secrets: Vec<HttpSecretSettings>,
        /// PEM file of certificate authorities that are trusted besides the system's. Default: none.
        pub ca_file: Option<PathBuf>,
        /// Time a request may take, where the job does not say it. Default: `30s`.
        pub timeout: Duration,
        /// Largest body of an answer. Default: `1MiB`.
        pub max_response: ByteSize,
    }
}

section! {
    /// `[observatory]`: the old contract.
    pub struct ObservatorySettings {
        /// What becomes of jobs of a type that nobody handles. Default: `hold`.
        pub unknown_types: UnknownTypes,
        /// Whether the ports of the old system are opened beside the server's own; the flag `--observatory` does. Default: `false`.
        pub ports: bool,
        /// Where the routes of the old gateway are. Default: `127.0.0.1:3000`.
        pub gateway_listen: SocketAddr,
        /// Where the routes of the old read model are; see [`Settings::read_model_listen`]. Default: `127.0.0.1:8080`.
        pub read_model_listen: SocketAddr,
        /// Where the metrics of the old processor are. Default: `127.0.0.1:8000`.
        pub metrics_listen: SocketAddr,
        /// Where the page of the old web terminal is. Default: `127.0.0.1:8081`.
        pub terminal_listen: SocketAddr,
        /// Where the WebSocket of the old web terminal is. Default: `127.0.0.1:9000`.
        pub terminal_socket_listen: SocketAddr,
        /// Where the metrics of the old web terminal are. Default: `127.0.0.1:9001`.
        pub terminal_metrics_listen: SocketAddr,
        /// Whether the old ports ask for no token, whoever can reach them. Default: `false`.
        pub allow_unauthenticated: bool,
    }
}

section! {
    /// `[terminal]`: the web terminal.
    pub struct TerminalSettings {
        /// Whether there is one. Default: `true`.
        pub enabled: bool,
        /// What it runs: `console`, this program's own console, or the name of one of `commands`. No client chooses it. Default:
        /// `console`.
        pub command: String,
        /// Programs that `command` can name, besides the console. Default: `[]`.
        pub commands: Vec<TerminalCommandSettings>,
        /// Origins whose pages may use it besides the server's own. Default: `[]`.
        pub origins: Vec<String>,
        /// Whether nobody may do more than read, whatever his role is. Default: `false`.
        pub read_only: bool,
        /// How long nobody may type before a session ends. Default: `30m`.
        pub idle_timeout: Duration,
        /// How long a session lasts at most. Default: `12h`.
        pub absolute_timeout: Duration,
        /// Sessions of one client address at most. Default: `5`.
        pub per_address: usize,
        /// Sessions at most. Default: `50`.
        pub max_sessions: usize,
        /// How long a session outlives its connection. Default: `30s`.
        pub grace: Duration,
        /// How long a reconnect token is good after the connection that was given it. Default: `5m`.
        pub reconnect_token: Duration,
        /// How long a ticket is good. Default: `30s`.
        pub ticket: Duration,
        /// Bytes of output that are kept for a client of the JSON protocol that reconnects. Default: `1MiB`.
        pub ring: ByteSize,
        /// Frames of output that are kept for it. Default: `1000`.
        pub ring_frames: usize,
        /// Bytes of output that are kept for a client of `callboard.terminal.v2`. Default: `2MiB`.
        pub ring_v2: ByteSize,
        /// Bytes of output that such a client may have and not have acknowledged. Default: `256KiB`.
        pub window: ByteSize,
        /// Time between two pings. Default: `30s`.
        pub ping: Duration,
        /// How long nothing may be heard of a client before its connection is given up. Default: `1m`.
        pub dead_after: Duration,
        /// Time between SIGHUP and SIGKILL when a session ends before its program. Default: `2s`.
        pub kill_grace: Duration,
        /// Folder that what is shown in sessions is recorded to. Default: none.
        pub recordings_dir: Option<PathBuf>,
        /// Whether clients may ask for failures (`?test_mode=`). Default: `false`.
        pub test_mode: bool,
    }
}

section! {
    /// `[system]`: the process.
    pub struct SystemSettings {
        /// Executor threads for actors; 0: as many as the machine has cores. Default: `0`.
        pub executors: usize,
        /// Name of this node in sessions and logs; none: the host name. Default: none.
        pub node_name: Option<String>,
        /// What this node has, for queues that ask for it. Default: `{}`.
        pub labels: LabelSettings,
    }
}

section! {
    /// `[scheduler]`: what makes scheduled and retried jobs due.
    pub struct SchedulerSettings {
        /// Time between two looks for due jobs. Default: `1s`.
        pub poll: Duration,
    }
}

section! {
    /// `[cron]`: jobs that are stored at times that an expression says.
    pub struct CronSettings {
        /// The entries by their names. Default: `{}`.
        pub entries: CronEntries,
    }
}

section! {
    /// `[rescuer]`: what gives jobs of dead nodes to living ones.
    pub struct RescuerSettings {
        /// Time without a heartbeat after which a node's session is dead; at least twice `heartbeat`. Default: `10s`.
        pub session_ttl: Duration,
        /// Time between two heartbeats of a session. Default: `2s`.
        pub heartbeat: Duration,
        /// Time between two looks for dead sessions. Default: `5s`.
        pub interval: Duration,
        /// Runs of a job that died with their node after which it waits in quarantine; 0: never. Default: `3`.
        pub quarantine_after: u32,
    }
}

section! {
    /// `[telemetry]`: where spans of traces are sent (OpenTelemetry's OTLP over HTTP).
    pub struct TelemetrySettings {
        /// The collector's base URL, to which `/v1/traces` is added; none: no spans are made. Default: none.
        pub endpoint: Option<CollectorUrl>,
        /// Headers of each request to the collector. Default: `[]`.
        pub headers: Vec<TelemetryHeaderSettings>,
        /// Share of the traces that begin here which is recorded, 0 to 1; others are as their sender has decided. Default: `1.0`.
        pub sample_ratio: f64,
        /// What the collector knows the program as. Default: `callboard`.
        pub service_name: String,
        /// Time that one request to the collector may take, and the last spans at an orderly stop. Default: `5s`.
        pub timeout: Duration,
        /// Time that spans gather before they are sent. Default: `1s`.
        pub interval: Duration,
        /// Most spans of one request. Default: `512`.
        pub batch_max: usize,
        /// Spans that may wait; more are dropped and counted. At least `batch_max`. Default: `8192`.
        pub queue_max: usize,
        /// PEM file of certificate authorities that are trusted besides the system's. Default: none.
        pub ca_file: Option<PathBuf>,
    }
}

section! {
    /// `[proxy]`: servers whose answers are passed on at `/proxy/alerts` and `/proxy/targets`.
    pub struct ProxySettings {
        /// The Alertmanager's base URL, to which `/api/v2/alerts` is added; none: `/proxy/alerts` answers 502. Default: none.
        pub alertmanager_url: Option<UpstreamUrl>,
        /// Prometheus' base URL, to which `/api/v1/targets` is added; none: `/proxy/targets` answers 502. Default: none.
        pub prometheus_url: Option<UpstreamUrl>,
        /// Time that one of them may take for its whole answer. Default: `5s`.
        pub timeout: Duration,
        /// Largest answer that is passed on. Default: `8MiB`.
        pub max_answer: ByteSize,
    }
}

section! {
    /// `[counters]`: where finished jobs are counted for programs outside.
    pub struct CountersSettings {
        /// The Redis server; none: the store alone counts. Default: none.
        pub url: Option<RedisUrl>,
        /// Who counts. Default: `callboard`.
        pub writer: Writer,
        /// What stands before the contract's keys. Default: none.
        pub key_prefix: Option<String>,
        /// Time that one call may take. Default: `1s`.
        pub timeout: Duration,
        /// Most events of one step. Default: `500`.
        pub batch_max: usize,
    }
}

section! {
    /// `[encryption]`: keys that payloads are encrypted with, and what of them is secret.
    pub struct EncryptionSettings {
        /// Where the keys are. Each decrypts; one encrypts. Default: `[]`.
        pub keys: Vec<EncryptionKeySettings>,
        /// The key that encrypts. Default: none.
        pub current: Option<String>,
        /// The key by which secret values are compared, never rotated; none: they are not. Default: none.
        pub fingerprint_key: Option<String>,
        /// What is secret in the jobs of single types. Default: `[]`.
        pub types: Vec<SecretTypeSettings>,
    }
}

section! {
    /// `[inbound]`: how messages of other programs are taken in.
    pub struct InboundSettings {
        /// Largest message; a larger one is invalid. Default: `1MiB`.
        pub max_message: ByteSize,
        /// Deepest nesting of arrays and objects in a message. Default: `64`.
        pub max_json_depth: usize,
        /// Messages that are decided about at a time. Default: `1000`.
        pub concurrency: usize,
    }
}

section! {
    /// `[bus]`: the message broker.
    pub struct BusSettings {
        /// The RabbitMQ broker; none: there is no bus. Default: none.
        pub url: Option<BrokerUrl>,
        /// More brokers of the same cluster, as `HOST` or `HOST:PORT`. Default: `[]`.
        pub addresses: Vec<String>,
        /// `amqps`: PEM file of certificate authorities that are trusted besides the system's. Default: none.
        pub ca_file: Option<PathBuf>,
        /// Whether every event is published to the exchange. Default: `true`.
        pub events: bool,
        /// The topic exchange. Default: `callboard.events`.
        pub exchange: String,
        /// Queues of the old contract that are published to. Default: `[]`.
        pub publish: Vec<ContractQueue>,
        /// Queues that are read. Default: `[]`.
        pub consume: Vec<InboundQueue>,
        /// What is done about exchanges and queues. Default: `declare`.
        pub declare: Declare,
        /// Messages that may be published and not yet confirmed. Default: `500`.
        pub window: usize,
        /// Messages of a queue that may be delivered and not yet done with. Default: `500`.
        pub prefetch: usize,
        /// Own queues: deliveries after which a message goes to `callboard.dead`. Default: `20`.
        pub delivery_limit: u32,
        /// Time that a connection may take to be made, for each address. Default: `5s`.
        pub connect_timeout: Duration,
        /// Time that an order to the broker may take. Default: `10s`.
        pub call_timeout: Duration,
        /// Time within which the broker must confirm a message. Default: `30s`.
        pub confirm_timeout: Duration,
        /// Time without a sign of life after which the broker is asked for one. Default: `10s`.
        pub heartbeat: Duration,
        /// First pause between two tries to reach the broker, and to do again what failed there. Default: `100ms`.
        pub backoff_min: Duration,
        /// Longest such pause; at least `backoff_min`. Default: `10s`.
        pub backoff_max: Duration,
    }
}

section! {
    /// `[archive]`: where old events are kept.
    pub struct ArchiveSettings {
        /// The MongoDB deployment; none: the store's log alone keeps them. Default: none.
        pub url: Option<MongodbUrl>,
        /// Who archives. Default: `callboard`.
        pub writer: Writer,
        /// The database; the events are in its collection `job_events`. Default: `observatory`.
        pub database: String,
        /// Age after which an event is deleted. Default: `90d`.
        pub retention: Duration,
        /// Time that one call may take. Default: `3s`.
        pub timeout: Duration,
        /// Most events of one step. Default: `200`.
        pub batch_max: usize,
    }
}

section! {
    /// `[worker]`: a process that only runs jobs (`callboard worker`).
    pub struct WorkerSettings {
        /// Address and port of its probes and metrics; port 0 lets the system choose. Default: `127.0.0.1:0`.
        pub probes: SocketAddr,
    }
}
