//! [`explore`]: one scenario in many orders of events.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, Location, catch_unwind},
};

use crate::testkit::run;

/// Runs just this seed, to look at a failure.
const VARIABLE: &str = "CALLBOARD_SEED";

/// Runs a scenario once for each seed, each time on a fresh paused clock, as [`run`] does. A scenario starts its system
/// with [`TestSystem::seeded`](crate::testkit::TestSystem::seeded), so that each seed is another order of events.
///
/// With `CALLBOARD_SEED=17` in the environment it runs that seed alone.
///
/// ```
/// use callboard_supervisors::{SupervisorSpec, testkit::{TestSystem, explore}};
///
/// explore(0..20, async |seed| {
///     let system = TestSystem::seeded(seed, SupervisorSpec::new("root")).await;
///     assert!(system.root().is_running());
///     system.shutdown().await;
/// });
/// ```
///
/// # Panics
/// When the scenario panics: the panic names the first seed with which it does, and whether it does so again. When
/// there is no seed, or `CALLBOARD_SEED` is no number.
#[track_caller]
pub fn explore(seeds: impl IntoIterator<Item = u64>, scenario: impl AsyncFn(u64)) {
    let at = Location::caller();
    let attempt = |seed| catch_unwind(AssertUnwindSafe(|| run(scenario(seed)))).map_err(text_of);
    let only = std::env::var(VARIABLE).ok().map(|seed| {
        seed.parse()
            .unwrap_or_else(|_| panic!("{VARIABLE} is to be a number from 0 to 2^64 - 1, not `{seed}`"))
    });
    let seeds: Box<dyn Iterator<Item = u64>> = match only {
        Some(seed) => Box::new(std::iter::once(seed)),
        None => Box::new(seeds.into_iter()),
    };
    let mut passed = 0;
    for seed in seeds {
        if let Err(text) = attempt(seed) {
            let again = match attempt(seed) {
                Err(again) if again == text => "it fails so each time",
                Err(_) => {
                    "the second time it fails in another way: something else than the seed has a part in it"
                }
                Ok(()) => "the second time it passes: something else than the seed has a part in it",
            };
            panic!(
                "{at}: seed {seed} fails, after {passed} that passed; {again}. \
                 To run it alone, set {VARIABLE}={seed}. It says: {text}"
            );
        }
        passed += 1;
    }
    assert!(passed > 0, "{at}: no seed, so nothing was explored");
}

fn text_of(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("(no text)").into(),
    }
}
