//! What can go wrong.

use std::{
    thread,
    time::{Duration, Instant},
};

use callboard_testsupport::Weather;
use rustix::process::Signal;

use super::fleet::{self, Fleet, How};

/// The workers that something happens to.
const KILLED: usize = 2;
const STOPPED: usize = 3;
const CUT_OFF: usize = 4;
const HALF_CUT_OFF: usize = 3;
/// A server and a worker that are started in another way.
const OTHERS: [usize; 2] = [1, 2];

/// Something that goes wrong for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    WorkerKilled,
    WorkerStopped,
    LeaderKilled,
    BrokerRestarted,
    BrokerAway,
    DatabaseRestarted,
    ConnectionsDropped,
    RedisStopped,
    RedisFlushed,
    MongodbStopped,
    NodeCutOff,
    NodeHalfCutOff,
    SlowNetwork,
    HourAhead,
    TwoVersions,
}

/// What a fault needs for as long as it lasts. Two that need the same cannot be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Nodes,
    Network,
    Broker,
    Database,
    Redis,
    Mongodb,
}

impl Fault {
    pub(super) const ALL: [Fault; 15] = [
        Fault::WorkerKilled,
        Fault::WorkerStopped,
        Fault::LeaderKilled,
        Fault::BrokerRestarted,
        Fault::BrokerAway,
        Fault::DatabaseRestarted,
        Fault::ConnectionsDropped,
        Fault::RedisStopped,
        Fault::RedisFlushed,
        Fault::MongodbStopped,
        Fault::NodeCutOff,
        Fault::NodeHalfCutOff,
        Fault::SlowNetwork,
        Fault::HourAhead,
        Fault::TwoVersions,
    ];

    /// Those that may happen at any time, and two of them at once.
    pub(super) fn at_random() -> Vec<Fault> {
        let others = [Fault::HourAhead, Fault::TwoVersions];
        Fault::ALL.into_iter().filter(|fault| !others.contains(fault)).collect()
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Fault::WorkerKilled => "a worker is killed (`kill -9`), and started again later",
            Fault::WorkerStopped => "a worker stands still (SIGSTOP) past its session, and goes on",
            Fault::LeaderKilled => "the node that leads is killed, and started again later",
            Fault::BrokerRestarted => "RabbitMQ is restarted",
            Fault::BrokerAway => "RabbitMQ is away",
            Fault::DatabaseRestarted => "PostgreSQL is restarted",
            Fault::ConnectionsDropped => "PostgreSQL drops every connection again and again",
            Fault::RedisStopped => "Redis is away",
            Fault::RedisFlushed => "Redis is emptied",
            Fault::MongodbStopped => "MongoDB is away",
            Fault::NodeCutOff => "a worker is cut off from all servers, both ways",
            Fault::NodeHalfCutOff => "a worker is heard by all servers, and hears none",
            Fault::SlowNetwork => "200 ms latency and 5 % loss between all nodes and all servers",
            Fault::HourAhead => "the clocks of a server and a worker are an hour ahead",
            Fault::TwoVersions => "a server and a worker are of the release before",
        }
    }

    pub(super) fn subject(self) -> Subject {
        match self {
            Fault::WorkerKilled
            | Fault::WorkerStopped
            | Fault::LeaderKilled
            | Fault::HourAhead
            | Fault::TwoVersions => Subject::Nodes,
            Fault::NodeCutOff | Fault::NodeHalfCutOff | Fault::SlowNetwork => Subject::Network,
            Fault::BrokerRestarted | Fault::BrokerAway => Subject::Broker,
            Fault::DatabaseRestarted | Fault::ConnectionsDropped => Subject::Database,
            Fault::RedisStopped | Fault::RedisFlushed => Subject::Redis,
            Fault::MongodbStopped => Subject::Mongodb,
        }
    }

    /// Why it cannot be played here, if it cannot.
    pub(super) fn missing(self) -> Option<&'static str> {
        match self {
            Fault::HourAhead if fleet::faketime().is_none() => Some("faketime is not installed"),
            Fault::TwoVersions if fleet::previous().is_none() => {
                Some("CALLBOARD_TEST_PREVIOUS names no program of the release before (`scripts/faults` does)")
            }
            _ => None,
        }
    }

    /// Whether it takes a node's session, so that others have to run its jobs.
    pub(super) fn takes_a_session(self) -> bool {
        matches!(
            self,
            Fault::WorkerKilled
                | Fault::WorkerStopped
                | Fault::LeaderKilled
                | Fault::NodeCutOff
                | Fault::NodeHalfCutOff
        )
    }

    /// Begins it. What [`Struck`] says is needed to end it.
    pub(super) fn strike(self, fleet: &mut Fleet<'_>) -> Result<Struck, String> {
        let mut node = None;
        match self {
            Fault::WorkerKilled => fleet.kill(KILLED),
            Fault::WorkerStopped => fleet.signal(STOPPED, Signal::STOP),
            Fault::LeaderKilled => {
                let leader = fleet.leader()?;
                fleet.kill(leader);
                node = Some(leader);
            }
            Fault::BrokerRestarted | Fault::BrokerAway => fleet.rabbit.stop(),
            Fault::DatabaseRestarted => fleet.postgres.stop(),
            Fault::ConnectionsDropped => {}
            Fault::RedisStopped => fleet.redis.stop(),
            Fault::RedisFlushed => fleet.empty_redis(),
            Fault::MongodbStopped => fleet.mongodb.stop(),
            Fault::NodeCutOff => fleet.weather_of(
                CUT_OFF,
                Weather { silent_to_server: true, silent_to_client: true, ..Weather::default() },
            ),
            Fault::NodeHalfCutOff => {
                fleet.weather_of(HALF_CUT_OFF, Weather { silent_to_client: true, ..Weather::default() });
            }
            Fault::SlowNetwork => fleet.weather(Weather {
                latency: Duration::from_millis(200),
                lost_percent: 5,
                ..Weather::default()
            }),
            Fault::HourAhead => restart(fleet, How::HourAhead)?,
            Fault::TwoVersions => restart(fleet, How::Previous)?,
        }
        Ok(Struck { fault: self, node })
    }
}

