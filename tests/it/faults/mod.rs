//! Two servers and three workers on PostgreSQL, RabbitMQ, Redis and MongoDB, under load, while one thing after the other goes
//! wrong: nothing is lost, nothing recorded is doubled, and work flows again soon.
//!
//! The short form plays each fault for some seconds, with sessions that end as soon; `scripts/faults` plays them with the
//! defaults, and all of them at random for ten minutes, and writes `docs/faults.md` with `--update`.

mod fault;
mod fleet;
mod full_disk;
mod outsiders;
mod row;
mod verdict;
pub(crate) mod work;

use std::{
    env,
    time::{Duration, Instant},
};

use self::{
    fault::{Fault, Struck},
    fleet::{Fleet, NODES, SERVERS},
    outsiders::Heard,
    row::Row,
    verdict::Counts,
    work::Work,
};
use crate::{checksums::Random, kill_matrix::table};

const PAGE: &str = "docs/faults.md";
const BEGIN: &str = "<!-- faults: begin (scripts/faults --update) -->";
const END: &str = "<!-- faults: end -->";
/// How many events there are before anything goes wrong.
const UNDER_WAY: usize = 200;

/// How long things take.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// A fault lasts.
    lasts: Duration,
    /// RabbitMQ is away.
    broker: Duration,
    /// Everything happens at random.
    random: Duration,
    /// The disk is full.
    full: Duration,
    settings: &'static [&'static str],
}

const SHORT: Times = Times {
    lasts: Duration::from_secs(4),
    broker: Duration::from_secs(5),
    random: Duration::from_secs(10),
    full: Duration::from_secs(2),
    settings: &[
        "rescuer.session_ttl=2s",
        "rescuer.heartbeat=300ms",
        "rescuer.interval=300ms",
        "store.connect_timeout=1s",
        "store.busy_timeout=1s",
        "store.statement_timeout=2s",
        "store.write_timeout=3s",
        "bus.backoff_max=1s",
    ],
};
/// With the defaults of the program, past whose sessions of 10 s a fault lasts.
const LONG: Times = Times {
    lasts: Duration::from_secs(20),
    broker: Duration::from_secs(60),
    random: Duration::from_secs(600),
    full: Duration::from_secs(20),
    settings: &[],
};

impl Times {
    fn of(self, fault: Fault) -> Duration {
        match fault {
            Fault::BrokerAway => self.broker,
            Fault::BrokerRestarted | Fault::DatabaseRestarted | Fault::RedisFlushed => Duration::ZERO,
            _ => self.lasts,
        }
    }
}

/// A fleet at work, and what was counted of it so far.
struct Play<'w> {
    work: &'w Work,
    fleet: Fleet<'w>,
    heard: Heard,
    times: Times,
    before: Counts,
}

impl Play<'_> {
    /// Plays something that goes wrong, from a fleet at rest to a fleet at rest.
    fn round(
        &mut self,
        words: String,
        act: impl FnOnce(&mut Self, &mut Row) -> Result<(), String>,
    ) -> Result<Row, String> {
        println!("{words}");
        let mut row = Row::new(words);
        let told = self.work.log.events().len();
        self.work.rest(false);
        self.work
            .log
            .until("the work is under way", |events| (events.len() > told + UNDER_WAY).then_some(()))?;
        act(self, &mut row)?;
        self.work.rest(true);
        verdict::settle(self.work, &self.fleet, &self.heard)?;
        let counts = verdict::count(self.work, &self.fleet, &self.heard, &mut row.problems);
        row.counts = counts.since(self.before);
        self.before = counts;
        // As soon as it is known: a run takes half an hour.
        print!("{}", row.line());
        Ok(row)
    }

    fn fault(&mut self, fault: Fault) -> Result<Row, String> {
        self.round(fault.words().to_owned(), |play, row| {
            let time = play.times.of(fault);
            let (struck, until) = play.strike(fault, time)?;
            if fault.takes_a_session() {
                let began = Instant::now();
                play.work.ended(&play.work.under_way())?;
                row.taken_over = Some(began.elapsed());
            }
            struck.last_until(&play.fleet, until);
            struck.heal(&mut play.fleet)?;
            row.lasted = time;
            row.flows = play.flows()?;
            Ok(())
        })
    }

    fn strike(&mut self, fault: Fault, time: Duration) -> Result<(Struck, Instant), String> {
        let struck = fault.strike(&mut self.fleet)?;
        Ok((struck, Instant::now() + time))
    }

    /// How long it takes until new jobs have ended, which were submitted through each server.
    fn flows(&self) -> Result<Duration, String> {
        let began = Instant::now();
        (0..SERVERS).try_for_each(|number| self.work.flows_through(number))?;
        Ok(began.elapsed())
    }

    /// One fault after the other, and sometimes two at once, for a time; the longest time until work flowed again is told.
    fn at_random(&mut self) -> Result<Row, String> {
        let (mut random, faults) = (Random::seeded(), Fault::at_random());
        let words =
            format!("all of these at random, sometimes two at a time, for {} s", self.times.random.as_secs());
        self.round(words, |play, row| {
            let end = Instant::now() + play.times.random;
            let mut played = 0;
            while Instant::now() < end {
                let mut any = || faults[usize::try_from(random.below(faults.len() as u64)).expect("few")];
                let mut chosen = vec![any()];
                let second = any();
                if second.subject() != chosen[0].subject() {
                    chosen.push(second);
                }
                // Who leads can be asked while all servers are there.
                chosen.sort_by_key(|fault| fault.subject() != fault::Subject::Nodes);
                let time = Duration::from_millis(200 + random.below(play.times.lasts.as_millis() as u64));
                println!("  for {time:?}: {chosen:?}");
                let struck: Result<Vec<_>, _> =
                    chosen.iter().map(|fault| fault.strike(&mut play.fleet)).collect();
                let until = Instant::now() + time;
                let mut struck = struck?;
                struck.iter().for_each(|struck| struck.last_until(&play.fleet, until));
                // What nodes need to start is there before they are started.
                struck.sort_by_key(|struck| struck.fault.subject() == fault::Subject::Nodes);
                struck.into_iter().try_for_each(|struck| struck.heal(&mut play.fleet))?;
                row.flows = row.flows.max(play.flows()?);
                played += chosen.len();
            }
            row.words = format!("{} ({played} faults)", row.words);
            row.lasted = play.times.random;
            Ok(())
        })
    }
}

