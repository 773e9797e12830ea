//! Edges that jobs need.

use std::collections::BTreeMap;

use callboard_contracts::Timestamp;

use crate::edges::store::record::{EdgeState, Trip};

/// Between two names of edges, which have no comma themselves.
const COMMA: &str = ",";

/// What a job needs, as it is stored.
pub(crate) fn stored(needs: &[String]) -> Option<String> {
    let mut names: Vec<&str> = needs.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(COMMA))
}

/// What was stored of it.
pub(crate) fn named(stored: Option<&str>) -> Vec<String> {
    stored.into_iter().flat_map(|names| names.split(COMMA)).map(str::to_owned).collect()
}

/// How an edge is tripped from now on that was as `before` says.
pub(crate) fn trip(before: Option<&Trip>, state: &EdgeState, now: Timestamp) -> Option<Trip> {
    let EdgeState::Tripped { reason, lasting } = state else { return None };
    let since = before.filter(|trip| trip.holds(now)).map_or(now, |trip| trip.since);
    let until = lasting.map(|lasting| now.saturating_add(lasting));
    Some(Trip { since, until, reason: reason.clone() })
}

/// The edges that are tripped at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tripped {
    /// Each with when it counts as ready by itself.
    edges: BTreeMap<String, Option<Timestamp>>,
}

impl Tripped {
    /// Of these edges, each with when it counts as ready by itself, those that are tripped now.
    pub(crate) fn at(now: Timestamp, edges: impl Iterator<Item = (String, Option<Timestamp>)>) -> Self {
        Tripped { edges: edges.filter(|(_, until)| until.is_none_or(|until| until > now)).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    #[cfg(any(feature = "sqlite", test))]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.edges.keys().map(String::as_str)
    }

    pub(crate) fn contains(&self, edge: &str) -> bool {
        self.edges.contains_key(edge)
    }

    /// The first edge because of which a job with these needs, as they are stored, waits.
    pub(crate) fn blocks<'n>(&self, needs: &'n str) -> Option<&'n str> {
        needs.split(COMMA).find(|name| self.contains(name))
    }

    /// When the next one counts as ready by itself.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.edges.values().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn needs_are_stored_sorted_and_once() {
        let needs = ["smtp", "db", "smtp"].map(str::to_owned);
        assert_eq!(stored(&needs).as_deref(), Some("db,smtp"));
        assert_eq!(named(Some("db,smtp")), ["db", "smtp"]);
        assert_eq!((stored(&[]), named(None)), (None, vec![]));
    }

    #[test]
    fn an_edge_is_tripped_since_it_was_until_its_time_is_over() {
        let state = |lasting| EdgeState::Tripped { reason: Some("away".to_owned()), lasting };
        let first = trip(None, &state(Some(Duration::from_micros(5))), at(10)).unwrap();
        assert_eq!((first.since, first.until), (at(10), Some(at(15))));
        let longer = trip(Some(&first), &state(None), at(14)).unwrap();
        assert_eq!((longer.since, longer.until), (at(10), None));
        let again = trip(Some(&first), &state(None), at(15)).unwrap();
        assert_eq!(again.since, at(15));
        assert_eq!(trip(Some(&first), &EdgeState::Ready, at(11)), None);
    }

    #[test]
    fn whole_names_block() {
        let edges = [("db", None), ("mail", Some(at(7))), ("old", Some(at(5)))];
        let tripped = Tripped::at(at(5), edges.into_iter().map(|(name, until)| (name.to_owned(), until)));
        assert_eq!(tripped.names().collect::<Vec<_>>(), ["db", "mail"]);
        assert_eq!(tripped.blocks("db2,mail,old"), Some("mail"));
        assert_eq!(tripped.blocks("ab,db2,old"), None);
        assert_eq!(tripped.next_at(), Some(at(7)));
        assert!(Tripped::default().is_empty());
    }
}
