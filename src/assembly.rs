//! From settings to what the packages take.

use std::{path::PathBuf, sync::Arc, time::Duration};

#[cfg(feature = "rabbitmq")]
use callboard_actors::edges::bus::{
    BusNumbers, ContractQueue, InboundQueue, Outward,
    rabbitmq::{Declare, RabbitBus, RabbitError, RabbitSettings},
};
#[cfg(feature = "postgres")]
use callboard_actors::edges::store::{PostgresOptions, PostgresStore};
#[cfg(feature = "otlp")]
use callboard_actors::edges::telemetry::{Exporter, OtlpError, OtlpSettings};
#[cfg(feature = "http")]
use callboard_actors::jobs::http::{AddressRules, HttpClient, HttpSetupError, OriginList, Secret, Secrets};
#[cfg(feature = "rabbitmq")]
use callboard_actors::roles::Conditions;
use callboard_actors::{
    edges::{
        store::{
            Durability, OpenStore, SqliteOptions, SqliteStore, Store,
            record::{QueueSettings, Retention},
        },
        telemetry::{Telemetry, TelemetryBounds},
    },
    encryption::SecretsOfType,
    jobs::{
        JobDefaults, LogLimits, RetryPolicy,
        command::{AllowList, AllowListError, CommandRunner, KeepWorkspace},
    },
    roles::{InboundConfig, OutletConfig, QueueSupervision, RolesConfig, UnknownTypes, bounds::TypeBounds},
};
use callboard_config::{self as config, ByteSize, Settings, StoreBackend};
use callboard_contracts::{
    Labels,
    api::{CronBackfill, CronDefinition, CronJob, CronOverlap, ErrorKind},
};
#[cfg(feature = "otlp")]
use callboard_supervisors::ChildSpec;
use callboard_supervisors::Strategy;

/// The database below the data folder.
pub(crate) const DATABASE: &str = "callboard.db";

/// The node's name: the configured one, or the host's. Of nodes that share a store several may be on one host.
pub(crate) fn node_name(settings: &Settings) -> String {
    node_name_on(settings, is_shared(settings))
}

/// The same, on a store that other nodes use as well, or not.
pub(crate) fn node_name_on(settings: &Settings, shared: bool) -> String {
    settings.system.node_name.clone().unwrap_or_else(|| {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = if name.is_empty() { "node".to_owned() } else { name };
        if shared { format!("{name}-{}", std::process::id()) } else { name }
    })
}

/// Whether other nodes may use the same store.
pub(crate) fn is_shared(settings: &Settings) -> bool {
    settings.store.backend == StoreBackend::Postgres
}

/// Where the store is, for people.
pub(crate) fn store_place(settings: &Settings) -> String {
    match (settings.store.backend, &settings.store.url) {
        (StoreBackend::Postgres, Some(url)) => url.to_string(),
        (StoreBackend::Postgres, None) => "PostgreSQL".to_owned(),
        (StoreBackend::Sqlite, _) => settings.data.dir.join(DATABASE).display().to_string(),
    }
}

