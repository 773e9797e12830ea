//! How the roles of a node are set up.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use callboard_contracts::{Labels, api::CronDefinition, name};

use super::{
    InboundConfig, OutletConfig, Publisher,
    bounds::BoundsByType,
    queue::QueueSupervision,
    role_set::{Role, RoleSet},
};
use crate::{
    cron,
    edges::{
        bus::BusNumbers,
        outside::Outside,
        sink::SinkSpec,
        store::record::{QueueSettings, Retention},
        telemetry::Telemetry,
    },
    encryption::{Keyring, SecretsByType, vault::Secrets},
    jobs::{JobDefaults, JobRegistry, LogLimits, MAX_ATTEMPTS},
};

/// What becomes of contract jobs of a type that nobody handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownTypes {
    /// They wait, `pending`, until a node handles their type.
    #[default]
    Hold,
    /// They are refused.
    Refuse,
}

/// How the roles of a node are set up. [`Default`] is what the shipped server does without configuration.
#[derive(Clone, Debug)]
pub struct RolesConfig {
    /// The node's name, in sessions, logs and events.
    pub node: String,
    /// The program's version, in sessions.
    pub version: String,
    /// The queues that this node serves. Jobs for any other are refused.
    pub queues: Vec<QueueSettings>,
    /// What holds for a job type that does not say otherwise.
    pub defaults: JobDefaults,
    /// What becomes of contract jobs of a type that nobody handles.
    pub unknown_types: UnknownTypes,
    /// The largest payload of a job, with its metadata, in bytes.
    pub max_payload: usize,
    /// The same for jobs of these queues. The smallest limit that concerns a job holds.
    pub queue_payloads: BTreeMap<String, usize>,
    /// What holds for jobs of these types, beside what the types themselves say.
    pub job_types: BoundsByType,
    /// Waiting jobs of all queues together after which new ones are refused.
    pub max_backlog: u64,
    /// The largest result of a job, in bytes. A larger one fails the job for good.
    pub max_result: usize,
    /// How much of what attempts say is kept.
    pub log_limits: LogLimits,
    /// How long an attempt that is to end may take to do so by itself.
    pub cancel_grace: Duration,
    /// How often the node says that it lives.
    pub heartbeat: Duration,
    /// For how long a node must not have said so to be dead.
    pub session_ttl: Duration,
    /// How often the rescuer looks for dead sessions.
    pub rescue_interval: Duration,
    /// After how many runs that died with their node a job waits in quarantine until somebody runs it again; 0: never.
    pub quarantine_after: u32,
    /// Whether no other process can be on the store, so that every other session found at the start is dead. True for
    /// a store that one process holds by a lock.
    pub sole_owner: bool,
    /// How long the scheduler sleeps at most; it wakes by itself when a job is due.
    pub schedule_poll: Duration,
    /// How long a producer goes without looking for jobs at most; it is woken when there are any.
    pub claim_poll: Duration,
    /// How long finished things are kept.
    pub retention: Retention,
    /// How often what has outlived its retention is deleted.
    pub retention_interval: Duration,
    /// Where spans of traces are recorded. By default nowhere.
    pub telemetry: Telemetry,
    /// Who outside is told what happens. By default nobody.
    pub sinks: Vec<SinkSpec>,
    /// The numbers of the bus, if there is one.
    pub bus_numbers: BusNumbers,
    /// The servers outside that it works with beside its store. By default none.
    pub outside: Outside,
    /// How messages of other programs are taken in.
    pub inbound: InboundConfig,
    /// How the actors of these queues are supervised, and what pauses them; what holds for others is the default.
    pub supervision: BTreeMap<String, QueueSupervision>,
    /// Of `queues`, those whose jobs are done by workers outside, by name. By default none.
    pub outlets: BTreeMap<String, OutletConfig>,
    /// What sends messages outside. A node without it leaves that to others.
    pub publisher: Option<Publisher>,
    /// What the node does. Default: everything.
    pub roles: RoleSet,
    /// Of its queues, those whose jobs it runs; `None`: all. Jobs for the others it takes in all the same.
    pub serves: Option<BTreeSet<String>>,
    /// What it has, for queues that ask for it. Default: nothing.
    pub labels: Labels,
    /// What nodes must have to run the jobs of these queues; said to the store at each beginning. What is not said here stays
    /// as it is.
    pub queue_labels: BTreeMap<String, Labels>,
    /// How long the audit trail is kept, and what nodes were told.
    pub audit_kept: Duration,
    /// Entries of the cron table that are there while this node leads. A configuration without any leaves those of other nodes.
    pub cron: BTreeMap<String, CronDefinition>,
    /// The same of the program itself, which cannot change while it runs.
    pub cron_of_program: BTreeMap<String, CronDefinition>,
    /// What secret values of jobs are encrypted with. By default nothing.
    pub keys: Keyring,
    /// Which values of jobs are secret, beside those that the types themselves mark.
    pub secrets: SecretsByType,
}

