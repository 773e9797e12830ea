//! The failpoints that the environment names, and what happens at them.

use std::{
    collections::HashMap,
    env, fs,
    future::{Future, poll_fn},
    io::Write,
    pin::pin,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use rustix::process::{Signal, getpid, kill_process};

use super::FAILPOINTS;

struct Armed {
    action: Action,
    /// Hits that are left before it acts, or at which it does.
    left: AtomicU64,
}

#[derive(Clone, Copy)]
enum Action {
    /// The process gets it at one hit.
    Signal(Signal),
    /// The thread panics at each of the first hits.
    Panic,
}

static ARMED: LazyLock<HashMap<String, Armed>> = LazyLock::new(|| {
    let text = env::var("CALLBOARD_FAILPOINTS").unwrap_or_default();
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| match parse(entry) {
            Some(armed) => armed,
            // A test that goes on without its fault would prove nothing.
            None => {
                eprintln!(
                    "CALLBOARD_FAILPOINTS: {entry:?} is no known name with =kill@N, =stop@N or =panic@N"
                );
                std::process::exit(2)
            }
        })
        .collect()
});

fn parse(entry: &str) -> Option<(String, Armed)> {
    let (name, action) = entry.split_once('=')?;
    let (action, hit) = action.split_once('@')?;
    let action = match action {
        "kill" => Action::Signal(Signal::KILL),
        "stop" => Action::Signal(Signal::STOP),
        "panic" => Action::Panic,
        _ => return None,
    };
    let known = FAILPOINTS.iter().any(|failpoint| failpoint.name == name);
    let armed = Armed { action, left: AtomicU64::new(hit.parse().ok()?) };
    known.then(|| (name.to_owned(), armed))
}

/// Counts a hit, and kills or stops the process at the one that was asked for; or panics at the first ones.
pub(crate) fn reached(name: &str) {
    let Some(armed) = ARMED.get(name) else { return };
    let signal = match armed.action {
        Action::Signal(signal) => signal,
        Action::Panic => {
            let more = armed.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
            assert!(more.is_err(), "the failpoint {name} panics");
            return;
        }
    };
    if armed.left.fetch_sub(1, SeqCst) != 1 {
        return;
    }
    if let Some(log) = env::var_os("CALLBOARD_FAILPOINT_LOG")
        && let Ok(mut file) = fs::File::options().create(true).append(true).open(log)
    {
        // Without the line the test fails, which is what it is for.
        let _ = writeln!(file, "{name}");
    }
    let _ = kill_process(getpid(), signal);
}

/// Runs `future`, and reaches `name` when it first has to wait for something.
pub(crate) async fn pending<F: Future>(name: &str, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut waited = false;
    poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() && !std::mem::replace(&mut waited, true) {
            reached(name);
        }
        poll
    })
    .await
}