pub(crate) fn roles(settings: &Settings) -> RolesConfig {
    let retry = &settings.retry;
    let retention = &settings.retention;
    RolesConfig {
        node: node_name(settings),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues: settings
            .queues
            .iter()
            .map(|(name, queue)| QueueSettings {
                name: name.clone(),
                concurrency: u32::try_from(queue.concurrency).unwrap_or(u32::MAX),
                max_backlog: queue.max_backlog,
            })
            .collect(),
        defaults: JobDefaults {
            queue: "default".to_owned(),
            max_attempts: retry.max_attempts,
            timeout: settings.jobs.timeout,
            retry: RetryPolicy::Exponential {
                first: retry.min,
                factor: retry.factor,
                max: retry.max,
                jitter: retry.jitter,
            },
        },
        unknown_types: match settings.observatory.unknown_types {
            config::UnknownTypes::Hold => UnknownTypes::Hold,
            config::UnknownTypes::Refuse => UnknownTypes::Refuse,
        },
        max_payload: settings.jobs.max_payload.as_usize(),
        queue_payloads: settings
            .queues
            .iter()
            .filter_map(|(name, queue)| Some((name.clone(), queue.max_payload?.as_usize())))
            .collect(),
        job_types: settings
            .jobs
            .types
            .iter()
            .map(|job_type| {
                let max_payload = job_type.max_payload.map(ByteSize::as_usize);
                let (needs, queue) = (job_type.needs.clone(), job_type.queue.clone());
                (job_type.name.clone(), TypeBounds { max_payload, needs, queue })
            })
            .collect(),
        max_backlog: settings.jobs.max_backlog,
        max_result: settings.jobs.max_result.as_usize(),
        log_limits: LogLimits {
            lines: settings.jobs.log_max_lines,
            bytes: settings.jobs.log_max_bytes.as_usize(),
            line: settings.jobs.log_max_line.as_usize(),
        },
        cancel_grace: settings.jobs.cancel_grace,
        heartbeat: settings.rescuer.heartbeat,
        session_ttl: settings.rescuer.session_ttl,
        rescue_interval: settings.rescuer.interval,
        quarantine_after: settings.rescuer.quarantine_after,
        sole_owner: !is_shared(settings),
        schedule_poll: settings.scheduler.poll,
        retention: Retention {
            completed: retention.completed,
            cancelled: retention.cancelled,
            discarded: retention.discarded,
            events: retention.events,
            events_max: retention.events_max,
            keys: retention.idempotency_keys,
            inbox: retention.inbox,
            inbox_max: retention.inbox_max,
            batch: u32::try_from(retention.batch).unwrap_or(u32::MAX),
        },
        retention_interval: retention.interval,
        telemetry: telemetry(settings),
        sinks: Vec::new(),
        inbound: InboundConfig {
            on: settings.bus.url.is_some(),
            max_message: settings.inbound.max_message.as_usize(),
            max_depth: settings.inbound.max_json_depth,
            concurrency: settings.inbound.concurrency,
        },
        outlets: outlets(settings).map(|(name, outlet)| (name.to_owned(), outlet)).collect(),
        supervision: settings.queues.iter().map(|(name, queue)| (name.clone(), supervision(queue))).collect(),
        labels: labels(&settings.system.labels),
        queue_labels: settings
            .queues
            .iter()
            .map(|(name, queue)| (name.clone(), labels(&queue.labels)))
            .filter(|(_, labels)| !labels.is_empty())
            .collect(),
        audit_kept: retention.audit,
        cron: settings.cron.entries.0.iter().map(|(name, entry)| (name.clone(), cron(entry))).collect(),
        secrets: settings.encryption.types.iter().map(secrets).collect(),
        ..RolesConfig::default()
    }
}

/// How the actors of a queue are supervised, and what pauses it.
fn supervision(queue: &config::QueueSettings) -> QueueSupervision {
    let kind = |kind: &config::CrashKind| match kind {
        config::CrashKind::Panicked => ErrorKind::Panicked,
        config::CrashKind::Lost => ErrorKind::Lost,
        config::CrashKind::TimedOut => ErrorKind::TimedOut,
    };
    QueueSupervision {
        strategy: match queue.restart_strategy {
            config::RestartStrategy::OneForOne => Strategy::OneForOne,
            config::RestartStrategy::OneForAll => Strategy::OneForAll,
            config::RestartStrategy::RestForOne => Strategy::RestForOne,
        },
        max_restarts: queue.max_restarts,
        restart_period: queue.restart_period,
        restart_backoff_min: queue.restart_backoff_min,
        restart_backoff_max: queue.restart_backoff_max,
        pause_after_crashes: queue.pause_after_crashes,
        crash_period: queue.crash_period,
        crash_kinds: queue.crash_kinds.iter().map(kind).collect(),
    }
}

