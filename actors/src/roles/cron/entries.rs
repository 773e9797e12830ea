//! What requests do to the cron table.

use callboard_contracts::api::{CronDefinition, CronRun, CronSource, CronView, FieldError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        audit::{Deed, carry_out},
        node::Node,
        request::{DeleteCron, Form, PauseCron, PutCron, Refusal, RunCron, Who},
    },
    firing::make,
    secrets,
    view::view,
};
use crate::{
    cron,
    edges::store::{
        Operation, Outcome,
        cron::{CronOperation, CronOutcome, CronRecord, NewCron},
    },
};

/// How often a change is tried that another one was faster than.
const TRIES: u32 = 5;

/// Makes an entry, or changes it.
pub(in super::super) async fn put(node: &Node, who: &Who, request: PutCron) -> Result<CronView, Refusal> {
    let PutCron { name, mut definition } = request;
    let was = secrets::restored(node, who, &name, &mut definition).await?;
    let schedule = cron::check(&name, &definition).map_err(Refusal::Invalid)?;
    let now = node.store.now();
    // Whether its job could be stored is said now, and not when it is time.
    make(node, Form::Api, &name, (&definition, &was), (Uuid::now_v7(), now))?;
    let deed = Deed::new("cron.put", &name).with(detail(&definition));
    let next = schedule.next(&name, &definition, now);
    secrets::seal(&node.vault(), &mut definition, &was)
        .map_err(|error| Refusal::Forbidden(error.to_string()))?;
    let entry = Box::new(NewCron { name: name.clone(), definition, next });
    done(node, who, deed, &name, CronOperation::Put { entry, by: who.name.clone() }).await?;
    shown(node, name).await
}

/// What the trail says of a definition: not what its job is about, which may be nobody's business.
fn detail(definition: &CronDefinition) -> Value {
    json!({
        "expression": definition.expression,
        "time_zone": definition.time_zone,
        "type": definition.job.job_type,
        "queue": definition.job.queue,
    })
}

/// Takes an entry out.
pub(in super::super) async fn delete(node: &Node, who: &Who, request: DeleteCron) -> Result<(), Refusal> {
    let name = request.name;
    done(node, who, Deed::new("cron.delete", &name), &name, CronOperation::Delete { name: name.clone() })
        .await
}

/// Pauses an entry, or lets it go on.
pub(in super::super) async fn pause(node: &Node, who: &Who, request: PauseCron) -> Result<CronView, Refusal> {
    let PauseCron { name, paused } = request;
    if paused {
        let operation = CronOperation::Pause { name: name.clone() };
        done(node, who, Deed::new("cron.pause", &name), &name, operation).await?;
        return shown(node, name).await;
    }
    for _ in 0..TRIES {
        let entry = known(node, &name).await?;
        let schedule = cron::check(&name, &entry.definition).map_err(Refusal::Invalid)?;
        let next = schedule.next(&name, &entry.definition, node.store.now());
        let operation = CronOperation::Resume { name: name.clone(), revision: entry.revision, next };
        match change(node, who, Deed::new("cron.resume", &name), operation).await? {
            CronOutcome::Changed => {}
            outcome => {
                settled(node, &name, outcome)?;
                return shown(node, name).await;
            }
        }
    }
    Err(busy(&name))
}

/// Stores a job of an entry now.
pub(in super::super) async fn run(node: &Node, who: &Who, request: RunCron) -> Result<CronRun, Refusal> {
    let name = request.name;
    if node.is_draining() {
        return Err(Refusal::Stopping);
    }
    let id = Uuid::now_v7();
    for _ in 0..TRIES {
        let entry = known(node, &name).await?;
        let definition = secrets::opened(&node.vault(), &entry.definition);
        let (definition, was) =
            definition.map_err(|error| Refusal::Forbidden(format!("the payload of the entry: {error}")))?;
        let job = make(node, Form::Step, &name, (&definition, &was), (id, node.store.now()))?;
        let operation =
            CronOperation::Run { name: name.clone(), revision: entry.revision, job: Box::new(job) };
        match change(node, who, Deed::new("cron.run", &name), operation).await? {
            CronOutcome::Changed => {}
            CronOutcome::Fired { job, queue, .. } => {
                node.wake([&queue]);
                return Ok(CronRun { name, job_id: job });
            }
            outcome => {
                settled(node, &name, outcome)?;
                return Err(busy(&name));
            }
        }
    }
    Err(busy(&name))
}

fn busy(name: &str) -> Refusal {
    Refusal::CronHeld(format!("the entry {name:?} is changed again and again; try again later"))
}

async fn known(node: &Node, name: &str) -> Result<CronRecord, Refusal> {
    let entry = node.store.cron_entry(name.to_owned()).await?;
    entry.ok_or_else(|| Refusal::NoSuchCron(name.to_owned()))
}

async fn shown(node: &Node, name: String) -> Result<CronView, Refusal> {
    Ok(view(node, known(node, &name).await?))
}

async fn done(
    node: &Node,
    who: &Who,
    deed: Deed,
    name: &str,
    operation: CronOperation,
) -> Result<(), Refusal> {
    let outcome = change(node, who, deed, operation).await?;
    settled(node, name, outcome)
}

async fn change(
    node: &Node,
    who: &Who,
    deed: Deed,
    operation: CronOperation,
) -> Result<CronOutcome, Refusal> {
    match carry_out(node, who, deed, Operation::Cron(operation)).await? {
        Outcome::Cron(outcome) => Ok(outcome),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

/// An outcome that is done, or why it is not.
fn settled(node: &Node, name: &str, outcome: CronOutcome) -> Result<(), Refusal> {
    match outcome {
        CronOutcome::Done => {
            // The leader looks at once if it is this node, else soon.
            node.cron_changed.notify_one();
            Ok(())
        }
        CronOutcome::NotFound => Err(Refusal::NoSuchCron(name.to_owned())),
        CronOutcome::Taken { source: CronSource::Configuration } => Err(Refusal::CronHeld(format!(
            "the entry {name:?} comes from the configuration: change it there, or choose another name; it can be paused and \
             run from here"
        ))),
        CronOutcome::Taken { source: CronSource::Api } => {
            Err(Refusal::CronHeld(format!("a request has made the entry {name:?}")))
        }
        CronOutcome::TooMany { limit } => Err(Refusal::Invalid(vec![FieldError {
            pointer: "/name".to_owned(),
            message: format!("the cron table has {limit} entries, and no more can be"),
        }])),
        CronOutcome::Full { reason } => Err(Refusal::NoRoom(reason)),
        CronOutcome::Unavailable(error) => Err(error.into()),
        other => Err(Refusal::Unavailable(Outcome::Cron(other).unexpected())),
    }
}
