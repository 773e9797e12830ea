//! Moments to come, whatever time a caller says.

use std::time::Duration;

use tokio::time::Instant;

/// Some thirty years: as good as never, and a time that every clock can still add to.
const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// When this time has passed since `from`. A time that is too long for the clock never passes.
pub(crate) fn after(from: Instant, time: Duration) -> Instant {
    from + time.min(NEVER)
}