/// What is secret in the jobs of a type.
fn secrets(own: &config::SecretTypeSettings) -> (String, SecretsOfType) {
    let config::SecretTypeSettings { name, fields, results, required, outside } = own.clone();
    (name, SecretsOfType { payload: fields, result: results, required, outside })
}

/// An entry of the cron table.
fn cron(entry: &config::CronEntrySettings) -> CronDefinition {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    CronDefinition {
        expression: entry.expression.clone(),
        time_zone: entry.time_zone.clone(),
        job: CronJob {
            job_type: entry.job_type.clone(),
            payload: entry.payload.0.clone(),
            queue: entry.queue.clone(),
            max_attempts: entry.max_attempts,
            timeout_ms: entry.timeout.map(millis),
            priority: (entry.priority != 0).then_some(entry.priority),
            tags: entry.tags.clone(),
            partition_key: entry.partition_key.clone(),
            metadata: entry.metadata.as_ref().map(|metadata| metadata.0.clone()),
        },
        jitter_ms: millis(entry.jitter),
        overlap: match entry.overlap {
            config::Overlap::Allow => CronOverlap::Allow,
            config::Overlap::Skip => CronOverlap::Skip,
            config::Overlap::Replace => CronOverlap::Replace,
        },
        backfill: match entry.backfill {
            config::Backfill::None => CronBackfill::None,
            config::Backfill::Last => CronBackfill::Last,
            config::Backfill::All => CronBackfill::All,
        },
        backfill_most: entry.backfill_most,
        backfill_within_ms: millis(entry.backfill_within),
    }
}

/// Labels of settings that were checked; of others, an embedder's, those that cannot be are left out.
fn labels(settings: &config::LabelSettings) -> Labels {
    let one = |(name, value): (&String, &String)| Labels::new([(name.clone(), value.clone())]).is_ok();
    let good = settings.0.iter().filter(|(name, value)| one((name, value)));
    Labels::new(good.map(|(name, value)| (name.clone(), value.clone())).take(Labels::MOST))
        .unwrap_or_default()
}

/// Where spans are recorded: nowhere, unless there is a collector that they can be sent to.
fn telemetry(settings: &Settings) -> Telemetry {
    let telemetry = &settings.telemetry;
    if telemetry.endpoint.is_none() {
        return Telemetry::default();
    }
    Telemetry::recording(TelemetryBounds {
        sample_ratio: telemetry.sample_ratio,
        queue_max: telemetry.queue_max,
        batch_max: telemetry.batch_max,
    })
}

/// What sends spans to the collector, if there is one.
#[cfg(feature = "otlp")]
pub(crate) fn exporter(
    settings: &Settings,
    telemetry: &Telemetry,
) -> Result<Option<ChildSpec<Exporter>>, OtlpError> {
    let config::TelemetrySettings { endpoint, headers, service_name, timeout, interval, ca_file, .. } =
        &settings.telemetry;
    let Some(endpoint) = endpoint else { return Ok(None) };
    let otlp = OtlpSettings {
        endpoint: endpoint.as_str().to_owned(),
        headers: headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        service_name: service_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: node_name(settings),
        timeout: *timeout,
        interval: *interval,
        ca_file: ca_file.clone(),
    };
    Exporter::spec(telemetry.clone(), otlp).map(Some)
}

/// The servers outside that the node works with beside its store, and what tells them.
///
/// # Errors
/// A URL that cannot be used, or one of a server that the program was built without.
pub(crate) fn outside(
    mut config: RolesConfig,
    settings: &Settings,
) -> Result<RolesConfig, OutsideSetupError> {
    counters(&mut config, &settings.counters)?;
    windows(&mut config, settings)?;
    archive(&mut config, &settings.archive)?;
    Ok(config)
}

#[cfg(any(feature = "redis", feature = "mongodb"))]
fn writer(writer: config::Writer) -> callboard_actors::edges::outside::Writer {
    use callboard_actors::edges::outside::Writer;
    match writer {
        config::Writer::Callboard => Writer::Callboard,
        config::Writer::External => Writer::External,
    }
}

