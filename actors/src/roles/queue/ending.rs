//! How an attempt ended, and what follows from it.

use std::time::Duration;

use callboard_contracts::{
    Timestamp,
    api::{AttemptError, ErrorKind},
};

use crate::{
    edges::store::record::AttemptEnd,
    jobs::{JobError, RetryPolicy, error::Then},
};

/// Bytes of an error's message that are kept.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// Bytes of a backtrace that are kept.
pub(crate) const MAX_BACKTRACE_BYTES: usize = 16 * 1024;

/// How an attempt ended, before anybody has decided what follows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    /// With a result, JSON text, if it has one.
    Completed(Option<String>),
    /// With an error.
    Failed {
        /// What went wrong.
        error: AttemptError,
        /// When the next attempt may follow, if the job has said so.
        after: Option<Duration>,
    },
    /// Because the job was cancelled.
    Cancelled(AttemptError),
    /// Handed back.
    Released,
    /// To be continued after this time.
    Snoozed(Duration),
}

impl Ending {
    /// With an error of this kind after which another attempt may follow.
    pub(crate) fn failed(kind: ErrorKind, message: impl Into<String>) -> Self {
        Ending::Failed { error: error(kind, message.into(), false), after: None }
    }

    /// With an error of this kind after which none is of use.
    pub(crate) fn fatal(kind: ErrorKind, message: impl Into<String>) -> Self {
        Ending::Failed { error: error(kind, message.into(), true), after: None }
    }

    /// By an error of the job.
    pub(crate) fn of_job(failed: JobError) -> Self {
        let (message, then) = failed.into_parts();
        let (kind, is_final) = (ErrorKind::Failed, then == Then::Nothing);
        match then {
            Then::Continue(delay) => Ending::Snoozed(delay),
            Then::RetryAfter(delay) => {
                Ending::Failed { error: error(kind, message, is_final), after: Some(delay) }
            }
            Then::Retry | Then::Nothing => {
                Ending::Failed { error: error(kind, message, is_final), after: None }
            }
        }
    }

    /// By a cancellation, of which the attempt says this.
    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Ending::Cancelled(error(ErrorKind::Cancelled, message.into(), false))
    }

    /// What is written. `now` is the store's clock, `random` is uniform in 0..1.
    pub(crate) fn decide(
        self,
        attempt: u32,
        max_attempts: u32,
        policy: RetryPolicy,
        now: Timestamp,
        random: f64,
    ) -> AttemptEnd {
        match self {
            Ending::Completed(result) => AttemptEnd::Completed { result },
            Ending::Cancelled(error) => AttemptEnd::Cancelled { error },
            Ending::Released => AttemptEnd::Released,
            Ending::Snoozed(delay) => AttemptEnd::Snoozed { until: now.saturating_add(delay) },
            Ending::Failed { error, after } => {
                let another = !error.is_final && attempt < max_attempts;
                let delay = another.then(|| policy.delay(attempt, random)).flatten();
                // Only of those that are to follow at all.
                let delay = delay.map(|delay| after.unwrap_or(delay));
                AttemptEnd::Failed { error, retry_at: delay.map(|delay| now.saturating_add(delay)) }
            }
        }
    }
}

fn error(kind: ErrorKind, message: String, is_final: bool) -> AttemptError {
    AttemptError { kind, message: cut(message, MAX_MESSAGE_BYTES), backtrace: None, is_final }
}

/// Cuts a text that is too long, and says so at its end.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let note = format!("… ({} bytes in all)", text.len());
        text.truncate(text.floor_char_boundary(max.saturating_sub(note.len())));
        text.push_str(&note);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn retry_at(ending: Ending, attempt: u32, max_attempts: u32, policy: RetryPolicy) -> Option<Timestamp> {
        match ending.decide(attempt, max_attempts, policy, Timestamp::from_micros(NOW), 0.5) {
            AttemptEnd::Failed { retry_at, .. } => retry_at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failed_attempt_is_followed_by_another_until_none_is_left() {
        let fixed = RetryPolicy::Fixed(Duration::from_secs(1));
        let failed = || Ending::failed(ErrorKind::Failed, "x");
        assert_eq!(retry_at(failed(), 1, 3, fixed), Some(Timestamp::from_micros(NOW + 1_000_000)));
        assert_eq!(retry_at(failed(), 2, 3, fixed), Some(Timestamp::from_micros(NOW + 1_000_000)));
        assert_eq!(retry_at(failed(), 3, 3, fixed), None);
        assert_eq!(retry_at(failed(), 1, 3, RetryPolicy::Never), None);
        assert_eq!(retry_at(Ending::fatal(ErrorKind::Failed, "x"), 1, 3, fixed), None);
    }

    #[test]
    fn a_job_says_when_the_next_attempt_follows_but_not_whether() {
        let fixed = RetryPolicy::Fixed(Duration::from_secs(1));
        let later = || Ending::of_job(JobError::retry_after("busy", Duration::from_secs(7)));
        assert_eq!(retry_at(later(), 1, 3, fixed), Some(Timestamp::from_micros(NOW + 7_000_000)));
        assert_eq!(retry_at(later(), 3, 3, fixed), None);
        assert_eq!(retry_at(later(), 1, 3, RetryPolicy::Never), None);
        assert_eq!(retry_at(Ending::of_job(JobError::fatal("no")), 1, 3, fixed), None);
        let now = Timestamp::from_micros(NOW);
        let snoozed = Ending::of_job(JobError::snooze(Duration::ZERO)).decide(3, 3, fixed, now, 0.5);
        assert_eq!(snoozed, AttemptEnd::Snoozed { until: Timestamp::from_micros(NOW + 100_000) });
    }

    #[test]
    fn a_custom_policy_decides_by_the_number_of_the_attempt() {
        let policy = RetryPolicy::custom(|attempt| (attempt < 2).then_some(Duration::from_secs(3)));
        let failed = || Ending::failed(ErrorKind::Failed, "x");
        assert_eq!(retry_at(failed(), 1, 9, policy), Some(Timestamp::from_micros(NOW + 3_000_000)));
        assert_eq!(retry_at(failed(), 2, 9, policy), None);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = cut("ä".repeat(100), 60);
        assert!(text.len() <= 60 && text.ends_with("… (200 bytes in all)"), "{text}");
        assert_eq!(cut("short".to_owned(), 60), "short");
    }
}
