//! Catching panics, with their place and backtrace.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    sync::{
        Once,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use crate::core::bury;

/// Captures of backtraces a second, in the whole process: each takes some microseconds.
const BACKTRACES_PER_SECOND: u64 = 2_000;

/// What is known of a panic.
pub(crate) struct Panic {
    pub(crate) text: String,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<Backtrace>,
}

thread_local! {
    /// Whether a panic on this thread would be caught here.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static SEEN: RefCell<Option<(Option<String>, Option<Backtrace>)>> = const { RefCell::new(None) };
}

/// Puts our hook before the one that is there, which goes on being called. Once in a process; a hook set later by the
/// application costs crash records their place and backtrace, nothing else.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = take_hook();
        set_hook(Box::new(move |info| {
            if CATCHING.get() {
                see(info);
            }
            next(info);
        }));
    });
}

fn see(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let backtrace = may_capture().then(Backtrace::force_capture);
    SEEN.set(Some((location, backtrace)));
}

fn may_capture() -> bool {
    static SECOND: AtomicU64 = AtomicU64::new(0);
    static CAPTURED: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    if SECOND.swap(now, Relaxed) != now {
        CAPTURED.store(0, Relaxed);
    }
    CAPTURED.fetch_add(1, Relaxed) < BACKTRACES_PER_SECOND
}

/// Runs user code.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(outer);
    result.map_err(describe)
}

/// Runs user code whose panics are caught in `f` itself, and leave what is recorded of others as it is.
pub(crate) fn unrecorded<T>(f: impl FnOnce() -> T) -> T {
    let outer = CATCHING.replace(false);
    let result = f();
    CATCHING.set(outer);
    result
}

fn describe(payload: Box<dyn Any + Send>) -> Panic {
    let payload = match payload.downcast::<Panic>() {
        // It happened on another thread, and was described there.
        Ok(panic) => return *panic,
        Err(payload) => payload,
    };
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    let (location, backtrace) = SEEN.take().unwrap_or_default();
    bury(payload);
    Panic { text: text.unwrap_or_else(|| "(the panic's payload is no text)".into()), location, backtrace }
}
