//! The cron table on nodes: entries of requests and of the configuration, and their times.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::{
    cron::{DueTime, Schedule, job_id},
    edges::store::{
        Clock, Operation, Outcome, PostgresOptions, PostgresStore, Store, StoreError,
        cron::{CronOperation, CronOutcome, NewCron},
        record::JobFilter,
    },
    roles::{
        RolesConfig,
        request::{
            DeleteCron, GetAudit, GetCron, ListCron, PauseCron, PreviewCron, PutCron, Refusal, RunCron,
            Signed, Who,
        },
    },
};
use callboard_contracts::{
    JobState, Timestamp,
    api::{CronBackfill, CronDefinition, CronJob, CronOverlap, CronResult, CronSource, CronView},
};
use callboard_testsupport::Database;
use serde_json::json;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::harness::{Folder, Node};

fn definition(expression: &str) -> CronDefinition {
    CronDefinition::new(expression, CronJob { job_type: "noop".into(), ..CronJob::default() })
}

async fn put(node: &Node, name: &str, definition: CronDefinition) -> Result<CronView, Refusal> {
    node.handles.gateway.ask(PutCron { name: name.into(), definition }).await.unwrap()
}

async fn entry(node: &Node, name: &str) -> Option<CronView> {
    node.handles.read_model.ask(GetCron { name: name.into() }).await.unwrap().unwrap()
}

