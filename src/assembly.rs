//! From settings to what the packages take.

use std::{path::PathBuf, sync::Arc};

use callboard_actors::{
    edges::store::{
        SqliteOptions, SqliteStore, Store,
        record::{QueueSettings, Retention},
    },
    jobs::{
        JobDefaults, RetryPolicy,
        command::{AllowList, AllowListError, CommandRunner, KeepWorkspace},
    },
    roles::{RolesConfig, UnknownTypes},
};
use callboard_config::{self as config, Settings};

/// The database below the data folder.
pub(crate) const DATABASE: &str = "callboard.db";

/// The node's name: the configured one, or the host's.
pub(crate) fn node_name(settings: &Settings) -> String {
    settings.system.node_name.clone().unwrap_or_else(|| {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if name.is_empty() { "node".to_owned() } else { name }
    })
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
        max_result: settings.jobs.max_result.as_usize(),
        cancel_grace: settings.jobs.cancel_grace,
        heartbeat: settings.rescuer.heartbeat,
        session_ttl: settings.rescuer.session_ttl,
        rescue_interval: settings.rescuer.interval,
        quarantine_after: settings.rescuer.quarantine_after,
        sole_owner: true,
        schedule_poll: settings.scheduler.poll,
        retention: Retention {
            completed: retention.completed,
            cancelled: retention.cancelled,
            discarded: retention.discarded,
            events: retention.events,
            events_max: retention.events_max,
            batch: u32::try_from(retention.batch).unwrap_or(u32::MAX),
        },
        retention_interval: retention.interval,
        ..RolesConfig::default()
    }
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

/// How the store is opened, each time that it is.
pub(crate) fn open_store(
    settings: &Settings,
) -> Arc<dyn Fn() -> Result<Arc<dyn Store>, callboard_actors::edges::store::StoreError> + Send + Sync> {
    let store = &settings.store;
    let path: PathBuf = settings.data.dir.join(DATABASE);
    let options = SqliteOptions {
        durability: match store.durability {
            config::Durability::Full => callboard_actors::edges::store::Durability::Full,
            config::Durability::Relaxed => callboard_actors::edges::store::Durability::Relaxed,
        },
        readers: store.readers,
        busy_timeout: store.busy_timeout,
        write_timeout: store.write_timeout,
        min_free_space: store.min_free_space.bytes(),
        node: node_name(settings),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..SqliteOptions::new(path)
    };
    Arc::new(move || Ok(SqliteStore::open(options.clone())? as Arc<dyn Store>))
}

#[cfg(feature = "web")]
pub(crate) fn web(settings: &Settings) -> callboard_web::WebSettings {
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
        listen: web.listen,
        hosts: web.hosts.clone(),
        tokens: single.chain(named).collect(),
        max_body: web.max_body.as_usize(),
        max_json_depth: web.max_json_depth,
        max_batch: web.max_batch,
        request_timeout: web.request_timeout,
        workers: web.workers,
        max_connections: web.max_connections,
        sse_max_clients: web.sse_max_clients,
    }
}
