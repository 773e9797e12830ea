//! One case of the matrix: jobs run, a process is killed or stopped at one place, and the work goes on to its end.

use std::{fs, sync::OnceLock, thread};

use callboard_actors::Failpoint;
use callboard_testsupport::PrivatePostgres;

use super::{alone, fleet, log::Log, node::Fault, scene::Scene, verdict::Row};

/// What keeps the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// A file, for one process: the next one takes over.
    Sqlite,
    /// A database, for three processes: the others go on.
    Postgres,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) backend: Backend,
    pub(super) failpoint: Failpoint,
    pub(super) fault: Fault,
    /// Decides which hit of the failpoint it is.
    pub(super) chance: u64,
}

impl Case {
    /// Which hit of the place it is: one of those that come in every run.
    pub(super) fn hit(self) -> u64 {
        let hits = match self.failpoint.name {
            "run.begin" | "run.before" | "run.during" | "run.after" | "run.reported" | "command.running" => 8,
            "session.renew" | "session.renewed" => 4,
            "submit.received" | "submit.answer.before" | "enqueue.commit.before" | "enqueue.commit.after" => {
                3
            }
            "complete.commit.before" | "complete.commit.after" | "outcomes.answered" => 2,
            _ => 1,
        };
        1 + self.chance % hits
    }

    pub(super) fn way(self) -> Way {
        match self.failpoint.name {
            name if name.starts_with("rescue.") || name.starts_with("leader.") => Way::AfterADeath,
            name if name.starts_with("session.open.") => Way::Newcomer,
            name if name.starts_with("session.close.") => Way::Drain,
            name if name.starts_with("release.") || name.starts_with("drain.") => Way::Drain,
            name if name.starts_with("prune.") => Way::Retention,
            _ => Way::Jobs,
        }
    }
}

/// What has to be done so that a process comes to a failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Jobs alone.
    Jobs,
    /// Another process dies before, with jobs under way.
    AfterADeath,
    /// It is started while jobs are under way.
    Newcomer,
    /// It is asked to stop while jobs are under way.
    Drain,
    /// Cancelled jobs are deleted at once.
    Retention,
}

/// Servers that several cases use.
#[derive(Default)]
pub(super) struct Servers(OnceLock<PrivatePostgres>);

impl Servers {
    /// Nobody else's: it has many clients at a time.
    pub(super) fn postgres(&self) -> &PrivatePostgres {
        self.0.get_or_init(|| PrivatePostgres::start_with(&[("max_connections", "400")]))
    }
}

/// Plays a case to its end and judges it.
pub(super) fn play(case: Case, servers: &Servers) -> Row {
    let scene = Scene::new(case, servers);
    let played = thread::scope(|scope| {
        let _closing = Closing(&scene.log);
        scope.spawn(|| scene.log.follow(|| scene.bystander()));
        match case.backend {
            Backend::Sqlite => alone::play(&scene, scope),
            Backend::Postgres => fleet::play(&scene, scope),
        }
    });
    let mut row = played.unwrap_or_else(|problem| Row::failed(case, problem));
    row.problems.extend(scene.log.broken());
    if !row.problems.is_empty() {
        println!("{case:?}: {:#?}", row.problems);
        for number in 0..3 {
            let log = fs::read_to_string(scene.log_of(number)).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(25).collect();
            println!("the end of the log of process {number}, newest first:\n{}", last.join("\n"));
        }
    }
    row
}

/// Closes the log, whatever happens, so that nobody follows it for ever.
struct Closing<'l>(&'l Log);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