async fn names(node: &Node) -> Vec<String> {
    let entries = node.handles.read_model.ask(ListCron).await.unwrap().unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

fn pointers(refusal: Refusal) -> Vec<String> {
    match refusal {
        Refusal::Invalid(errors) => errors.into_iter().map(|error| error.pointer).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_entry_stores_its_jobs_which_know_their_times() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let mut every_second = definition("* * * * * *");
    every_second.job.tags = vec!["mine".into()];
    every_second.job.metadata = Some(json!({"owner": "me"}).as_object().unwrap().clone());
    let shown = put(&node, "tick", every_second).await.unwrap();
    assert_eq!((shown.source, shown.next_times.len()), (CronSource::Api, 5));
    assert_eq!(shown.fires_at, Some(shown.next_times[0].at));
    let fired =
        node.until("two times", async || entry(&node, "tick").await.filter(|entry| entry.fired >= 2)).await;
    let firing = fired.firings.iter().find(|firing| firing.result == CronResult::Fired).unwrap();
    let job = node.reaches(firing.job_id.unwrap(), JobState::Completed).await;
    assert_eq!(job.summary.id, job_id("tick", firing.due));
    assert_eq!(job.summary.tags, ["mine", "cron:tick"]);
    let cron = json!({"name": "tick", "due": firing.due, "time_zone": "UTC"});
    assert_eq!(json!(job.metadata), json!({"owner": "me", "cron": cron}));
    assert!(firing.at >= firing.due);
    // Taken out, it is gone, and its jobs stay.
    node.handles.gateway.ask(DeleteCron { name: "tick".into() }).await.unwrap().unwrap();
    assert_eq!(entry(&node, "tick").await, None);
    node.job(job.summary.id).await;
    let metrics = node.handles.metrics.render();
    assert!(!metrics.contains("callboard_cron_times_total{result=\"fired\"} 0\n"), "{metrics}");
    node.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_entry_is_said_with_its_place() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let of = async |change: fn(&mut CronDefinition)| {
        let mut definition = definition("* * * * *");
        change(&mut definition);
        pointers(put(&node, "a", definition).await.unwrap_err())
    };
    assert_eq!(of(|entry| entry.expression = "soon".into()).await, ["/expression"]);
    assert_eq!(of(|entry| entry.expression = "0 0 31 2 *".into()).await, ["/expression"]);
    assert_eq!(of(|entry| entry.time_zone = "Mars/Olympus".into()).await, ["/time_zone"]);
    assert_eq!(of(|entry| entry.jitter_ms = 3_600_001).await, ["/jitter_ms"]);
    assert_eq!(of(|entry| entry.backfill_most = 0).await, ["/backfill_most"]);
    assert_eq!(of(|entry| entry.backfill_within_ms = u64::MAX).await, ["/backfill_within_ms"]);
    assert_eq!(of(|entry| entry.job.queue = Some("nowhere".into())).await, ["/job/queue"]);
    assert_eq!(of(|entry| entry.job.priority = Some(2000)).await, ["/job/priority"]);
    assert_eq!(of(|entry| entry.job.tags = vec![" ".into()]).await, ["/job/tags/0"]);
    assert_eq!(
        of(|entry| entry.job.metadata = json!({"cron": 1}).as_object().cloned()).await,
        ["/job/metadata/cron"]
    );
    assert_eq!(
        of(|entry| drop(entry.job.payload.insert("x".into(), json!("y".repeat(70_000))))).await,
        ["/job"]
    );
    for name in ["", "a b", "preview", "x/y"] {
        assert_eq!(pointers(put(&node, name, definition("* * * * *")).await.unwrap_err()), ["/name"]);
    }
    let mut unknown = definition("* * * * *");
    unknown.job.job_type = "unheard-of".into();
    assert!(matches!(put(&node, "a", unknown).await, Err(Refusal::UnknownType { .. })));
    assert!(names(&node).await.is_empty());
    let preview = PreviewCron { expression: "0 0 * * *".into(), time_zone: "UTC".into(), count: 0 };
    assert_eq!(pointers(node.handles.read_model.ask(preview).await.unwrap().unwrap_err()), ["/count"]);
    for gone in ["b", "preview"] {
        let refusal = node.handles.gateway.ask(DeleteCron { name: gone.into() }).await.unwrap().unwrap_err();
        assert_eq!(refusal, Refusal::NoSuchCron(gone.into()));
    }
    node.stop().await;
}

#[tokio::test]
async fn entries_are_paused_and_run_by_hand_and_the_trail_says_by_whom() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    put(&node, "yearly", definition("@yearly")).await.unwrap();
    let pause = |paused| PauseCron { name: "yearly".into(), paused };
    let paused = node.handles.gateway.ask(pause(true)).await.unwrap().unwrap();
    assert!(paused.paused_at.is_some() && paused.fires_at.is_none());
    assert_eq!(paused.next_times.len(), 5, "those that it would have");
    let who = Who { name: "me".into(), role: Some("operator".into()) };
    let run = Signed { who, request: RunCron { name: "yearly".into() } };
    let run = node.handles.gateway.ask(run).await.unwrap().unwrap();
    node.reaches(run.job_id, JobState::Completed).await;
    let resumed = node.handles.gateway.ask(pause(false)).await.unwrap().unwrap();
    assert_eq!((resumed.paused_at, resumed.fired), (None, 0));
    assert_eq!(resumed.fires_at, Some(resumed.next_times[0].at));
    assert_eq!(resumed.firings.iter().map(|firing| firing.result).collect::<Vec<_>>(), [CronResult::ByHand]);
    let trail = node.handles.read_model.ask(GetAudit { before: None, limit: 10 }).await.unwrap().unwrap();
    let done: Vec<_> = trail.entries.iter().map(|entry| (entry.action.as_str(), entry.by.as_str())).collect();
    assert_eq!(
        done,
        [
            ("cron.resume", "node test"),
            ("cron.run", "me"),
            ("cron.pause", "node test"),
            ("cron.put", "node test")
        ]
    );
    assert_eq!(trail.entries[1].outcome, format!("stored as {}", run.job_id));
    node.stop().await;
}

#[tokio::test]
async fn a_configuration_puts_its_entries_in_and_takes_them_out() {
    let folder = Folder::new();
    let of = |entries: &[(&str, &str)]| {
        let entries = entries.iter().map(|(name, expression)| ((*name).to_owned(), definition(expression)));
        RolesConfig { cron: entries.collect(), ..RolesConfig::default() }
    };
    let first = of(&[("a", "0 0 * * *"), ("b", "0 1 * * *")]);
    let node = Node::configured(&folder, |config| {
        config.cron = first.cron.clone();
        config.cron_of_program = BTreeMap::from([("own".to_owned(), definition("@daily"))]);
    })
    .await;
    node.until("all are there", async || (names(&node).await == ["a", "b", "own"]).then_some(())).await;
    let a = entry(&node, "a").await.unwrap();
    assert_eq!((a.source, a.set_by.as_str()), (CronSource::Configuration, "test"));
    // It is changed where it comes from.
    let refusal = put(&node, "a", definition("@hourly")).await.unwrap_err();
    assert!(matches!(&refusal, Refusal::CronHeld(why) if why.contains("comes from the configuration")));
    let refusal = node.handles.gateway.ask(DeleteCron { name: "own".into() }).await.unwrap().unwrap_err();
    assert!(matches!(refusal, Refusal::CronHeld(_)));
    put(&node, "mine", definition("@hourly")).await.unwrap();
    // While the node runs; a name that a request has taken stays its.
    let late =
        node.handles.retune(&of(&[("a", "30 0 * * *"), ("c", "@weekly"), ("mine", "@daily")])).await.unwrap();
    assert!(late.is_empty(), "{late:?}");
    node.until("it is taken up", async || (names(&node).await == ["a", "c", "mine", "own"]).then_some(()))
        .await;
    assert_eq!(entry(&node, "a").await.unwrap().definition.expression, "30 0 * * *");
    assert_eq!(entry(&node, "mine").await.unwrap().definition.expression, "@hourly");
    // Once the name is free, it is the configuration's; the other way round it is refused.
    let wrong = RolesConfig {
        cron: BTreeMap::from([("x".to_owned(), definition("often"))]),
        ..RolesConfig::default()
    };
    let refusal = node.handles.retune(&wrong).await.unwrap_err();
    assert_eq!(refusal.setting, "cron.entries.x.expression");
    node.handles.retune(&of(&[])).await.unwrap();
    node.until("they are gone", async || (names(&node).await == ["mine", "own"]).then_some(())).await;
    node.stop().await;
    // Another program, without any of its own, on the same file.
    let node = Node::start(&folder).await;
    node.until("it is gone", async || (names(&node).await == ["mine"]).then_some(())).await;
    node.stop().await;
}

#[tokio::test]
async fn an_entry_that_something_is_wrong_with_holds_up_no_other() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let now = node.store.now();
    // As another program may have stored it.
    let wrong = |name: &str, definition| {
        let next = Some(DueTime { due: now, fires_at: now });
        let entry = Box::new(NewCron { name: name.into(), definition, next });
        Operation::Cron(CronOperation::Put { entry, by: "another".into() })
    };
    let mut gone = definition("* * * * * *");
    gone.job.queue = Some("gone".into());
    for operation in [wrong("unreadable", definition("now and then")), wrong("gone", gone)] {
        assert_eq!(node.store.write(operation).await.unwrap(), Outcome::Cron(CronOutcome::Done));
    }
    put(&node, "good", definition("* * * * * *")).await.unwrap();
    node.until("it fires", async || entry(&node, "good").await.filter(|entry| entry.fired >= 2)).await;
    let gone = entry(&node, "gone").await.unwrap();
    assert!(gone.skipped > 0 && gone.firings[0].reason.as_ref().unwrap().contains("no queue"), "{gone:?}");
    let unreadable = entry(&node, "unreadable").await.unwrap();
    assert!(unreadable.description.contains("no cron expression"), "{unreadable:?}");
    assert_eq!((unreadable.fired, unreadable.fires_at), (0, Some(now)), "it waits");
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_still_runs_is_replaced() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let mut replacing = definition("* * * * * *");
    replacing.job.job_type = "hold".into();
    replacing.job.payload = json!({"stubborn": false}).as_object().unwrap().clone();
    replacing.overlap = CronOverlap::Replace;
    put(&node, "hold", replacing).await.unwrap();
    node.begun(2).await;
    let held =
        node.handles.gateway.ask(PauseCron { name: "hold".into(), paused: true }).await.unwrap().unwrap();
    let first = held.firings.last().unwrap();
    node.reaches(first.job_id.unwrap(), JobState::Cancelled).await;
    assert!(
        held.firings.iter().any(|firing| firing.reason.as_deref() == Some("the job before was cancelled"))
    );
    node.stop().await;
}

