//! Groups of dead jobs, found by going from one to the next in an index, however many jobs each has.

use crate::edges::store::dead_jobs::{CauseKey, CauseQuery};

/// Looks for the next group that one page makes at most.
pub(crate) const MOST_LOOKS: u32 = 2000;

/// Where the next look begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seek {
    /// Behind this group.
    After(CauseKey),
    /// Behind all groups of this type.
    AfterType(String),
}

impl Seek {
    /// The same as the end of a page.
    pub(crate) fn into_key(self) -> CauseKey {
        match self {
            Seek::After(key) => key,
            // No queue's name comes behind this.
            Seek::AfterType(job_type) => {
                CauseKey { job_type, queue: char::MAX.to_string(), cause: String::new() }
            }
        }
    }
}

/// What to do about a group that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is one of those that are asked for.
    Take,
    /// It is not; there may be others.
    Look(Seek),
    /// It is not, and none behind it is.
    End,
}

/// Where the first look begins.
pub(crate) fn first(query: &CauseQuery) -> Seek {
    let begin = query.job_type.clone().map(|job_type| CauseKey {
        job_type,
        queue: query.queue.clone().unwrap_or_default(),
        cause: String::new(),
    });
    Seek::After(query.after.clone().max(begin).unwrap_or_default())
}

/// What to do about the first group behind where was looked.
pub(crate) fn found(query: &CauseQuery, key: &CauseKey) -> Found {
    if query.job_type.as_ref().is_some_and(|job_type| *job_type != key.job_type) {
        return Found::End;
    }
    match &query.queue {
        Some(queue) if *queue > key.queue => {
            let (job_type, queue) = (key.job_type.clone(), queue.clone());
            Found::Look(Seek::After(CauseKey { job_type, queue, cause: String::new() }))
        }
        Some(queue) if *queue < key.queue => match query.job_type {
            Some(_) => Found::End,
            None => Found::Look(Seek::AfterType(key.job_type.clone())),
        },
        _ => Found::Take,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    fn keys() -> impl Strategy<Value = CauseKey> {
        ("[ab]{1,2}", "[xy]{1,2}", "[0-2]").prop_map(|(job_type, queue, cause)| CauseKey {
            job_type,
            queue,
            cause,
        })
    }

    proptest! {
        #[test]
        fn every_group_that_is_asked_for_is_found_and_no_other(
            groups in btree_set(keys(), 0..30),
            job_type in proptest::option::of("[ab]{1,2}"),
            queue in proptest::option::of("[xy]{1,2}"),
            after in proptest::option::of(keys()),
        ) {
            let query = CauseQuery { job_type, queue, after, limit: 100 };
            let (mut seek, mut taken, mut looks) = (first(&query), Vec::new(), 0);
            loop {
                looks += 1;
                let next = groups.iter().find(|key| match &seek {
                    Seek::After(after) => *key > after,
                    Seek::AfterType(job_type) => key.job_type > *job_type,
                });
                let Some(next) = next else { break };
                seek = match found(&query, next) {
                    Found::Take => {
                        taken.push(next.clone());
                        Seek::After(next.clone())
                    }
                    Found::Look(seek) => seek,
                    Found::End => break,
                };
            }
            let expected: Vec<CauseKey> = groups
                .iter()
                .filter(|key| query.after.as_ref().is_none_or(|after| *key > after))
                .filter(|key| query.job_type.as_ref().is_none_or(|job_type| key.job_type == *job_type))
                .filter(|key| query.queue.as_ref().is_none_or(|queue| key.queue == *queue))
                .cloned()
                .collect();
            prop_assert!(looks <= 2 * groups.len() + 1);
            prop_assert_eq!(taken, expected);
        }
    }
}
