//! The cases: a sink is told all that the log says, through outages of its server, without loss and without doubling, while the
//! node does its work as if nothing were.

use std::time::Duration;

use callboard_actors::{
    edges::sink::{EventSink, SinkContext, SinkSpec, Standing},
    jobs::{Job, JobContext, JobError, JobRegistry, Noop},
    roles::{
        Condition, RolesConfig,
        bounds::TypeBounds,
        request::{GetEdges, GetTotals, RecentEvents},
    },
};
use callboard_contracts::{
    JobState,
    api::{EdgeCondition, LogCursor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Subject, WithoutTls};
use crate::{
    Server,
    node::{Folder, Node},
};

/// Carries a case out.
pub fn start(case: impl Future<Output = ()>) {
    crate::block_on(case);
}

/// Fails for good.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Fail {}

impl Job for Fail {
    const TYPE: &'static str = "fail";
    type Output = ();

    async fn run(self, _: &JobContext) -> Result<(), JobError> {
        Err(JobError::fatal("no use"))
    }
}

/// One run of a case.
struct Run<S: Subject> {
    server: S::Server,
    subject: S,
    folder: Folder,
}

impl<S: Subject> Run<S> {
    fn absent() -> Self {
        let server = S::server();
        let subject = S::new(&server);
        Run { server, subject, folder: Folder::new() }
    }

    fn new() -> Self {
        let mut run = Self::absent();
        run.server.start();
        run
    }

    async fn node(&self) -> Node {
        self.node_with(|_| {}).await
    }

    async fn node_with(&self, change: impl FnOnce(&mut RolesConfig)) -> Node {
        let types = JobRegistry::builder().register::<Noop>().register::<Fail>();
        let configure = |config: &mut RolesConfig| {
            self.subject.configure(config);
            change(config);
        };
        Node::start(self.folder.store(), types, configure).await
    }

    /// Waits until the relay says that all is told, and looks whether it is.
    async fn up_to_date(&self, node: &Node) {
        node.until("a sink that has just what the log says", async || {
            let is_ready = node.conditions.get(&relay::<S>()) == Some(Condition::Ready);
            (is_ready && self.subject.has_just_the_log(&node.store).await.is_ok()).then_some(())
        })
        .await;
        self.subject.has_just_the_log(&node.store).await.unwrap();
        agrees(node).await;
    }
}

fn relay<S: Subject>() -> String {
    format!("observers/relay-{}", S::EDGE)
}

fn keeper<S: Subject>() -> String {
    format!("observers/edge-{}", S::EDGE)
}

/// Runs jobs of which some fail.
async fn run_jobs(node: &Node, count: usize) {
    let job = |number: usize| match number % 3 {
        0 => json!({"type": "fail"}),
        _ => json!({"type": "noop"}),
    };
    let jobs: Vec<Value> = (0..count).map(job).collect();
    for id in node.submit_all(jobs).await {
        node.until("a job's end", async || node.job(id).await.summary.state.is_final().then_some(())).await;
    }
}

/// What the node answers is what its store says, wherever it has it from.
async fn agrees(node: &Node) {
    let totals = node.handles.read_model.ask(GetTotals).await.unwrap().unwrap();
    assert_eq!(totals, node.store.totals().await.unwrap());
    let job = {
        let recent =
            node.handles.read_model.ask(RecentEvents { job: None, limit: 50 }).await.unwrap().unwrap();
        let log = node.store.recent_events(None, 50).await.unwrap();
        assert_eq!(recent.len(), log.len());
        assert!(recent.is_sorted_by(|one, next| one.occurred_at >= next.occurred_at));
        let mut ids =
            [&recent, &log].map(|events| events.iter().map(|event| event.event_id).collect::<Vec<_>>());
        ids.iter_mut().for_each(|ids| ids.sort());
        assert_eq!(ids[0], ids[1]);
        log.first().map(|event| Uuid::parse_str(&event.idempotency_key).unwrap())
    };
    let recent = node.handles.read_model.ask(RecentEvents { job, limit: 50 }).await.unwrap().unwrap();
    assert_eq!(recent, node.store.recent_events(job, 50).await.unwrap());
}

/// Waits until the edge is tripped, which makes the node no less ready.
async fn tripped<S: Subject>(node: &Node) {
    node.until("a tripped edge", async || match node.conditions.get(&keeper::<S>())? {
        Condition::Tripped { .. } => Some(()),
        _ => None,
    })
    .await;
    assert_eq!(node.conditions.overall(), "ready");
    assert!(node.conditions.reasons().iter().any(|reason| reason.actor == keeper::<S>()));
    let text = node.handles.metrics.render();
    let line = format!("callboard_edge_state{{edge=\"{}\",state=\"tripped\"}} 1", S::EDGE);
    assert!(text.contains(&line), "{line} is missing in\n{text}");
}

/// Waits until the edge is ready.
async fn ready<S: Subject>(node: &Node) {
    node.until("an edge that is ready", async || {
        (node.conditions.get(&keeper::<S>()) == Some(Condition::Ready)).then_some(())
    })
    .await;
}

pub async fn what_the_log_says_is_told_once_over_restarts<S: Subject>() {
    let run = Run::<S>::new();
    for _ in 0..2 {
        let node = run.node().await;
        run_jobs(&node, 7).await;
        run.up_to_date(&node).await;
        ready::<S>(&node).await;
        // The relay hears of a page's end after the server has it.
        let line = format!("callboard_sink_behind_events{{sink=\"{}\"}} 0", S::EDGE);
        let shown = async || node.handles.metrics.render().contains(&line).then_some(());
        node.until("a sink that is not behind", shown).await;
        node.stop().await;
    }
}

pub async fn a_server_that_is_absent_at_the_start_is_told_all_when_it_comes<S: Subject>() {
    let mut run = Run::<S>::absent();
    let node = run.node().await;
    run_jobs(&node, 5).await;
    tripped::<S>(&node).await;
    agrees(&node).await;
    run.server.start();
    ready::<S>(&node).await;
    run.up_to_date(&node).await;
    node.stop().await;
}

pub async fn what_a_server_missed_while_it_was_away_follows<S: Subject>() {
    let mut run = Run::<S>::new();
    let node = run.node().await;
    run_jobs(&node, 5).await;
    run.up_to_date(&node).await;
    run.server.stop();
    run_jobs(&node, 8).await;
    tripped::<S>(&node).await;
    agrees(&node).await;
    run.server.start();
    ready::<S>(&node).await;
    run.up_to_date(&node).await;
    node.stop().await;
}

pub async fn a_server_that_was_killed_at_work_is_neither_behind_nor_ahead<S: Subject>() {
    let mut run = Run::<S>::new();
    let node = run.node().await;
    for _ in 0..3 {
        let jobs = node.submit_all(vec![json!({"type": "noop"}); 50]).await;
        node.reaches(jobs[10], JobState::Completed).await;
        run.server.kill();
        for job in jobs {
            node.reaches(job, JobState::Completed).await;
        }
        run.server.start();
        run.up_to_date(&node).await;
    }
    node.stop().await;
}

pub async fn a_server_that_does_not_answer_holds_up_nothing<S: Subject>() {
    let run = Run::<S>::new();
    let node = run.node().await;
    run_jobs(&node, 5).await;
    run.up_to_date(&node).await;
    run.server.freeze();
    run_jobs(&node, 5).await;
    tripped::<S>(&node).await;
    agrees(&node).await;
    run.server.thaw();
    ready::<S>(&node).await;
    run.up_to_date(&node).await;
    let text = node.handles.metrics.render();
    let line = format!("callboard_edge_calls_total{{edge=\"{}\",outcome=\"timed_out\"}}", S::EDGE);
    assert!(text.contains(&line), "{line} is missing in\n{text}");
    node.stop().await;
}

pub async fn what_was_wiped_comes_back<S: Subject>() {
    let run = Run::<S>::new();
    let node = run.node().await;
    run_jobs(&node, 5).await;
    run.up_to_date(&node).await;
    // While nothing happens, and while something does.
    run.subject.wipe().await;
    agrees(&node).await;
    run.up_to_date(&node).await;
    let jobs = node.submit_all(vec![json!({"type": "noop"}); 30]).await;
    node.reaches(jobs[5], JobState::Completed).await;
    run.subject.wipe().await;
    for job in jobs {
        node.reaches(job, JobState::Completed).await;
    }
    run.up_to_date(&node).await;
    node.stop().await;
}

/// As after a change of leaders of which the first does not know yet.
pub async fn two_that_tell_at_once_double_nothing<S: Subject>() {
    let run = Run::<S>::new();
    // Only we tell.
    let mut spec: Option<SinkSpec> = None;
    let node = run.node_with(|config| spec = config.sinks.pop()).await;
    let spec = spec.expect("the subject has a sink");
    let store = &node.store;
    let open = || (spec.open)(SinkContext { store: store.clone() });
    let mut sinks = [open(), open()];
    let mut places = [LogCursor::default(); 2];
    for (sink, place) in sinks.iter_mut().zip(&mut places) {
        *place = resume(&mut **sink).await;
    }
    run_jobs(&node, 10).await;
    let mut told = 0;
    for round in 0.. {
        let newest = *store.committed().borrow();
        if places == [newest; 2] {
            break;
        }
        assert!(round < 1000, "{places:?} is not {newest}");
        for (sink, place) in sinks.iter_mut().zip(&mut places) {
            let page = store.events_after(*place, None, 7).await.unwrap();
            let Some(last) = page.events.last().map(|event| event.cursor) else { continue };
            // Either is told that it is not alone, or finds that all is there already.
            match sink.deliver(page).await {
                Ok(()) => (*place, told) = (last, told + 1),
                Err(_) => *place = resume(&mut **sink).await,
            }
        }
        if round == 2 {
            run_jobs(&node, 5).await;
        }
    }
    assert!(told > 0);
    run.subject.has_just_the_log(store).await.unwrap();
    for sink in &mut sinks {
        sink.check().await.unwrap();
    }
    node.stop().await;
}

async fn resume(sink: &mut dyn EventSink) -> LogCursor {
    match sink.resume().await.unwrap() {
        Standing::At(place) => place,
        _ => LogCursor::default(),
    }
}

pub async fn jobs_that_need_the_edge_wait_while_it_is_tripped<S: Subject>() {
    let mut run = Run::<S>::new();
    let node = run
        .node_with(|config| {
            let bounds = TypeBounds { needs: vec![S::EDGE.to_owned()], ..TypeBounds::default() };
            config.job_types.insert("noop".to_owned(), bounds);
            config.schedule_poll = Duration::from_millis(20);
            config.claim_poll = Duration::from_millis(20);
        })
        .await;
    let before = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(before, JobState::Completed).await;
    run.server.stop();
    tripped::<S>(&node).await;
    let edge = async || {
        let edges = node.handles.read_model.ask(GetEdges).await.unwrap().unwrap();
        edges.into_iter().find(|edge| edge.name == S::EDGE).unwrap()
    };
    node.until("an edge that is tripped for all", async || {
        (edge().await.state == EdgeCondition::Tripped).then_some(())
    })
    .await;
    assert_eq!(edge().await.set_by.as_deref(), Some("test (breaker)"));
    let waiting = node.submit(json!({"type": "noop"})).await.unwrap().id;
    let why = node.until("a reason", async || node.job(waiting).await.waits_for).await;
    assert!(why.starts_with(&format!("parked: needs \"{}\", tripped since", S::EDGE)), "{why}");
    run.server.start();
    node.reaches(waiting, JobState::Completed).await;
    assert_eq!(edge().await.state, EdgeCondition::Ready);
    node.stop().await;
}

pub async fn tls_that_does_not_come_about_is_an_outage_like_others<S: WithoutTls>() {
    let mut run = Run::<S>::new();
    run.subject = S::over_tls(&run.server);
    let node = run.node().await;
    run_jobs(&node, 2).await;
    tripped::<S>(&node).await;
    agrees(&node).await;
    assert!(node.handles.metrics.render().contains("callboard_actor_crashes_total 0"));
    node.stop().await;
}