#[tokio::test]
async fn a_type_that_the_leader_does_not_know_waits_for_one_that_does() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    put(&node, "noop", definition("* * * * * *")).await.unwrap();
    node.stop().await;
    let node = Node::with_types(&folder, |types| types.register::<callboard_actors::jobs::Sleep>()).await;
    // The first one may have stored some.
    let before = entry(&node, "noop").await.unwrap().fired;
    let fired = node
        .until("it fires", async || entry(&node, "noop").await.filter(|entry| entry.fired > before))
        .await;
    let job = node.job(fired.firings[0].job_id.unwrap()).await;
    assert_eq!(job.summary.state, JobState::Pending);
    assert!(job.summary.wait_reason.unwrap().contains("no handler"), "{:?}", job.summary.id);
    node.stop().await;
}

/// Three nodes on one database, whose clock goes on by a minute at a time.
struct Fleet {
    database: Arc<Database>,
    clock: Arc<AtomicI64>,
    nodes: Vec<(&'static str, Node)>,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Fleet {
    async fn start(begin: Timestamp) -> Self {
        let database = Arc::new(spawn_blocking(Database::create).await.unwrap());
        let clock = Arc::new(AtomicI64::new(begin.as_micros()));
        let mut fleet = Fleet { database, clock, nodes: Vec::new() };
        for name in ["a", "b", "c"] {
            let node = fleet.node(name).await;
            fleet.nodes.push((name, node));
        }
        fleet
    }

    async fn node(&self, name: &'static str) -> Node {
        let options = PostgresOptions {
            clock: Clock::Manual(self.clock.clone()),
            node: name.into(),
            connections: 2,
            ..PostgresOptions::new(self.database.url())
        };
        let open = move || Ok::<_, StoreError>(PostgresStore::open(options.clone())? as Arc<dyn Store>);
        Node::on(open, |config| {
            config.node = name.into();
            config.sole_owner = false;
            // The first is real time, the second that of the store: it is dead after three minutes of its clock.
            config.heartbeat = Duration::from_millis(10);
            config.session_ttl = 3 * MINUTE;
            config.schedule_poll = Duration::from_millis(10);
            config.rescue_interval = Duration::from_millis(10);
        })
        .await
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(SeqCst))
    }

