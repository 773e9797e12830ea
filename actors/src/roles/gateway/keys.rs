//! Keys whose requests are under way.

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use crate::edges::store::record::RequestKey;

/// The keys whose first request is not answered yet. The store would answer the second one as well, but only after the
/// first; whoever sends it learns at once that there is nothing to do but wait.
#[derive(Clone, Default)]
pub(super) struct KeysUnderWay(Rc<RefCell<HashSet<(String, String)>>>);

/// A key that is under way, until this is dropped.
pub(super) struct KeyUnderWay {
    all: KeysUnderWay,
    key: (String, String),
}

impl KeysUnderWay {
    /// None while a request under this key is under way.
    pub(super) fn begin(&self, key: &RequestKey) -> Option<KeyUnderWay> {
        let key = (key.scope.clone(), key.key.clone());
        let begun = self.0.borrow_mut().insert(key.clone());
        begun.then(|| KeyUnderWay { all: self.clone(), key })
    }
}

impl Drop for KeyUnderWay {
    fn drop(&mut self) {
        self.all.0.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_under_way_until_its_request_ends() {
        let key = |scope: &str, key: &str| RequestKey {
            scope: scope.to_owned(),
            key: key.to_owned(),
            fingerprint: [0; 32],
        };
        let keys = KeysUnderWay::default();
        let first = keys.begin(&key("a", "b")).unwrap();
        assert!(keys.begin(&key("a", "b")).is_none());
        assert!(keys.begin(&key("", "ab")).is_some() && keys.begin(&key("b", "a")).is_some());
        drop(first);
        assert!(keys.begin(&key("a", "b")).is_some());
        assert!(keys.0.borrow().is_empty());
    }
}