#[cfg(any(feature = "redis", feature = "mongodb"))]
fn guard(config: &RolesConfig, edge: &str, timeout: Duration) -> callboard_actors::edges::breaker::EdgeGuard {
    use callboard_actors::edges::breaker::{EdgeGuard, GuardSettings};
    EdgeGuard::new(
        edge,
        GuardSettings { timeout, ..GuardSettings::default() },
        config.outside.numbers.clone(),
    )
}

#[cfg(feature = "redis")]
fn counters(config: &mut RolesConfig, settings: &config::CountersSettings) -> Result<(), OutsideSetupError> {
    use callboard_actors::edges::counters::{RedisCounters, RedisOptions};
    let Some(url) = &settings.url else { return Ok(()) };
    let options = RedisOptions {
        url: url.secret().clone(),
        prefix: settings.key_prefix.clone().unwrap_or_default(),
        writer: writer(settings.writer),
        batch: u32::try_from(settings.batch_max).unwrap_or(u32::MAX),
    };
    let counters = RedisCounters::new(options, guard(config, "counters", settings.timeout))
        .map_err(|error| OutsideSetupError::Url { key: "counters.url", problem: error.to_string() })?;
    config.sinks.extend(counters.sink());
    config.outside.edges.push(counters.edge());
    config.outside.counters = Some(counters.reader());
    Ok(())
}

/// Windows of the limit of requests, which all nodes share where there is a Redis.
#[cfg(feature = "redis")]
fn windows(config: &mut RolesConfig, settings: &Settings) -> Result<(), OutsideSetupError> {
    use callboard_actors::edges::{
        breaker::{EdgeGuard, GuardSettings},
        windows::RedisWindows,
    };
    /// A request does not wait for longer to hear whether it may be made.
    const LIMIT: Duration = Duration::from_millis(100);
    /// Requests that are asked about at once.
    const CONCURRENCY: usize = 64;
    let (Some(url), 1..) = (&settings.counters.url, settings.web.rate_limit) else { return Ok(()) };
    let guard = EdgeGuard::new(
        "windows",
        GuardSettings { timeout: LIMIT, concurrency: CONCURRENCY, ..GuardSettings::default() },
        config.outside.numbers.clone(),
    );
    let prefix = settings.counters.key_prefix.as_deref().unwrap_or_default();
    let windows = RedisWindows::new(url.secret(), prefix, guard)
        .map_err(|error| OutsideSetupError::Url { key: "counters.url", problem: error.to_string() })?;
    config.outside.edges.push(windows.edge());
    config.outside.windows = Some(windows.windows());
    Ok(())
}

#[cfg(not(feature = "redis"))]
fn windows(_: &mut RolesConfig, _: &Settings) -> Result<(), OutsideSetupError> {
    // A URL of Redis was refused before.
    Ok(())
}

#[cfg(not(feature = "redis"))]
fn counters(_: &mut RolesConfig, settings: &config::CountersSettings) -> Result<(), OutsideSetupError> {
    match settings.url {
        Some(_) => Err(OutsideSetupError::NotBuiltIn { key: "counters.url", feature: "redis" }),
        None => Ok(()),
    }
}

#[cfg(feature = "mongodb")]
fn archive(config: &mut RolesConfig, settings: &config::ArchiveSettings) -> Result<(), OutsideSetupError> {
    use callboard_actors::edges::archive::{MongodbArchive, MongodbOptions};
    let Some(url) = &settings.url else { return Ok(()) };
    let options = MongodbOptions {
        url: url.secret().clone(),
        database: settings.database.clone(),
        writer: writer(settings.writer),
        batch: u32::try_from(settings.batch_max).unwrap_or(u32::MAX),
        retention: settings.retention,
    };
    let archive = MongodbArchive::new(options, guard(config, "archive", settings.timeout))
        .map_err(|error| OutsideSetupError::Url { key: "archive.url", problem: error.to_string() })?;
    config.sinks.extend(archive.sink());
    config.outside.edges.push(archive.edge());
    config.outside.archive = Some(archive.reader());
    Ok(())
}