    /// Who leads, as the store says; `None`: nobody who lives.
    async fn leader(&self) -> Option<&'static str> {
        let known = self.nodes[0].1.store.nodes().await.unwrap();
        let leads = known.iter().find(|node| node.leads)?.session.node.clone();
        self.nodes.iter().map(|(name, _)| *name).find(|name| *name == leads)
    }

    /// The clock goes on, and all that live have said so.
    async fn pass(&self) {
        let now = self.clock.fetch_add(60_000_000, SeqCst) + 60_000_000;
        for (name, node) in &self.nodes {
            node.until("it has said that it lives", async || {
                let known = node.store.nodes().await.unwrap();
                let seen = known.iter().filter(|known| known.session.node == *name);
                (seen.map(|known| known.seen_at.as_micros()).max() >= Some(now)).then_some(())
            })
            .await;
        }
    }

    /// Waits until everything that is due is stored, if somebody leads.
    async fn settle(&self) {
        let node = &self.nodes[0].1;
        node.until("all that is due is stored", async || {
            let due = node.store.cron_due(1).await.unwrap();
            (due.entries.is_empty() || self.leader().await.is_none()).then_some(())
        })
        .await;
    }

    /// The process of the one that leads is killed, just as the clock strikes.
    async fn kill_leader(&mut self) -> &'static str {
        let node = &self.nodes[0].1;
        let leader = node.until("somebody leads", async || self.leader().await).await;
        let place = self.nodes.iter().position(|(name, _)| *name == leader).unwrap();
        let (_, node) = self.nodes.remove(place);
        self.clock.fetch_add(60_000_000, SeqCst);
        node.crash().await;
        leader
    }

    async fn jobs(&self, entry: &str) -> BTreeSet<Uuid> {
        let filter = JobFilter { tag: Some(format!("cron:{entry}")), ..JobFilter::default() };
        let jobs = self.nodes[0].1.store.jobs(filter, 1000).await.unwrap();
        let ids: BTreeSet<Uuid> = jobs.iter().map(|job| job.id).collect();
        assert_eq!(ids.len(), jobs.len());
        ids
    }
}

