//! What moves when members come and go, over random members and keys.

use std::collections::BTreeSet;

use proptest::{collection::btree_set, prelude::*, test_runner::TestCaseError};

use super::{Ring, hash_of};

const KEYS: u64 = 2_000;

/// The member that owns each key.
fn owners(members: &BTreeSet<u64>) -> Vec<u64> {
    let numbers: Vec<u64> = members.iter().copied().collect();
    let ring = Ring::new(numbers.iter().copied());
    (0..KEYS).map(|key| numbers[ring.owners(hash_of(&key)).next().expect("there are members")]).collect()
}

fn check(moved: usize, members: usize) -> Result<(), TestCaseError> {
    // The share of one, with as much room as 128 points need.
    let fair = usize::try_from(KEYS).expect("it fits") / members;
    prop_assert!(moved <= fair * 2, "{moved} of {KEYS} keys moved, {members} members");
    prop_assert!(moved >= fair / 3, "{moved} of {KEYS} keys moved, {members} members");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_more_member_takes_its_share_and_nothing_else_moves(
        mut members in btree_set(0..10_000u64, 2..24),
        joins in 10_000..20_000u64,
    ) {
        let before = owners(&members);
        members.insert(joins);
        let after = owners(&members);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        let moved: Vec<_> = moved.map(|(_, after)| *after).collect();
        prop_assert!(moved.iter().all(|to| *to == joins), "a key went from one old member to another");
        check(moved.len(), members.len())?;
    }

    #[test]
    fn the_keys_of_a_member_that_leaves_go_to_those_who_come_next(
        members in btree_set(0..10_000u64, 2..24),
        which in any::<prop::sample::Index>(),
    ) {
        let numbers: Vec<u64> = members.iter().copied().collect();
        let leaves = which.index(numbers.len());
        let ring = Ring::new(numbers.iter().copied());
        let mut left = members.clone();
        left.remove(&numbers[leaves]);
        let after = owners(&left);
        for key in 0..KEYS {
            let mut order = ring.owners(hash_of(&key)).filter(|index| *index != leaves);
            let heir = order.next().map(|index| numbers[index]);
            prop_assert_eq!(heir, after.get(usize::try_from(key).expect("it fits")).copied());
        }
    }

    #[test]
    fn every_member_is_an_owner_in_the_end_and_the_order_of_members_does_not_matter(
        members in btree_set(any::<u64>(), 0..12),
        key in any::<u64>(),
    ) {
        let there: Vec<u64> = members.iter().copied().collect();
        let back: Vec<u64> = members.iter().rev().copied().collect();
        let owners = |numbers: &[u64]| -> Vec<u64> {
            Ring::new(numbers.iter().copied()).owners(key).map(|index| numbers[index]).collect()
        };
        prop_assert_eq!(owners(&there), owners(&back));
        prop_assert_eq!(owners(&there).into_iter().collect::<BTreeSet<_>>(), members);
    }
}
