//! The name of a message type in one atomic word.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use parking_lot::Mutex;

/// The address of a `'static` one of these stands for a message type.
pub(crate) struct Label {
    name: fn() -> &'static str,
}

pub(crate) trait Labelled {
    const LABEL: &'static Label;
}

impl<M: 'static> Labelled for M {
    const LABEL: &'static Label = &Label { name: std::any::type_name::<M> };
}

/// Every label that was ever current, by address, so that an address can be turned back into a name. As many as the
/// program has message types.
static LABELS: Mutex<BTreeMap<usize, &'static Label>> = Mutex::new(BTreeMap::new());
thread_local! { static PUBLISHED: RefCell<BTreeSet<usize>> = const { RefCell::new(BTreeSet::new()) }; }

impl Label {
    pub(crate) fn address(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The message type.
    pub(crate) fn name(&self) -> &'static str {
        (self.name)()
    }

    /// Makes the label findable. Cheap after the first time on a thread.
    pub(crate) fn publish(&'static self) {
        let address = self.address();
        if PUBLISHED.with_borrow_mut(|published| published.insert(address)) {
            LABELS.lock().insert(address, self);
        }
    }

    /// The message type at an address that [`address`](Self::address) gave.
    pub(crate) fn lookup(address: usize) -> Option<&'static str> {
        if address == 0 {
            return None;
        }
        LABELS.lock().get(&address).map(|label| label.name())
    }
}