/// Clocks in Berlin go back at 01:00 UTC, and nodes die while they lead, one of them at that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_minute_is_fired_once_over_a_change_of_clocks_whoever_leads() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (begin, end) = (at("2027-10-31T00:14:00Z"), at("2027-10-31T01:44:00Z"));
    let kills = [at("2027-10-31T00:40:00Z"), at("2027-10-31T01:00:00Z")];
    let mut fleet = Fleet::start(begin).await;
    let entries = [("minutely", "* * * * *"), ("quarterly", "*/15 * * * *"), ("nightly", "30 2 * * *")];
    for (name, expression) in entries {
        let definition = CronDefinition {
            time_zone: "Europe/Berlin".into(),
            backfill: CronBackfill::All,
            ..definition(expression)
        };
        put(&fleet.nodes[0].1, name, definition).await.unwrap();
    }
    let mut said: BTreeMap<Timestamp, String> = BTreeMap::new();
    while fleet.now() < end {
        let next = fleet.now().saturating_add(MINUTE);
        if kills.contains(&next) {
            let killed = fleet.kill_leader().await;
            said.insert(next, format!("{killed}, who leads, is killed"));
        } else {
            fleet.pass().await;
        }
        fleet.settle().await;
        let leader = fleet.leader().await;
        said.entry(next).or_insert_with(|| leader.map(|name| format!("{name} leads")).unwrap_or_default());
    }
    fleet.nodes[0].1.until("somebody leads", async || fleet.leader().await).await;
    fleet.settle().await;
    // What each expression says is what there is: no time twice, none left out, and no job besides.
    let mut expected: BTreeMap<&str, BTreeMap<Uuid, String>> = BTreeMap::new();
    for (name, expression) in entries {
        let schedule = Schedule::parse(expression, "Europe/Berlin").unwrap();
        let times = schedule.next_times(begin, 100).into_iter().filter(|time| time.at <= end);
        expected.insert(name, times.map(|time| (job_id(name, time.at), time.local)).collect());
        assert_eq!(fleet.jobs(name).await, expected[name].keys().copied().collect(), "{name}");
    }
    assert_eq!(expected["minutely"].len(), 90);
    assert_eq!(expected["quarterly"].len(), 6);
    assert_eq!(expected["nightly"].values().collect::<Vec<_>>(), ["2027-10-31T02:30:00+02:00"]);
    println!("{:20}  {:25}  {:5}  {:9}  {:7}  ", "UTC", "Berlin", "* * *", "*/15 * *", "30 2 *");
    let berlin = Schedule::parse("* * * * *", "Europe/Berlin").unwrap();
    for time in berlin.next_times(begin, 90) {
        let fired = |name: &str| u32::from(expected[name].contains_key(&job_id(name, time.at)));
        let (minutely, quarterly, nightly) = (fired("minutely"), fired("quarterly"), fired("nightly"));
        let said = said.get(&time.at).map(String::as_str).unwrap_or_default();
        let utc = &time.at.to_string()[..16];
        println!("{utc:20}  {:25}  {minutely:5}  {quarterly:9}  {nightly:7}  {said}", time.local);
    }
    for (_, node) in fleet.nodes {
        node.crash().await;
    }
}