/// A fault that lasts.
pub(super) struct Struck {
    pub(super) fault: Fault,
    node: Option<usize>,
}

impl Struck {
    /// Lets it last until then.
    pub(super) fn last_until(&self, fleet: &Fleet<'_>, until: Instant) {
        let left = || until.saturating_duration_since(Instant::now());
        if self.fault == Fault::ConnectionsDropped {
            while !left().is_zero() {
                fleet.database.disconnect_all();
                // The fault is this very time.
                thread::sleep(left().min(Duration::from_millis(200)));
            }
        }
        thread::sleep(left());
    }

    /// Ends it.
    pub(super) fn heal(self, fleet: &mut Fleet<'_>) -> Result<(), String> {
        match self.fault {
            Fault::WorkerKilled => fleet.start_again(KILLED, How::Usual)?,
            Fault::WorkerStopped => fleet.signal(STOPPED, Signal::CONT),
            Fault::LeaderKilled => fleet.start_again(self.node.ok_or("nobody was killed")?, How::Usual)?,
            Fault::BrokerRestarted | Fault::BrokerAway => fleet.rabbit.start_again(),
            Fault::DatabaseRestarted => fleet.postgres.start_again(),
            Fault::ConnectionsDropped | Fault::RedisFlushed => {}
            Fault::RedisStopped => fleet.redis.start(),
            Fault::MongodbStopped => fleet.mongodb.start(),
            Fault::NodeCutOff | Fault::NodeHalfCutOff | Fault::SlowNetwork => {
                fleet.weather(Weather::default());
            }
            Fault::HourAhead | Fault::TwoVersions => restart(fleet, How::Usual)?,
        }
        Ok(())
    }
}

/// One after the other, as one does it.
fn restart(fleet: &mut Fleet<'_>, how: How) -> Result<(), String> {
    OTHERS.into_iter().try_for_each(|number| {
        fleet.stop(number)?;
        fleet.start_again(number, how)
    })
}