#[cfg(not(feature = "mongodb"))]
fn archive(_: &mut RolesConfig, settings: &config::ArchiveSettings) -> Result<(), OutsideSetupError> {
    match settings.url {
        Some(_) => Err(OutsideSetupError::NotBuiltIn { key: "archive.url", feature: "mongodb" }),
        None => Ok(()),
    }
}

/// Why a server outside cannot be worked with. That it is not there is no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideSetupError {
    /// The URL is none.
    #[error("`{key}`: {problem}")]
    Url {
        /// The setting.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The program was built without it.
    #[error("`{key}` is set, but this program was built without the feature `{feature}`")]
    NotBuiltIn {
        /// The setting.
        key: &'static str,
        /// The feature.
        feature: &'static str,
    },
}

/// The queues whose jobs are done by workers outside.
fn outlets(settings: &Settings) -> impl Iterator<Item = (&str, OutletConfig)> {
    settings.queues.iter().filter(|(_, queue)| queue.served_by == config::ServedBy::Bus).map(
        |(name, queue)| {
            let (visibility_timeout, destination) = (queue.visibility_timeout, queue.sent_to.clone());
            (name.as_str(), OutletConfig { visibility_timeout, destination })
        },
    )
}

/// The bus, if there is a broker.
#[cfg(feature = "rabbitmq")]
pub(crate) fn bus(
    settings: &Settings,
    conditions: &Conditions,
    numbers: &BusNumbers,
) -> Result<Option<RabbitBus>, RabbitError> {
    let bus = &settings.bus;
    let Some(url) = &bus.url else { return Ok(None) };
    let contract_queue = |queue: &config::ContractQueue| match queue {
        config::ContractQueue::Created => ContractQueue::Created,
        config::ContractQueue::Completed => ContractQueue::Completed,
        config::ContractQueue::Failed => ContractQueue::Failed,
    };
    let inbound_queue = |queue: &config::InboundQueue| match queue {
        config::InboundQueue::Created => InboundQueue::Contract(ContractQueue::Created),
        config::InboundQueue::Completed => InboundQueue::Contract(ContractQueue::Completed),
        config::InboundQueue::Failed => InboundQueue::Contract(ContractQueue::Failed),
        config::InboundQueue::Outcomes => InboundQueue::Outcomes,
    };
    let rabbit = RabbitSettings {
        addresses: bus.addresses.clone(),
        ca_file: bus.ca_file.clone(),
        name: format!("callboard {}", node_name(settings)),
        outward: Outward {
            exchange: bus.events.then(|| bus.exchange.clone()),
            queues: bus.publish.iter().map(contract_queue).collect(),
        },
        consume: bus.consume.iter().map(inbound_queue).collect(),
        work_queues: outlets(settings).map(|(name, outlet)| outlet.destination(name)).collect(),
        declare: match bus.declare {
            config::Declare::Declare => Declare::Declare,
            config::Declare::Check => Declare::Check,
            config::Declare::None => Declare::None,
        },
        window: bus.window,
        prefetch: u16::try_from(bus.prefetch).unwrap_or(u16::MAX),
        delivery_limit: bus.delivery_limit,
        connect_timeout: bus.connect_timeout,
        call_timeout: bus.call_timeout,
        confirm_timeout: bus.confirm_timeout,
        heartbeat: bus.heartbeat,
        backoff_min: bus.backoff_min,
        backoff_max: bus.backoff_max,
        ..RabbitSettings::new(url.expose())
    };
    RabbitBus::new(rabbit, conditions.clone(), numbers.clone()).map(Some)
}

