//! Nodes, queues that ask for labels, what nodes are told, and the audit trail.

use callboard_actors::edges::store::{
    Operation, Outcome, Wake,
    record::{
        CommandEnd, CommandFilter, EXPIRED, MIN_READER, NewAudit, NewCommand, NewJob, NodeDescription,
        QueueSettings, READER,
    },
};
use callboard_contracts::{Labels, api::NodeAction};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{DAY, SECOND, enqueue, job, lease, pausing, rescue, retry},
};

fn labels(text: &str) -> Labels {
    text.parse().unwrap()
}

fn description() -> NodeDescription {
    NodeDescription {
        roles: vec!["processor".to_owned(), "leader".to_owned()],
        queues: vec![("default".to_owned(), 5), ("mail".to_owned(), 2)],
        reads: READER,
        paused: false,
        draining: false,
    }
}

fn describe(session: Uuid, has: &str) -> Operation {
    Operation::DescribeNode { session, labels: labels(has), description: description() }
}

fn put_queue(name: &str) -> Operation {
    Operation::PutQueues(vec![QueueSettings { name: name.into(), concurrency: 50, max_backlog: 1_000_000 }])
}

fn label(queue: &str, needed: &str) -> Operation {
    Operation::LabelQueue { queue: queue.into(), labels: labels(needed) }
}

pub async fn a_node_is_known_by_its_open_session<B: Backend>(stage: &mut Stage<B>) {
    let (one, other) = (stage.session().await, stage.session().await);
    assert_eq!(stage.one(describe(one, "zone=eu,gpu=yes")).await, Outcome::Done);
    let opened = stage.now();
    stage.pass(SECOND);
    stage.store.renew(one).await.unwrap();
    stage.one(enqueue(&job())).await;
    stage.claim("default", 1, one).await;
    let nodes = stage.store.nodes().await.unwrap();
    let of = |id: Uuid| nodes.iter().find(|node| node.session.id == id).unwrap().clone();
    let seen = of(one);
    assert_eq!((&*seen.session.node, &*seen.session.version, seen.session.process), ("node", "0", 1));
    assert_eq!((seen.opened_at, seen.seen_at, seen.executing), (opened, stage.now(), 1));
    assert_eq!((seen.labels, seen.description), (labels("gpu=yes,zone=eu"), description()));
    // An older program says nothing of itself.
    let silent = of(other);
    assert_eq!((silent.labels, silent.description), (Labels::default(), NodeDescription::default()));
    assert_eq!(nodes.iter().filter(|node| node.leads).count(), 1);
    if B::SHARED {
        assert!(of(stage.leading).leads);
    }
    let said = NodeDescription { paused: true, draining: true, ..description() };
    let again =
        Operation::DescribeNode { session: one, labels: Labels::default(), description: said.clone() };
    assert_eq!(stage.one(again).await, Outcome::Done);
    let nodes = stage.store.nodes().await.unwrap();
    let seen = nodes.into_iter().find(|node| node.session.id == one).unwrap();
    assert_eq!((seen.labels, seen.description), (Labels::default(), said));
    stage.one(rescue(one, 10)).await;
    assert!(!stage.store.nodes().await.unwrap().iter().any(|node| node.session.id == one));
    for gone in [one, Uuid::now_v7()] {
        assert_eq!(stage.one(describe(gone, "")).await, Outcome::NotFound);
    }
}

pub async fn a_queue_gives_its_jobs_only_to_nodes_that_have_its_labels<B: Backend>(stage: &mut Stage<B>) {
    assert_eq!(stage.one(label("gpu", "gpu=yes")).await, Outcome::NotFound);
    stage.apply(vec![put_queue("gpu"), label("gpu", "gpu=yes,zone=eu")]).await;
    let of_queue = async |stage: &Stage<B>| {
        let queues = stage.store.queues().await.unwrap();
        queues.into_iter().find(|(queue, _)| queue.name == "gpu").unwrap().1.labels
    };
    assert_eq!(of_queue(stage).await, labels("gpu=yes,zone=eu"));
    let new = || NewJob { queue: "gpu".into(), ..job() };
    stage.apply((0..4).map(|_| enqueue(&new())).collect()).await;
    stage.one(enqueue(&job())).await;
    for (has, fits) in [
        ("", false),
        ("gpu=yes", false),
        ("gpu=no,zone=eu", false),
        ("gpu=yes,zone=eu1", false),
        ("gpu=yes,zone=eu", true),
        ("disk=ssd,gpu=yes,zone=eu", true),
    ] {
        let session = stage.session().await;
        stage.one(describe(session, has)).await;
        let claimed = stage.claim("gpu", 1, session).await;
        assert_eq!(claimed.len(), usize::from(fits), "{has:?}");
        if !fits {
            // It is no reason to give nothing of other queues, or to take what it has.
            let other = stage.claim("default", 1, session).await;
            for held in &other {
                let released = callboard_actors::edges::store::record::AttemptEnd::Released;
                stage.finish(lease(held), released).await;
            }
            assert_eq!(other.len(), 1);
        }
    }
    // A queue that is made known again keeps what it asks for; one that asks for nothing gives to all.
    stage.one(put_queue("gpu")).await;
    let plain = stage.session().await;
    assert_eq!(stage.claim("gpu", 1, plain).await.len(), 0);
    stage.one(label("gpu", "")).await;
    assert_eq!(of_queue(stage).await, Labels::default());
    assert_eq!(stage.claim("gpu", 1, plain).await.len(), 1);
    stage.one(label("gpu", "gpu=yes")).await;
    stage.reopen().await;
    assert_eq!(of_queue(stage).await, labels("gpu=yes"));
    assert_eq!(stage.claim("gpu", 1, plain).await.len(), 0);
}

