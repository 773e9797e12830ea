//! What is other than before.

use std::collections::BTreeMap;

/// What is new or other among `now`, in its order, and the keys of what is gone since `before`. Afterwards `before` is `now`.
pub(super) fn changes<T: Clone + PartialEq>(
    before: &mut BTreeMap<String, T>,
    now: &[T],
    key: impl Fn(&T) -> &str,
) -> (Vec<T>, Vec<String>) {
    let mut old = std::mem::take(before);
    let mut changed = Vec::new();
    for thing in now {
        let key = key(thing);
        if old.remove(key).as_ref() != Some(thing) {
            changed.push(thing.clone());
        }
        before.insert(key.to_owned(), thing.clone());
    }
    (changed, old.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn changes_make_of_what_was_what_is(steps in prop::collection::vec(prop::collection::btree_map("[a-d]", 0..3_u8, 0..4), 1..6)) {
            let (mut before, mut told) = (BTreeMap::new(), BTreeMap::new());
            for step in steps {
                let now: Vec<(String, u8)> = step.clone().into_iter().collect();
                let (changed, removed) = changes(&mut before, &now, |thing| &thing.0);
                for thing in &changed {
                    prop_assert!(told.get(&thing.0) != Some(&thing.1), "what is the same is not told");
                }
                for name in removed {
                    prop_assert!(told.remove(&name).is_some());
                }
                told.extend(changed);
                prop_assert_eq!(&told, &step);
            }
        }
    }
}