impl Default for RolesConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        RolesConfig {
            node: "node".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queues: vec![QueueSettings {
                name: "default".to_owned(),
                concurrency: 50,
                max_backlog: 1_000_000,
            }],
            defaults: JobDefaults::default(),
            unknown_types: UnknownTypes::default(),
            max_payload: 256 * 1024,
            queue_payloads: BTreeMap::new(),
            job_types: BoundsByType::new(),
            max_backlog: 10_000_000,
            max_result: 16 * 1024 * 1024,
            log_limits: LogLimits::default(),
            cancel_grace: Duration::from_secs(5),
            heartbeat: Duration::from_secs(2),
            session_ttl: Duration::from_secs(10),
            rescue_interval: Duration::from_secs(5),
            quarantine_after: 3,
            sole_owner: true,
            schedule_poll: Duration::from_secs(1),
            claim_poll: Duration::from_secs(1),
            retention: Retention {
                completed: 7 * DAY,
                cancelled: 30 * DAY,
                discarded: 90 * DAY,
                events: 7 * DAY,
                events_max: 1_000_000,
                keys: DAY,
                inbox: 7 * DAY,
                inbox_max: 1_000_000,
                batch: 1000,
            },
            retention_interval: Duration::from_secs(60),
            telemetry: Telemetry::default(),
            sinks: Vec::new(),
            bus_numbers: BusNumbers::default(),
            outside: Outside::default(),
            inbound: InboundConfig::default(),
            supervision: BTreeMap::new(),
            outlets: BTreeMap::new(),
            publisher: None,
            roles: RoleSet::default(),
            serves: None,
            labels: Labels::default(),
            queue_labels: BTreeMap::new(),
            audit_kept: 90 * DAY,
            cron: BTreeMap::new(),
            cron_of_program: BTreeMap::new(),
            keys: Keyring::default(),
            secrets: SecretsByType::new(),
        }
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct InvalidSetting {
    /// Which one.
    pub setting: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl RolesConfig {
    /// Whether the node runs the jobs of this queue.
    pub(crate) fn serves(&self, queue: &str) -> bool {
        self.roles.has(Role::Processor) && self.serves.as_ref().is_none_or(|serves| serves.contains(queue))
    }

    /// How the actors of this queue are supervised, and what pauses it.
    pub(crate) fn supervision_of(&self, queue: &str) -> Cow<'_, QueueSupervision> {
        self.supervision.get(queue).map_or_else(|| Cow::Owned(QueueSupervision::default()), Cow::Borrowed)
    }

    /// Checks the settings, also against the job types that are to run.
    ///
    /// # Errors
    /// The first that cannot work.
    pub fn check(&self, registry: &JobRegistry) -> Result<(), InvalidSetting> {
        let refuse =
            |setting: &str, problem: String| Err(InvalidSetting { setting: setting.to_owned(), problem });
        let mut names = BTreeSet::new();
        for queue in &self.queues {
            let setting = format!("queues.{}", queue.name);
            if let Err(error) = name::check(&queue.name) {
                return refuse("queues", error.to_string());
            }
            if !names.insert(&*queue.name) {
                return refuse(&setting, "there are two queues of this name".to_owned());
            }
            if queue.concurrency == 0 || queue.max_backlog == 0 {
                return refuse(&setting, "concurrency and max_backlog must be at least 1".to_owned());
            }
            if let Some(problem) = self.supervision_of(&queue.name).problem() {
                return refuse(&setting, problem);
            }
        }
        let known = || names.iter().copied().collect::<Vec<_>>().join(", ");
        if !names.contains(&*self.defaults.queue) {
            let problem = format!("there is no queue {:?}; there are: {}", self.defaults.queue, known());
            return refuse("defaults.queue", problem);
        }
        if let Some(unknown) = self.serves.iter().flatten().find(|queue| !names.contains(&***queue)) {
            return refuse("serves", format!("there is no queue {unknown:?}; there are: {}", known()));
        }
        if self.serves.as_ref().is_some_and(BTreeSet::is_empty) && self.roles.has(Role::Processor) {
            return refuse("serves", "a node that runs jobs needs at least one queue".to_owned());
        }
        for job_type in registry.types() {
            if let Some(queue) = &job_type.options().queue
                && !names.contains(&**queue)
            {
                let problem = format!("its queue {queue:?} is not configured; there are: {}", known());
                return refuse(&format!("job type {:?}", job_type.name()), problem);
            }
        }
        for (job_type, bounds) in &self.job_types {
            if let Some(error) = bounds.needs.iter().find_map(|edge| name::check(edge).err()) {
                return refuse(&format!("job type {job_type:?}"), format!("an edge that it needs: {error}"));
            }
            if let Some(queue) = bounds.queue.as_deref().filter(|queue| !names.contains(queue)) {
                let problem = format!("its queue {queue:?} is not configured; there are: {}", known());
                return refuse(&format!("job type {job_type:?}"), problem);
            }
        }
        let secrets = match Secrets::new(registry, &self.secrets) {
            Ok(secrets) => secrets,
            Err((job_type, problem)) => return refuse(&format!("job type {job_type:?}"), problem),
        };
        if let Some(job_type) = secrets.required().filter(|_| self.keys.current().is_none()) {
            let problem = "its jobs must be encrypted, and there is no key: set `encryption.keys` and `encryption.current`";
            return refuse(&format!("job type {job_type:?}"), problem.to_owned());
        }
        if let Some(twice) = self.cron.keys().find(|name| self.cron_of_program.contains_key(*name)) {
            return refuse(&of_entry(twice, ""), "the program has an entry of this name".to_owned());
        }
        for (entry, definition) in self.cron.iter().chain(&self.cron_of_program) {
            if let Err(errors) = cron::check(entry, definition)
                && let Some(error) = errors.into_iter().next()
            {
                return refuse(&of_entry(entry, &error.pointer), error.message);
            }
            if let Some(queue) = definition.job.queue.as_deref().filter(|queue| !names.contains(queue)) {
                let problem = format!("there is no queue {queue:?}; there are: {}", known());
                return refuse(&of_entry(entry, "/queue"), problem);
            }
        }
        for (queue, outlet) in &self.outlets {
            let setting = format!("outlets.{queue}");
            if !names.contains(&**queue) {
                return refuse(&setting, format!("there is no queue of this name; there are: {}", known()));
            }
            if outlet.visibility_timeout.is_zero() {
                return refuse(&setting, "visibility_timeout must be longer than nothing".to_owned());
            }
        }
        let InboundConfig { on: _, max_message, max_depth, concurrency } = self.inbound;
        if max_message == 0 || max_depth == 0 || concurrency == 0 {
            return refuse("inbound", "max_message, max_depth and concurrency must be at least 1".to_owned());
        }
        if self.max_backlog == 0 {
            return refuse("max_backlog", "must be at least 1".to_owned());
        }
        if !(1..=MAX_ATTEMPTS).contains(&self.defaults.max_attempts) {
            return refuse("defaults.max_attempts", format!("must be from 1 to {MAX_ATTEMPTS}"));
        }
        if self.session_ttl < 2 * self.heartbeat {
            return refuse("session_ttl", "must be at least twice the heartbeat".to_owned());
        }
        let times = [
            ("defaults.timeout", self.defaults.timeout),
            ("heartbeat", self.heartbeat),
            ("rescue_interval", self.rescue_interval),
            ("schedule_poll", self.schedule_poll),
            ("claim_poll", self.claim_poll),
            ("retention_interval", self.retention_interval),
        ];
        match times.into_iter().find(|(_, time)| time.is_zero()) {
            Some((setting, _)) => refuse(setting, "must be longer than nothing".to_owned()),
            None => Ok(()),
        }
    }
}