pub async fn labels_hold_also_with_keys_and_limits<B: Backend>(stage: &mut Stage<B>) {
    let limits = callboard_contracts::api::QueueLimits {
        max_running: Some(Some(10)),
        max_running_per_key: Some(Some(2)),
        ..Default::default()
    };
    let limit = Operation::LimitQueue { queue: "gpu".into(), limits };
    stage.apply(vec![put_queue("gpu"), limit, label("gpu", "gpu=yes")]).await;
    let (with, without) = (stage.session().await, stage.session().await);
    stage.one(describe(with, "gpu=yes")).await;
    stage.one(describe(without, "gpu=no")).await;
    let new =
        |key: Option<&str>| NewJob { queue: "gpu".into(), partition_key: key.map(str::to_owned), ..job() };
    let jobs: Vec<Operation> =
        [Some("a"), Some("a"), Some("a"), Some("b"), None].map(|key| enqueue(&new(key))).into();
    stage.apply(jobs).await;
    assert_eq!(stage.claim("gpu", 10, without).await.len(), 0);
    let claimed = stage.claim("gpu", 10, with).await;
    assert_eq!(claimed.len(), 4, "two of the key that has three");
    assert_eq!(stage.claim("gpu", 10, without).await.len(), 0);
}

pub async fn a_program_that_is_too_old_claims_nothing<B: Backend>(stage: &mut Stage<B>) {
    let needs = |reader: u32| Operation::PutSetting { key: MIN_READER.to_owned(), value: reader.to_string() };
    let session = stage.session().await;
    stage.one(describe(session, "")).await;
    let old = stage.session().await;
    let keyed = NewJob { partition_key: Some("a".into()), ..job() };
    stage.apply(vec![put_queue("default"), enqueue(&job()), enqueue(&job()), enqueue(&keyed)]).await;
    stage.one(needs(READER)).await;
    assert_eq!(stage.claim("default", 1, old).await.len(), 0);
    assert_eq!(stage.claim("default", 1, session).await.len(), 1);
    stage.one(needs(READER + 1)).await;
    for session in [session, old] {
        assert_eq!(stage.claim("default", 9, session).await.len(), 0);
    }
    stage.one(needs(0)).await;
    assert_eq!(
        stage.claim("default", 9, session).await.len() + stage.claim("default", 9, old).await.len(),
        2
    );
}

fn order(node: &str, action: NodeAction) -> NewCommand {
    NewCommand {
        id: Uuid::now_v7(),
        node: node.to_owned(),
        action,
        by: "ci".to_owned(),
        valid_for: 10 * SECOND,
    }
}