/// Plays these on one fleet, and all at random at the end. Prints what could not be played.
fn play(times: Times, faults: &[Fault], random: bool) -> Vec<Row> {
    let work = Work::new(SERVERS);
    let heard = Heard::default();
    let mut rows = Vec::new();
    let played = work.while_followed(|scope| {
        let mut fleet = Fleet::new(&work, times);
        let broker = fleet.rabbit.url();
        outsiders::prepare(&broker)?;
        work.rest(true);
        let (broker, work, told) = (&*broker.leak(), &work, heard.clone());
        scope.spawn(move || outsiders::listen(work, broker, &told));
        fleet.start()?;
        scope.spawn(move || outsiders::give_jobs(work, broker));
        let busy: Vec<_> = (0..SERVERS).map(|number| scope.spawn(move || work.keep_busy(number))).collect();
        let mut play = Play { work, fleet, heard, times, before: Counts::default() };
        for fault in faults {
            match fault.missing() {
                Some(why) => println!("left out: {}: {why}", fault.words()),
                None => rows.push(play.fault(*fault)?),
            }
        }
        if random {
            rows.push(play.at_random()?);
        }
        work.end();
        for busy in busy {
            busy.join().map_err(|_| "whoever submits has panicked".to_owned())??;
        }
        (0..NODES).try_for_each(|number| play.fleet.stop(number))
    });
    let unwell = rows.iter().any(|row| !row.problems.is_empty());
    if let Err(problem) = &played {
        rows.push(Row { problems: vec![problem.clone()], ..Row::new("the play itself".to_owned()) });
    }
    if unwell || played.is_err() {
        for number in 0..NODES {
            let log = work.said_by(number);
            let last: Vec<&str> = log.lines().rev().take(25).collect();
            println!("the end of the log of node {number}, newest first:\n{}", last.join("\n"));
        }
    }
    rows
}

fn prove(rows: &[Row]) {
    println!("{}", row::markdown(rows));
    let broken: Vec<&Row> = rows.iter().filter(|row| !row.problems.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What is played in the short form: what has no other test, and what costs seconds only.
const SOME: [Fault; 8] = [
    Fault::WorkerKilled,
    Fault::LeaderKilled,
    Fault::BrokerRestarted,
    Fault::DatabaseRestarted,
    Fault::RedisFlushed,
    Fault::MongodbStopped,
    Fault::NodeHalfCutOff,
    Fault::SlowNetwork,
];

#[test]
fn a_fleet_loses_and_doubles_nothing_whatever_goes_wrong() {
    prove(&play(SHORT, &SOME, true));
}

#[test]
fn a_full_disk_loses_and_doubles_nothing() {
    match full_disk::play(SHORT) {
        Ok(row) => prove(&[row]),
        Err(full_disk::NotHere(why)) => eprintln!("left out: {why}"),
    }
}

/// `FAULTS=Broker` plays those whose names begin so; `UPDATE_DOCS=1` writes the table.
#[test]
#[ignore = "half an hour: scripts/faults"]
fn everything_that_can_go_wrong() {
    let only = env::var("FAULTS").unwrap_or_default();
    let chosen = |name: &str| name.starts_with(&only);
    let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| chosen(&format!("{fault:?}"))).collect();
    let mut rows = Vec::new();
    if !faults.is_empty() || chosen("Random") {
        rows.extend(play(LONG, &faults, chosen("Random")));
    }
    if chosen("FullDisk") {
        match full_disk::play(LONG) {
            Ok(row) => rows.insert(rows.len() - usize::from(chosen("Random")), row),
            Err(full_disk::NotHere(why)) => println!("left out: a full disk: {why}"),
        }
    }
    prove(&rows);
    if env::var_os("UPDATE_DOCS").is_some() && only.is_empty() {
        table::write(PAGE, BEGIN, &row::markdown(&rows), END);
    }
}