/// The key of a part of an entry of the cron table, in whose tables what is said of the job stands with the rest.
fn of_entry(name: &str, pointer: &str) -> String {
    let part = pointer.strip_prefix("/job").unwrap_or(pointer);
    format!("cron.entries.{name}{}", part.replace('/', "."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Noop;

    fn problem(change: impl FnOnce(&mut RolesConfig)) -> String {
        let registry = JobRegistry::builder().register::<Noop>().build().unwrap();
        let mut config = RolesConfig::default();
        config.check(&registry).unwrap();
        change(&mut config);
        config.check(&registry).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert!(problem(|config| config.queues[0].name = "a b".into()).contains("no valid name"));
        assert!(problem(|config| config.queues.push(config.queues[0].clone())).contains("two queues"));
        assert!(problem(|config| config.queues[0].concurrency = 0).contains("at least 1"));
        assert!(problem(|config| config.queues[0].name = "mail".into()).contains("there are: mail"));
        assert!(problem(|config| config.heartbeat = config.session_ttl).contains("twice"));
        assert!(problem(|config| config.claim_poll = Duration::ZERO).contains("claim_poll"));
        let outlet = OutletConfig::default();
        assert!(
            problem(|config| drop(config.outlets.insert("x".into(), outlet.clone()))).contains("no queue")
        );
        let outlet = OutletConfig { visibility_timeout: Duration::ZERO, ..outlet };
        assert!(
            problem(|config| drop(config.outlets.insert("default".into(), outlet))).contains("visibility")
        );
        assert!(problem(|config| config.inbound.concurrency = 0).contains("concurrency"));
    }
}
