//! [`RetryPolicy`]: which calls are tried again, and after what pause.

use std::time::Duration;

use uuid::Uuid;

use crate::ClientError;

/// When a call that failed is tried again.
///
/// Tried again is what cannot do harm: every call, where nobody answers or the server says 429; calls that may be
/// repeated (all reads, and submissions, whose jobs carry ids) also where the connection was lost or
/// the answer is 502, 503 or 504; and one whose first try under its key is still being answered. Every other refusal is final. A `Retry-After` is obeyed; without one the pause
/// doubles from [`min_backoff`](Self::min_backoff) to [`max_backoff`](Self::max_backoff).
///
/// ```
/// use callboard_client::RetryPolicy;
/// assert_eq!(RetryPolicy::default().attempts, 4);
/// let patient = RetryPolicy { attempts: 60, ..RetryPolicy::default() };
/// assert_ne!(patient, RetryPolicy::never());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; 0 counts as 1. Default: 4.
    pub attempts: u32,
    /// The first pause. Default: 100 ms.
    pub min_backoff: Duration,
    /// The longest pause. Default: 2 s.
    pub max_backoff: Duration,
    /// Share of each pause that is drawn at random and taken off, 0 to 1. Default: 0.5.
    pub jitter: f64,
    /// A server that asks for more patience than this is not waited for: the call fails at once. Default: 30 s.
    pub max_retry_after: Duration,
    /// Whether a server that does not answer at all is tried again. Default: true.
    pub unreachable: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 4,
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            jitter: 0.5,
            max_retry_after: Duration::from_secs(30),
            unreachable: true,
        }
    }
}

/// Told before each pause, for example to show that the server is waited for.
#[derive(Debug)]
#[non_exhaustive]
pub struct RetryNotice<'e> {
    /// Why the try failed.
    pub error: &'e ClientError,
    /// Tries so far.
    pub attempt: u32,
    /// How long it will wait.
    pub pause: Duration,
}

impl RetryPolicy {
    /// Every call is sent once.
    pub fn never() -> Self {
        RetryPolicy { attempts: 1, ..RetryPolicy::default() }
    }

    /// The pause after the `failures`th failure (from 1); `random` is from 0 to 1.
    fn backoff(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let longest = self.min_backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        longest.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0))
    }

    /// The pause before the next try; none if there is to be no further one.
    fn pause(&self, error: &ClientError, failures: u32, repeatable: bool, random: f64) -> Option<Duration> {
        let worth_it = match error {
            ClientError::Unreachable { .. } => self.unreachable,
            ClientError::Lost { .. } => repeatable,
            ClientError::Refused { problem, .. } => match problem.status {
                429 => true,
                502..=504 => repeatable,
                // It was sent before, and is not answered yet.
                409 => problem.problem_type.ends_with(":idempotency-key-under-way"),
                _ => false,
            },
            _ => false,
        };
        if !worth_it || failures >= self.attempts {
            return None;
        }
        let backoff = self.backoff(failures, random);
        match error {
            ClientError::Refused { retry_after: Some(after), .. } if *after > self.max_retry_after => None,
            // On top of what the server asks for, so that not all clients come back in the same moment.
            ClientError::Refused { retry_after: Some(after), .. } => Some(*after + self.backoff(1, random)),
            _ => Some(backoff),
        }
    }
}

/// The tries of one call, or of one stream between two successes.
#[derive(Debug)]
pub(crate) struct Tries {
    policy: RetryPolicy,
    failures: u32,
}

impl Tries {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Tries { policy, failures: 0 }
    }

    pub(crate) fn policy(&mut self) -> &mut RetryPolicy {
        &mut self.policy
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// It failed: what to tell and how long to wait, or nothing if this was the last try.
    pub(crate) fn failed<'e>(&mut self, error: &'e ClientError, repeatable: bool) -> Option<RetryNotice<'e>> {
        self.failures = self.failures.saturating_add(1);
        let pause = self.policy.pause(error, self.failures, repeatable, random())?;
        Some(RetryNotice { error, attempt: self.failures, pause })
    }
}

/// From 0 to 1.
fn random() -> f64 {
    let [first, second, ..] = *Uuid::new_v4().as_bytes();
    f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use callboard_contracts::api::Problem;
    use proptest::prelude::*;

    use super::*;

    fn refused(status: u16, after: Option<u64>) -> ClientError {
        let problem = Problem {
            problem_type: "about:blank".to_owned(),
            title: String::new(),
            status,
            detail: String::new(),
            instance: None,
            errors: Vec::new(),
            job: None,
        };
        ClientError::Refused { problem: Box::new(problem), retry_after: after.map(Duration::from_secs) }
    }

    fn lost() -> ClientError {
        ClientError::Lost { url: String::new(), problem: String::new() }
    }

    fn unreachable() -> ClientError {
        ClientError::Unreachable { url: String::new(), problem: String::new() }
    }

    #[test]
    fn only_what_can_do_no_harm_is_tried_again() {
        let policy = RetryPolicy::default();
        let again = |error: &ClientError, repeatable| policy.pause(error, 1, repeatable, 0.0).is_some();
        for repeatable in [true, false] {
            assert!(again(&unreachable(), repeatable));
            assert!(again(&refused(429, None), repeatable));
            assert_eq!(again(&lost(), repeatable), repeatable);
            for status in [502, 503, 504] {
                assert_eq!(again(&refused(status, None), repeatable), repeatable);
            }
            for status in [400, 401, 403, 404, 408, 409, 413, 415, 421, 422, 500, 501] {
                assert!(!again(&refused(status, None), repeatable), "{status}");
            }
            assert!(!again(&ClientError::Answer(String::new()), repeatable));
        }
        let mut under_way = refused(409, Some(1));
        if let ClientError::Refused { problem, .. } = &mut under_way {
            problem.problem_type = "urn:callboard:problem:idempotency-key-under-way".to_owned();
        }
        assert!(again(&under_way, true));
        let here_or_nowhere = RetryPolicy { unreachable: false, ..policy };
        assert_eq!(here_or_nowhere.pause(&unreachable(), 1, true, 0.0), None);
    }

    #[test]
    fn the_servers_wish_is_obeyed_up_to_a_bound() {
        let policy = RetryPolicy::default();
        let pause = |after| policy.pause(&refused(429, Some(after)), 1, true, 1.0);
        assert_eq!(pause(7), Some(Duration::from_millis(7050)));
        assert_eq!(pause(31), None);
    }

    #[test]
    fn tries_are_counted() {
        let mut tries = Tries::new(RetryPolicy { attempts: 3, ..RetryPolicy::default() });
        assert_eq!(tries.failed(&lost(), true).map(|notice| notice.attempt), Some(1));
        assert!(tries.failed(&lost(), true).is_some());
        assert!(tries.failed(&lost(), true).is_none());
        tries.succeeded();
        assert!(tries.failed(&lost(), true).is_some());
        assert!(Tries::new(RetryPolicy::never()).failed(&lost(), true).is_none());
    }

    proptest! {
        #[test]
        fn pauses_stay_in_their_bounds(failures in 1_u32.., random in 0.0..=1.0_f64, jitter in -1.0..=2.0_f64) {
            let policy = RetryPolicy { jitter, ..RetryPolicy::default() };
            let pause = policy.backoff(failures, random);
            prop_assert!(pause <= policy.max_backoff);
            prop_assert!(policy.backoff(failures, 0.0) >= policy.min_backoff);
            prop_assert!(policy.backoff(failures.saturating_add(1), 0.0) >= policy.backoff(failures, 0.0));
        }
    }
}