/// What runs allow-listed programs.
pub(crate) fn command_runner(settings: &Settings) -> Result<CommandRunner, CommandSetupError> {
    let command = &settings.command;
    let allow = AllowList::new(&command.programs)?;
    // Programs run in folders of their own: a relative root would be relative to nothing in there.
    let workspace = std::path::absolute(settings.command_workspace())?;
    Ok(CommandRunner {
        keep: match command.keep_workspace {
            config::KeepWorkspace::Never => KeepWorkspace::Never,
            config::KeepWorkspace::Failed => KeepWorkspace::OnFailure,
            config::KeepWorkspace::Always => KeepWorkspace::Always,
        },
        passed_env: command.env.clone(),
        max_output: command.max_output.as_usize(),
        default_timeout: command.timeout,
        grace: settings.jobs.cancel_grace,
        ..CommandRunner::new(allow, workspace)?
    })
}

/// Why `command` jobs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum CommandSetupError {
    /// A program that was to be allowed cannot be.
    #[error(transparent)]
    AllowList(#[from] AllowListError),
    /// The system says no.
    #[error("`command` jobs cannot be set up: {0}")]
    System(#[from] std::io::Error),
}

/// What makes requests for `http` jobs.
#[cfg(feature = "http")]
pub(crate) fn http_client(settings: &Settings) -> Result<HttpClient, HttpJobsError> {
    let http = &settings.http;
    let origins = |key: &str, entries: &[String]| {
        OriginList::new(entries).map_err(|error| HttpJobsError::Setting(format!("`{key}`: {error}")))
    };
    let addresses = AddressRules::new(&http.allow_addresses);
    let secrets = http.secrets.iter().map(|secret| {
        let origins = origins(&format!("http.secrets ({})", secret.name), &secret.origins)?;
        Ok(Secret { name: secret.name.clone(), value: secret.value.clone(), origins })
    });
    let secrets = Secrets::new(secrets.collect::<Result<Vec<_>, HttpJobsError>>()?);
    let mut client = HttpClient::new(http.ca_file.as_deref())?;
    client.allow = origins("http.allow", &http.allow)?;
    client.addresses =
        addresses.map_err(|error| HttpJobsError::Setting(format!("`http.allow_addresses`: {error}")))?;
    client.secrets = secrets.map_err(|error| HttpJobsError::Setting(format!("`http.secrets`: {error}")))?;
    client.max_response = http.max_response.as_usize();
    client.default_timeout = http.timeout;
    Ok(client)
}

/// Why `http` jobs cannot be set up.
#[cfg(feature = "http")]
#[derive(Debug, thiserror::Error)]
pub enum HttpJobsError {
    /// A setting cannot work.
    #[error("{0}")]
    Setting(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] HttpSetupError),
}

/// How the store is opened, each time that it is.
///
/// # Errors
/// When the settings name no store that this program can open.
pub(crate) fn open_store(settings: &Settings) -> Result<OpenStore, StoreSetupError> {
    match settings.store.backend {
        StoreBackend::Sqlite => {
            let options = sqlite_options(settings);
            Ok(Arc::new(move || Ok(SqliteStore::open(options.clone())? as Arc<dyn Store>)))
        }
        StoreBackend::Postgres => open_postgres(settings),
    }
}

#[cfg(feature = "postgres")]
fn open_postgres(settings: &Settings) -> Result<OpenStore, StoreSetupError> {
    let options = postgres_options(settings)?;
    Ok(Arc::new(move || Ok(PostgresStore::open(options.clone())? as Arc<dyn Store>)))
}

#[cfg(not(feature = "postgres"))]
fn open_postgres(_: &Settings) -> Result<OpenStore, StoreSetupError> {
    Err(StoreSetupError::NotBuiltIn)
}

#[cfg(feature = "postgres")]
pub(crate) fn postgres_options(settings: &Settings) -> Result<PostgresOptions, StoreSetupError> {
    let store = &settings.store;
    let url = store.url.as_ref().ok_or(StoreSetupError::NoUrl)?;
    Ok(PostgresOptions {
        schema: store.schema.clone(),
        connections: store.writers,
        readers: u32::try_from(store.readers).unwrap_or(u32::MAX),
        durability: durability(settings),
        connect_timeout: store.connect_timeout,
        statement_timeout: store.statement_timeout,
        lock_timeout: store.busy_timeout,
        write_timeout: store.write_timeout,
        node: node_name(settings),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..PostgresOptions::new(url.expose())
    })
}

