//! Two servers and three workers, each with ways of its own to the servers outside.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, Stdio},
};

use callboard_testsupport::{Database, PrivatePostgres, PrivateRabbit, PrivateServer, Weather, Wire};
use rustix::process::Signal;

use super::{Times, verdict::until, work::Work};
use crate::{
    kill_matrix::node::{Node, ask},
    server::callboard,
};

/// The first nodes are servers, which run no jobs themselves; the others are workers.
pub(super) const SERVERS: usize = 2;
pub(super) const NODES: usize = 5;

/// How a node is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Usual,
    /// By the release before this one.
    Previous,
    /// Under a clock that is an hour ahead.
    HourAhead,
}

/// The ways of a node to the servers outside.
struct Ways {
    store: Wire,
    bus: Wire,
    counters: Wire,
    archive: Wire,
}

impl Ways {
    fn set(&self, weather: Weather) {
        for wire in [&self.store, &self.bus, &self.counters, &self.archive] {
            wire.set(weather);
        }
    }
}

pub(super) struct Fleet<'w> {
    pub(super) postgres: PrivatePostgres,
    pub(super) database: Database,
    pub(super) rabbit: PrivateRabbit,
    pub(super) redis: PrivateServer,
    pub(super) mongodb: PrivateServer,
    /// `None` while one is started again.
    nodes: Vec<(Ways, Option<Node>)>,
    work: &'w Work,
    times: Times,
}

impl<'w> Fleet<'w> {
    /// The servers outside, without anybody who works on them.
    pub(super) fn new(work: &'w Work, times: Times) -> Fleet<'w> {
        let postgres = PrivatePostgres::start_with(&[("max_connections", "300")]);
        let database = postgres.database();
        Fleet {
            database,
            postgres,
            rabbit: PrivateRabbit::start(),
            redis: PrivateServer::redis(),
            mongodb: PrivateServer::mongodb(),
            nodes: Vec::new(),
            work,
            times,
        }
    }

    /// Starts all nodes, and waits until they serve.
    pub(super) fn start(&mut self) -> Result<(), String> {
        for number in 0..NODES {
            let ways = Ways {
                store: Wire::to(self.postgres.port()),
                bus: Wire::to(self.rabbit.port()),
                counters: Wire::to(self.redis.port()),
                archive: Wire::to(self.mongodb.port()),
            };
            let node = self.node(number, &ways, How::Usual);
            self.nodes.push((ways, Some(node)));
        }
        (0..NODES).try_for_each(|number| self.running(number).serving().map(|_| ()))
    }

    fn node(&self, number: usize, ways: &Ways, how: How) -> Node {
        let mut command = match how {
            How::Usual => callboard(),
            How::Previous => previous().expect("looked for before"),
            How::HourAhead => {
                let mut command = callboard();
                command.env("LD_PRELOAD", faketime().expect("looked for before"));
                // What is waited for is measured by another clock, which a wrong time of day does not touch.
                command.envs([("FAKETIME", "+1h"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
                command
            }
        };
        if number < SERVERS {
            command.args(["serve", "--roles", "gateway,read-model,leader"]);
            command.args(["--set", r#"bus.consume=["jobs.created"]"#]);
        } else {
            command.args(["worker", "--concurrency", "32"]);
        }
        command.arg("--data").arg(self.work.folder().join(format!("data-{number}")));
        command.args(["--allow-program", "sh", "--set", &format!("system.node_name={}", name(number))]);
        for setting in ["store.backend=postgres", "store.writers=2"].iter().chain(self.times.settings) {
            command.args(["--set", setting]);
        }
        let store = format!("postgres://callboard@{}/{}", ways.store.address(), self.database.name());
        let at = |url: String, port: u16, wire: &Wire| {
            url.replace(&format!(":{port}"), &format!(":{}", wire.port()))
        };
        command.envs([
            ("CALLBOARD__STORE__URL", store),
            ("CALLBOARD__BUS__URL", at(self.rabbit.url(), self.rabbit.port(), &ways.bus)),
            ("CALLBOARD__COUNTERS__URL", at(self.redis.url(), self.redis.port(), &ways.counters)),
            ("CALLBOARD__ARCHIVE__URL", at(self.mongodb.url(), self.mongodb.port(), &ways.archive)),
        ]);
        Node::start(number, &self.work.addresses, command, &self.work.log_of(number))
    }

    /// What the ways of a node are like from now on, to all servers.
    pub(super) fn weather_of(&self, number: usize, weather: Weather) {
        self.nodes[number].0.set(weather);
    }

    /// The same for all nodes.
    pub(super) fn weather(&self, weather: Weather) {
        (0..NODES).for_each(|number| self.weather_of(number, weather));
    }

    pub(super) fn kill(&mut self, number: usize) {
        self.running(number).kill();
    }

    pub(super) fn signal(&mut self, number: usize, signal: Signal) {
        self.running(number).signal(signal);
    }

    /// Starts a node again, whose process has ended, and waits until it serves.
    pub(super) fn start_again(&mut self, number: usize, how: How) -> Result<(), String> {
        // What is left of the old one goes before the new one says where it listens.
        drop(self.nodes[number].1.take());
        let node = self.node(number, &self.nodes[number].0, how);
        self.nodes[number].1 = Some(node);
        self.running(number).serving().map(|_| ())
    }

    fn running(&mut self, number: usize) -> &mut Node {
        self.nodes[number].1.as_mut().expect("it was started")
    }

    /// Stops a node in good order.
    pub(super) fn stop(&mut self, number: usize) -> Result<(), String> {
        let node = self.running(number);
        node.signal(Signal::TERM);
        let status = node.end()?;
        if status.success() { Ok(()) } else { Err(format!("{} stopped with {status}", name(number))) }
    }

    /// The node that leads now, as soon as a server says so.
    pub(super) fn leader(&self) -> Result<usize, String> {
        until("a server says who leads", || self.leader_now())
    }

    fn leader_now(&self) -> Result<usize, String> {
        let servers = (0..SERVERS).filter_map(|number| self.work.addresses.of(number));
        let nodes = servers.filter_map(|address| ask(address, "GET", "/api/v1/nodes", "")).next();
        let nodes = nodes.ok_or("no server says who leads")?.json();
        let leads = nodes.as_array().into_iter().flatten().find(|node| node["leads"] == true);
        let leader = leads.and_then(|node| (0..NODES).find(|number| node["name"] == name(*number)));
        leader.ok_or_else(|| format!("nobody leads: {nodes}"))
    }

    /// What it has counted is gone.
    pub(super) fn empty_redis(&self) {
        let port = self.redis.port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port, "flushall"]).output();
        assert!(output.expect("redis-cli starts").status.success(), "Redis is there");
    }

    /// How often something stands in the logs of all nodes.
    pub(super) fn said(&self, words: &str) -> usize {
        (0..NODES).map(|number| self.work.said_by(number).matches(words).count()).sum()
    }
}

pub(super) fn name(number: usize) -> String {
    format!("node-{number}")
}

/// The program of the release before this one, if it was built (`scripts/faults`).
pub(super) fn previous() -> Option<Command> {
    let path = std::env::var_os("CALLBOARD_TEST_PREVIOUS")?;
    let mut command = callboard();
    let variables: Vec<(OsString, Option<OsString>)> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    command = Command::new(path);
    for (name, _) in variables {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    Some(command)
}

/// The library that gives a process another time of day (Debian: faketime), if it is there.
pub(super) fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}
