//! Edges, services outside that jobs need: tripping them, and how they are.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::{
    Timestamp,
    api::{EdgeCondition, EdgeView, FieldError, PutEdge},
    name,
};

use super::{
    audit::{Deed, carry_out},
    bounds,
    node::Node,
    request::{Refusal, SetEdge, Who},
};
use crate::edges::store::{
    Operation, Outcome, StoreError,
    record::{EdgeRecord, EdgeState, JobRecord},
};

/// Characters of a reason at most.
const MAX_REASON: usize = 500;
/// The longest time for which an edge is tripped that is to be ready by itself.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Trips an edge, or makes it ready, as somebody asks for.
pub(super) async fn set(node: &Node, who: &Who, request: SetEdge) -> Result<EdgeView, Refusal> {
    put(node, Some(who), request).await
}

/// Trips an edge, or makes it ready. Without somebody who asks for it, it is not in the audit trail: a breaker says its word again and
/// again.
pub(super) async fn put(node: &Node, who: Option<&Who>, request: SetEdge) -> Result<EdgeView, Refusal> {
    let SetEdge { edge, set, by } = request;
    let state = state(&edge, &set)?;
    let by = by.unwrap_or_else(|| node.name.to_string());
    let operation = Operation::PutEdge { edge: edge.clone(), state: state.clone(), by: by.clone() };
    let action = if set.state == EdgeCondition::Tripped { "edge.trip" } else { "edge.reset" };
    let outcome = match who {
        Some(who) => {
            // Whoever is named in the request itself is meant; the role is that of whoever has signed it.
            let who = Who { name: by.clone(), role: who.role.clone() };
            let deed = Deed::new(action, &edge).with(serde_json::json!(set));
            carry_out(node, &who, deed, operation).await?
        }
        None => node.store.write(operation).await?,
    };
    match outcome {
        Outcome::Done => {}
        Outcome::TooManyEdges { limit } => {
            let message = format!("{limit} edges are tripped, and no more can be");
            return Err(invalid("/name", message));
        }
        other => return Err(Refusal::Unavailable(other.unexpected())),
    }
    match state {
        EdgeState::Tripped { reason, lasting } => {
            tracing::warn!(edge, by, reason, ?lasting, "the edge is tripped: jobs that need it wait");
        }
        EdgeState::Ready => tracing::info!(edge, by, "the edge is ready"),
    }
    node.parking.look(node.store.now(), &node.due);
    // What is not put aside yet can be claimed at once. The other nodes look by themselves.
    node.wake_all();
    let known = node.store.edges().await?.into_iter().find(|known| known.name == edge);
    Ok(match known {
        Some(known) => view(known, node.store.now(), &needed_by(node)),
        None => unknown(&edge, &needed_by(node)),
    })
}

/// What is asked for, if it makes sense.
fn state(edge: &str, set: &PutEdge) -> Result<EdgeState, Refusal> {
    name::check(edge).map_err(|error| invalid("/name", error.to_string()))?;
    let PutEdge { state, reason, for_ms } = set;
    if *state == EdgeCondition::Ready {
        let extra = reason.is_some().then_some("/reason").or(for_ms.is_some().then_some("/for_ms"));
        return match extra {
            Some(pointer) => Err(invalid(pointer, "only an edge that is tripped has one".to_owned())),
            None => Ok(EdgeState::Ready),
        };
    }
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(invalid("/reason", format!("at most {MAX_REASON} characters are kept")));
    }
    let lasting = for_ms.map(Duration::from_millis);
    if lasting.is_some_and(|lasting| lasting.is_zero() || lasting > LONGEST) {
        return Err(invalid("/for_ms", format!("must be from 1 to {} (a year)", LONGEST.as_millis())));
    }
    let reason = reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
    Ok(EdgeState::Tripped { reason, lasting })
}

fn invalid(pointer: &str, message: String) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: pointer.to_owned(), message }])
}

/// The job types that have a handler here, by the edges that they need.
fn needed_by(node: &Node) -> BTreeMap<String, Vec<String>> {
    let mut by_edge: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for job_type in node.registry.types() {
        for edge in bounds::needs(&node.config, job_type.name(), Some(job_type.options())) {
            by_edge.entry(edge).or_default().push(job_type.name().to_owned());
        }
    }
    by_edge
}

/// The edges that were ever tripped, and those that are needed here.
pub(super) async fn views(node: &Node) -> Result<Vec<EdgeView>, StoreError> {
    let (now, needed) = (node.store.now(), needed_by(node));
    let mut views: BTreeMap<String, EdgeView> =
        needed.keys().map(|edge| (edge.clone(), unknown(edge, &needed))).collect();
    for edge in node.store.edges().await? {
        views.insert(edge.name.clone(), view(edge, now, &needed));
    }
    Ok(views.into_values().collect())
}