/// Why there can be no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreSetupError {
    /// The backend is PostgreSQL, and nothing says where it is.
    #[error("`store.backend` is \"postgres\", but `store.url` does not say which database")]
    NoUrl,
    /// The URL is none.
    #[error("`store.url`: {0}")]
    Url(#[from] config::InvalidDatabaseUrl),
    /// The program was built without it.
    #[error("`store.backend` is \"postgres\", but this program was built without the feature `postgres`")]
    NotBuiltIn,
    /// The app has a store of its own, which is not PostgreSQL.
    #[error(
        "the app's store is one of its own (`AppBuilder::store`), not the PostgreSQL database of `store.url`"
    )]
    Own,
}

fn durability(settings: &Settings) -> Durability {
    match settings.store.durability {
        config::Durability::Full => Durability::Full,
        config::Durability::Relaxed => Durability::Relaxed,
    }
}

pub(crate) fn sqlite_options(settings: &Settings) -> SqliteOptions {
    let store = &settings.store;
    let path: PathBuf = settings.data.dir.join(DATABASE);
    SqliteOptions {
        durability: durability(settings),
        readers: store.readers,
        busy_timeout: store.busy_timeout,
        write_timeout: store.write_timeout,
        min_free_space: store.min_free_space.bytes(),
        node: node_name(settings),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..SqliteOptions::new(path)
    }
}

#[cfg(feature = "web")]
pub(crate) fn web(settings: &Settings, worker: bool) -> callboard_web::WebSettings {
    use callboard_web::{Role, Token};
    let web = &settings.web;
    let role = |role: config::TokenRole| match role {
        config::TokenRole::Viewer => Role::Viewer,
        config::TokenRole::Operator => Role::Operator,
        config::TokenRole::Admin => Role::Admin,
    };
    let named = web.tokens.iter().map(|token| Token {
        name: token.name.clone(),
        role: role(token.role),
        secret: token.token.clone(),
    });
    let single = web.token.iter().map(|secret| Token {
        name: "web.token".to_owned(),
        role: Role::Admin,
        secret: secret.clone(),
    });
    callboard_web::WebSettings {
        listen: if worker { settings.worker.probes } else { web.listen },
        hosts: web.hosts.clone(),
        tokens: single.chain(named).collect(),
        max_body: web.max_body.as_usize(),
        max_json_depth: web.max_json_depth,
        max_batch: web.max_batch,
        request_timeout: web.request_timeout,
        workers: web.workers,
        max_connections: web.max_connections,
        sse_max_clients: web.sse_max_clients,
        rate_limit: web.rate_limit,
        rate_limit_window: web.rate_limit_window,
        sse_max_clients_per_address: web.sse_max_clients_per_address,
        max_connections_per_address: web.max_connections_per_address,
        https: web.https,
        session_lifetime: web.session_lifetime,
        session_idle: web.session_idle,
        max_sessions: web.max_sessions,
        sign_in_limit: web.sign_in_limit,
        interfaces: web.interfaces.iter().map(interface).collect(),
        pages_dir: web.pages_dir.clone(),
        // A worker has nothing to say there.
        old_ports: if worker { Vec::new() } else { old_ports(settings) },
        allow_unauthenticated: settings.observatory.allow_unauthenticated,
        proxy: callboard_web::ProxySettings {
            alertmanager_url: settings.proxy.alertmanager_url.as_ref().map(ToString::to_string),
            prometheus_url: settings.proxy.prometheus_url.as_ref().map(ToString::to_string),
            timeout: settings.proxy.timeout,
            max_answer: settings.proxy.max_answer.as_usize(),
        },
        // A worker has none: its console would find nothing there.
        terminal: None,
    }
}

