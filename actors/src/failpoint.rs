//! Places where a test can have the process killed, to prove what its death costs.
//!
//! Only with the feature `failpoints`; without it [`failpoint!`](crate::failpoint) is nothing. The variable
//! `CALLBOARD_FAILPOINTS` holds `name=kill@N,…`: the process kills itself when it comes to that place for the N-th time,
//! after it has appended the name to the file that `CALLBOARD_FAILPOINT_LOG` names.

#[cfg(feature = "failpoints")]
use std::{
    collections::HashMap,
    env, fs,
    io::Write,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

/// A place where a test can have the process killed.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reached($name);
    };
}
pub(crate) use failpoint;

/// Hits left by name.
#[cfg(feature = "failpoints")]
static ARMED: LazyLock<HashMap<String, AtomicU64>> = LazyLock::new(|| {
    let text = env::var("CALLBOARD_FAILPOINTS").unwrap_or_default();
    let parse = |entry: &str| {
        let (name, hit) = entry.split_once("=kill@")?;
        Some((name.trim().to_owned(), AtomicU64::new(hit.trim().parse().ok()?)))
    };
    text.split(',').filter_map(parse).collect()
});

/// Counts a hit, and kills the process at the one that was asked for.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(name: &str) {
    let Some(left) = ARMED.get(name) else { return };
    if left.fetch_sub(1, SeqCst) != 1 {
        return;
    }
    if let Some(log) = env::var_os("CALLBOARD_FAILPOINT_LOG")
        && let Ok(mut file) = fs::File::options().create(true).append(true).open(log)
    {
        // Without the line the test fails, which is what it is for.
        let _ = writeln!(file, "{name}");
    }
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}