/// An edge of which nothing was ever said.
fn unknown(edge: &str, needed: &BTreeMap<String, Vec<String>>) -> EdgeView {
    EdgeView {
        name: edge.to_owned(),
        state: EdgeCondition::Ready,
        since: None,
        until: None,
        reason: None,
        set_by: None,
        set_at: None,
        parked: 0,
        needed_by: needed.get(edge).cloned().unwrap_or_default(),
    }
}

fn view(edge: EdgeRecord, now: Timestamp, needed: &BTreeMap<String, Vec<String>>) -> EdgeView {
    let trip = edge.tripped_at(now).cloned();
    EdgeView {
        state: if trip.is_some() { EdgeCondition::Tripped } else { EdgeCondition::Ready },
        since: trip.as_ref().map(|trip| trip.since),
        until: trip.as_ref().and_then(|trip| trip.until),
        reason: trip.and_then(|trip| trip.reason),
        set_by: Some(edge.set_by),
        set_at: Some(edge.set_at),
        parked: edge.parked,
        ..unknown(&edge.name, needed)
    }
}

/// Says of each available job that needs a tripped edge that it waits for that. The edges are read only if there is one that
/// needs any.
pub(super) async fn explain(node: &Node, jobs: &mut [JobRecord]) -> Result<(), StoreError> {
    use callboard_contracts::JobState::Available;
    if !jobs.iter().any(|job| job.state == Available && !job.needs.is_empty()) {
        return Ok(());
    }
    let (edges, now) = (node.store.edges().await?, node.store.now());
    for job in jobs.iter_mut().filter(|job| job.state == Available) {
        if let Some(reason) = reason(&job.needs, &edges, now) {
            job.wait_reason = Some(reason);
        }
    }
    Ok(())
}

/// Why a job that needs these edges waits, if one of them is tripped.
fn reason(needs: &[String], edges: &[EdgeRecord], now: Timestamp) -> Option<String> {
    let tripped = |edge: &'_ &EdgeRecord| needs.contains(&edge.name) && edge.tripped_at(now).is_some();
    let edge = edges.iter().find(tripped)?;
    let trip = edge.tripped_at(now)?;
    let until = trip.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let why = trip.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("parked: needs {:?}, tripped since {}{until}{why}", edge.name, trip.since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::store::record::Trip;

    fn pointer(edge: &str, set: PutEdge) -> String {
        match state(edge, &set).unwrap_err() {
            Refusal::Invalid(errors) => errors[0].pointer.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        assert_eq!(pointer("a b", PutEdge::ready()), "/name");
        assert_eq!(pointer("a,b", PutEdge::tripped()), "/name");
        assert_eq!(pointer("a", PutEdge { reason: Some("x".to_owned()), ..PutEdge::ready() }), "/reason");
        assert_eq!(pointer("a", PutEdge { for_ms: Some(1), ..PutEdge::ready() }), "/for_ms");
        assert_eq!(pointer("a", PutEdge { for_ms: Some(0), ..PutEdge::tripped() }), "/for_ms");
        assert_eq!(pointer("a", PutEdge { for_ms: Some(u64::MAX), ..PutEdge::tripped() }), "/for_ms");
        let long = PutEdge { reason: Some("ä".repeat(501)), ..PutEdge::tripped() };
        assert_eq!(pointer("a", long), "/reason");
        let blank = PutEdge { reason: Some(" ".to_owned()), for_ms: Some(5), ..PutEdge::tripped() };
        let lasting = Some(Duration::from_millis(5));
        assert_eq!(state("a", &blank), Ok(EdgeState::Tripped { reason: None, lasting }));
    }

    #[test]
    fn a_job_says_which_edge_it_waits_for() {
        let at = Timestamp::from_micros;
        let edge = |name: &str, trip| EdgeRecord {
            name: name.to_owned(),
            trip,
            set_by: "ci".to_owned(),
            set_at: at(0),
            parked: 0,
        };
        let trip = Trip { since: at(0), until: Some(at(5)), reason: Some("away".to_owned()) };
        let edges = [edge("db", None), edge("smtp", Some(trip))];
        let needs = ["db", "smtp"].map(str::to_owned);
        let said = "parked: needs \"smtp\", tripped since 1970-01-01T00:00:00.000000Z until \
                    1970-01-01T00:00:00.000005Z: away";
        assert_eq!(reason(&needs, &edges, at(4)).as_deref(), Some(said));
        assert_eq!(reason(&needs, &edges, at(5)), None);
        assert_eq!(reason(&needs[..1], &edges, at(4)), None);
    }
}