/// The web terminal, if there is to be one. `console`: whether this program has the command that it runs by default.
///
/// # Errors
/// The program that it is to run cannot be.
#[cfg(feature = "web")]
pub(crate) fn terminal(
    settings: &Settings,
    console: bool,
) -> Result<Option<callboard_web::TerminalSettings>, TerminalSetupError> {
    let terminal = &settings.terminal;
    if !terminal.enabled || (terminal.command == CONSOLE && !console) {
        return Ok(None);
    }
    let command = match terminal.commands.iter().find(|command| command.name == terminal.command) {
        None => callboard_web::TerminalCommand {
            name: CONSOLE.to_owned(),
            file: callboard_actors::jobs::command::executable()?,
            args: vec![CONSOLE.to_owned()],
            read_only_args: vec!["--readonly".to_owned()],
            is_console: true,
        },
        Some(command) => {
            let program = AllowList::new([&command.program])?;
            let program = program.resolve(&command.program).map_err(TerminalSetupError::Refused)?;
            callboard_web::TerminalCommand {
                name: command.name.clone(),
                file: program.file().into(),
                args: command.args.clone(),
                read_only_args: command.read_only_args.clone(),
                is_console: false,
            }
        }
    };
    Ok(Some(callboard_web::TerminalSettings {
        command,
        origins: terminal.origins.clone(),
        read_only: terminal.read_only,
        idle_timeout: terminal.idle_timeout,
        absolute_timeout: terminal.absolute_timeout,
        per_address: terminal.per_address,
        max_sessions: terminal.max_sessions,
        grace: terminal.grace,
        reconnect_token: terminal.reconnect_token,
        ticket: terminal.ticket,
        ring: terminal.ring.as_usize(),
        ring_frames: terminal.ring_frames,
        ring_v2: terminal.ring_v2.as_usize(),
        window: terminal.window.as_usize(),
        ping: terminal.ping,
        dead_after: terminal.dead_after,
        kill_grace: terminal.kill_grace,
        recordings: terminal.recordings_dir.clone(),
        test_mode: terminal.test_mode,
    }))
}

/// What the terminal runs by default.
#[cfg(feature = "web")]
const CONSOLE: &str = "console";

/// Why there can be no web terminal.
#[cfg(feature = "web")]
#[derive(Debug, thiserror::Error)]
pub enum TerminalSetupError {
    /// The program cannot be allowed.
    #[error("`terminal.commands`: {0}")]
    Program(#[from] AllowListError),
    /// The program is not there.
    #[error("`terminal.commands`: {0}")]
    Refused(#[source] callboard_actors::jobs::command::Refusal),
    /// The system does not say where this program is.
    #[error("the web terminal cannot be set up: {0}")]
    System(#[from] std::io::Error),
}

#[cfg(feature = "web")]
fn interface(interface: &callboard_config::InterfaceSettings) -> callboard_contracts::api::InterfaceView {
    callboard_contracts::api::InterfaceView {
        name: interface.name.clone(),
        url: interface.url.to_string(),
        about: interface.about.clone(),
    }
}

/// The ports of the old system that are to be open beside the server's own.
#[cfg(feature = "web")]
fn old_ports(settings: &Settings) -> Vec<(callboard_web::OldPort, std::net::SocketAddr)> {
    use callboard_web::OldPort::{Gateway, Metrics, ReadModel, Terminal, TerminalMetrics, TerminalSocket};
    let observatory = &settings.observatory;
    if !observatory.ports {
        return Vec::new();
    }
    let read_model = settings.read_model_listen().map(|listen| (ReadModel, listen));
    let others = [(Gateway, observatory.gateway_listen), (Metrics, observatory.metrics_listen)];
    let terminal = [
        (Terminal, observatory.terminal_listen),
        (TerminalSocket, observatory.terminal_socket_listen),
        (TerminalMetrics, observatory.terminal_metrics_listen),
    ];
    others.into_iter().chain(read_model).chain(terminal).collect()
}
