//! Typed settings of Callboard and their sources.
//!
//! A [`Loader`] puts `default.toml`, files, environment variables (`CALLBOARD__SECTION__KEY`) and flags, in rising order,
//! together to [`Settings`], and knows of each value where it was set. What is wrong is reported all at once, with key,
//! place and what would be right. A [`Configuration`] reads them again while the program runs, and says what of a change is taken
//! up at once and what needs a restart.

mod byte_size;
mod change;
mod choice;
mod configuration;
mod cron;
mod database_url;
mod defaults;
mod document;
mod duration;
mod encryption;
mod http_secret;
mod interface;
mod job_type;
mod key;
mod labels;
mod layers;
mod live;
mod loader;
mod plain_url;
mod problem;
mod reader;
mod rules;
mod schema;
mod server_url;
mod settings;
mod source;
mod table;
mod telemetry_header;
mod terminal_command;
mod text;
mod token;
mod value;

pub use byte_size::{ByteSize, ParseSizeError};
pub use change::Change;
pub use choice::{
    Backfill, ContractQueue, CrashKind, Declare, Durability, InboundQueue, KeepWorkspace, LogFormat, Overlap,
    RestartStrategy, ServedBy, StoreBackend, TokenRole, UnfitJobs, UnknownTypes, Writer,
};
pub use configuration::{Configuration, Plan};
pub use cron::{CronEntries, CronEntrySettings, JsonTable};
pub use database_url::{DatabaseUrl, InvalidDatabaseUrl};
pub use defaults::DEFAULT_TOML;
pub use encryption::{EncryptionKeySettings, SecretTypeSettings};
pub use http_secret::HttpSecretSettings;
pub use interface::InterfaceSettings;
pub use job_type::JobTypeSettings;
pub use labels::LabelSettings;
pub use live::{is_live, section_of};
pub use loader::{Loaded, Loader};
pub use plain_url::{
    CollectorUrl, InterfaceUrl, InvalidCollectorUrl, InvalidInterfaceUrl, InvalidUpstreamUrl, UpstreamUrl,
};
pub use problem::{ConfigError, Problem};
pub use server_url::{BrokerUrl, InvalidBrokerUrl, InvalidMongodbUrl, InvalidRedisUrl, MongodbUrl, RedisUrl};
pub use settings::{
    ArchiveSettings, BusSettings, CommandSettings, CountersSettings, CronSettings, DataSettings,
    EncryptionSettings, HttpSettings, InboundSettings, JobsSettings, LogSettings, ObservatorySettings,
    ProxySettings, QueueSettings, RescuerSettings, RetentionSettings, RetrySettings, SchedulerSettings,
    Settings, StoreSettings, SystemSettings, TelemetrySettings, WebSettings, WorkerSettings,
};
pub use source::{EffectiveValue, Source};
pub use telemetry_header::TelemetryHeaderSettings;
pub use terminal_command::TerminalCommandSettings;
pub use token::TokenSettings;
