//! What threads share state by: parking_lot's lock and the standard library's atomics, and loom's in the models.

#[cfg(not(callboard_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(callboard_loom))]
pub(crate) use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, fence},
};

#[cfg(callboard_loom)]
pub(crate) use self::modelled::{Mutex, OnceLock};
#[cfg(callboard_loom)]
pub(crate) use loom::sync::{
    MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, fence},
};

/// loom's, with the shape of the others.
#[cfg(callboard_loom)]
mod modelled {
    use loom::sync::{
        MutexGuard,
        atomic::{AtomicBool, Ordering::Acquire, Ordering::Release},
    };

    #[derive(Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("no model panics under a lock")
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no model panics under a lock")
        }
    }

    /// One thread sets it.
    pub(crate) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        is_set: AtomicBool,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            OnceLock { value: std::sync::OnceLock::new(), is_set: AtomicBool::new(false) }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            if self.is_set.load(Acquire) { self.value.get() } else { None }
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            self.value.set(value)?;
            self.is_set.store(true, Release);
            Ok(())
        }
    }
}