pub async fn what_a_node_is_told_waits_for_it_until_it_is_void<B: Backend>(stage: &mut Stage<B>) {
    let mut wakes = stage.store.wakes();
    let other = stage.another("other").await;
    let restart = NodeAction::RestartActor { actor: "observers/metrics".to_owned() };
    let (first, second) = (order("a", NodeAction::Pause), order("a", restart));
    let ordered = Outcome::Ordered { node: "a".to_owned() };
    for _ in 0..2 {
        assert_eq!(other.one(Operation::PutCommand(first.clone())).await, ordered, "sent again, it is one");
    }
    if B::SHARED {
        let word = Wake::Command { node: "a".to_owned() };
        while wakes.recv().await.unwrap() != word {}
    }
    stage.pass(SECOND);
    stage.one(Operation::PutCommand(second.clone())).await;
    stage.one(Operation::PutCommand(order("b", NodeAction::Drain))).await;
    let waiting = async |stage: &Stage<B>| {
        let filter = CommandFilter::WaitingFor("a".to_owned());
        let waiting = stage.store.commands(filter, 10).await.unwrap();
        waiting.into_iter().map(|command| command.id).collect::<Vec<_>>()
    };
    assert_eq!(waiting(stage).await, [first.id, second.id]);
    let end = CommandEnd { done: true, outcome: "it claims no more jobs".to_owned() };
    assert_eq!(stage.one(Operation::EndCommand { id: first.id, end: end.clone() }).await, Outcome::Done);
    // The first word counts.
    let late = CommandEnd { done: false, outcome: "no".to_owned() };
    let again = Operation::EndCommand { id: first.id, end: late };
    assert_eq!(stage.one(again).await, Outcome::NotFound);
    let found = stage.store.commands(CommandFilter::Id(first.id), 1).await.unwrap().remove(0);
    assert_eq!((found.action, &*found.by, found.end), (NodeAction::Pause, "ci", Some(end)));
    assert_eq!(found.ended_at, Some(stage.now()));
    assert_eq!(waiting(stage).await, [second.id]);
    stage.pass(10 * SECOND);
    assert!(waiting(stage).await.is_empty(), "its time is over");
    let prune = |limit, leader| Operation::PruneAudit { kept: DAY, limit, leader };
    let leader = stage.leader;
    for more in [true, true, false] {
        let pruned = stage.one(prune(1, leader)).await;
        assert_eq!(pruned, Outcome::Pruned { jobs: 0, events: 0, more });
    }
    let newest = stage.store.commands(CommandFilter::Newest, 10).await.unwrap();
    assert_eq!(newest.len(), 3);
    let ended = newest.iter().find(|command| command.id == second.id).unwrap();
    assert_eq!(ended.end, Some(CommandEnd { done: false, outcome: EXPIRED.to_owned() }));
    // Each end is told, with what it was the end of.
    let said: Vec<(String, String)> = stage
        .store
        .audit(None, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| (entry.entry.action, entry.outcome))
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    let done = ("node.pause.end".to_owned(), "done: it claims no more jobs".to_owned());
    assert_eq!(said[2], done);
    assert!(said.contains(&("node.restart_actor.end".to_owned(), EXPIRED.to_owned())), "{said:?}");
    if B::SHARED {
        assert_eq!(stage.one(prune(10, leader + 1)).await, Outcome::NotLeader);
    }
}

pub async fn who_changes_what_is_kept_with_the_change<B: Backend>(stage: &mut Stage<B>) {
    let entry = |action: &str, target: String| NewAudit {
        id: Uuid::now_v7(),
        by: "ci".to_owned(),
        role: Some("operator".to_owned()),
        action: action.to_owned(),
        target,
        detail: Some("{\"why\":\"a test\"}".to_owned()),
    };
    let audited = |entry: NewAudit, operation| Operation::Audited { entry, operation: Box::new(operation) };
    let (one, two) = (job(), job());
    stage.apply(vec![enqueue(&one), enqueue(&two)]).await;
    let cancel = entry("job.cancel", one.id.to_string());
    let done = stage.one(audited(cancel.clone(), Operation::Cancel { id: one.id })).await;
    assert_eq!(done, Outcome::Cancelled);
    // Sent again, since its answer was lost: what happened first stays.
    let again = stage.one(audited(cancel.clone(), Operation::Cancel { id: one.id })).await;
    assert!(matches!(again, Outcome::NotPossible { .. }), "{again:?}");
    let nobody = Uuid::now_v7();
    let refused = stage.one(audited(entry("job.retry", nobody.to_string()), retry(nobody))).await;
    assert_eq!(refused, Outcome::NotFound);
    stage.pass(SECOND);
    // With others in one batch.
    let pause = pausing("default", true);
    let batch = vec![
        put_queue("default"),
        audited(entry("queue.pause", "default".to_owned()), pause),
        enqueue(&job()),
    ];
    stage.apply(batch).await;
    let told =
        Operation::Audit { entry: entry("settings", "log.level".to_owned()), outcome: "kept".to_owned() };
    assert_eq!(stage.one(told).await, Outcome::Done);
    let trail = stage.store.audit(None, 10).await.unwrap();
    let said: Vec<(&str, &str)> = trail.iter().map(|entry| (&*entry.entry.action, &*entry.outcome)).collect();
    assert_eq!(
        said,
        [
            ("settings", "kept"),
            ("queue.pause", "done"),
            ("job.retry", "refused: there is none"),
            ("job.cancel", "cancelled"),
        ]
    );
    assert_eq!((&trail[3].entry, &*trail[3].node), (&cancel, "node"));
    assert_eq!(trail[0].at, stage.now());
    // Page by page.
    let first = stage.store.audit(None, 3).await.unwrap();
    let rest = stage.store.audit(Some(first[2].sequence), 3).await.unwrap();
    assert_eq!([first, rest].concat(), trail);
    // What is old is deleted, and what is left keeps its place.
    stage.pass(DAY - SECOND / 2);
    let leader = stage.leader;
    let prune = Operation::PruneAudit { kept: DAY, limit: 10, leader };
    assert_eq!(stage.one(prune).await, Outcome::Pruned { jobs: 0, events: 0, more: false });
    assert_eq!(stage.store.audit(None, 10).await.unwrap(), trail[..2]);
}
