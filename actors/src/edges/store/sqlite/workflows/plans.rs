//! What SQLite does for a step must not grow with its workflow.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::api::{OnFailure, StepState};
use uuid::Uuid;

use super::{edges, ended_steps, has_open, inputs, list, one, steps as read_steps};
use crate::edges::store::{
    Operation,
    record::AttemptEnd,
    sqlite::plans::{Bench, job, steps},
    workflow::{AddedSteps, NewStep, NewWorkflow, StepQuery, WorkflowFilter, WorkflowOperation},
};

fn step(name: String) -> NewStep {
    let Operation::Enqueue(job) = job("step", "steps") else { unreachable!("it is one") };
    NewStep { name, on_failure: OnFailure::Fail, job: *job }
}

/// The steps of each operation and each read, with a workflow of so many steps in pairs, the second after the first.
fn measure(count: u32) -> BTreeMap<&'static str, i64> {
    let mut bench = Bench::new(200);
    let workflow = |count: u32| NewWorkflow {
        id: Uuid::now_v7(),
        name: Some("pairs".to_owned()),
        fingerprint: [0; 32],
        steps: (0..count).map(|number| step(number.to_string())).collect(),
        edges: (0..count / 2).map(|pair| (2 * pair, 2 * pair + 1)).collect(),
        on_end: None,
    };
    let submit = |new: NewWorkflow| Operation::Workflow(WorkflowOperation::Submit(Box::new(new)));
    let new = workflow(count);
    let id = new.id;
    bench.apply(vec![submit(new)]);
    let mut all = BTreeMap::new();
    all.insert("submit", steps(|| drop(bench.apply(vec![submit(workflow(4))]))));
    let running = bench.claim("steps", 1)[0];
    let mut number = 0;
    let add = steps(|| {
        number += 1;
        let added = AddedSteps {
            lease: running,
            steps: vec![step(format!("added {number}"))],
            edges: Vec::new(),
            after: Vec::new(),
            before: vec![(0, "3".to_owned())],
            max_steps: u32::MAX,
        };
        bench.apply(vec![Operation::Workflow(WorkflowOperation::AddSteps(Box::new(added)))]);
    });
    all.insert("add", add);
    let advance = |bench: &mut Bench| {
        let leases = bench.claim("steps", 5);
        let end = || AttemptEnd::Failed {
            error: callboard_contracts::api::AttemptError {
                kind: callboard_contracts::api::ErrorKind::Failed,
                message: "no".to_owned(),
                backtrace: None,
                is_final: true,
            },
            retry_at: None,
        };
        let ends = leases.iter().enumerate().map(|(number, lease)| Operation::Finish {
            lease: *lease,
            started_at: None,
            end: if number == 0 { end() } else { AttemptEnd::Completed { result: None } },
        });
        bench.apply(ends.collect());
        leases.into_iter().map(|lease| lease.id).collect::<Vec<Uuid>>()
    };
    let mut ended = Vec::new();
    let ends = steps(|| ended = advance(&mut bench));
    all.insert("claim and end", ends);
    let mut told = vec![advance(&mut bench), ended];
    let advanced = steps(|| {
        let jobs = told.pop().unwrap_or_default();
        bench.apply(vec![Operation::Workflow(WorkflowOperation::Advance { jobs, limit: 100, leader: 0 })]);
    });
    all.insert("advance", advanced);
    let resume = || Operation::Workflow(WorkflowOperation::Resume { id, limit: 1 });
    all.insert("resume", steps(|| drop(bench.apply(vec![resume()]))));
    let reader = &bench.reader;
    all.insert("one", steps(|| drop(one(reader, id).unwrap())));
    let filter = WorkflowFilter { state: None, name: Some("pairs".to_owned()), before: None };
    all.insert("list", steps(|| drop(list(reader, &filter, 5).unwrap())));
    let page = StepQuery { state: None, after: Some(50), limit: 5 };
    all.insert("steps", steps(|| drop(read_steps(reader, id, page).unwrap())));
    let page = StepQuery { state: Some(StepState::Completed), after: None, limit: 2 };
    all.insert("steps by state", steps(|| drop(read_steps(reader, id, page).unwrap())));
    all.insert("edges", steps(|| drop(edges(reader, id, 20, 100).unwrap())));
    let waits = read_steps(reader, id, StepQuery { state: None, after: Some(8), limit: 1 }).unwrap()[0].job;
    all.insert("inputs", steps(|| assert!(inputs(reader, waits, None, 5).unwrap().is_some())));
    all.insert("open", steps(|| assert!(has_open(reader).unwrap())));
    all.insert("ended", steps(|| drop(ended_steps(reader, Uuid::nil(), 10).unwrap())));
    bench.apply(vec![Operation::Workflow(WorkflowOperation::Cancel { id })]);
    let leader = 0;
    let prune = |limit| WorkflowOperation::Prune {
        completed: Duration::ZERO,
        cancelled: Duration::ZERO,
        failed: Duration::ZERO,
        limit,
        leader,
    };
    all.insert("forget", steps(|| drop(bench.apply(vec![Operation::Workflow(prune(5))]))));
    all
}

#[test]
fn no_step_costs_more_in_a_larger_workflow() {
    let (small, large) = (measure(200), measure(4_000));
    let mut grown = Vec::new();
    for (name, few) in &small {
        let many = large[name];
        if many > few + few / 2 + 100 {
            grown.push(format!("{name}: {few} steps in a workflow of 200, {many} in one of 4000"));
        }
    }
    assert!(small.values().all(|steps| *steps > 0), "{small:?}");
    assert!(grown.is_empty(), "{}", grown.join("\n"));
}
