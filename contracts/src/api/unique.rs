//! Jobs that are to be the only ones of their kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::JobState;

/// Values of the payload that may make a kind.
pub const MAX_UNIQUE_FIELDS: usize = 16;

/// The longest period, in milliseconds: a year.
pub const MAX_UNIQUE_PERIOD_MS: u64 = 366 * 24 * 60 * 60 * 1000;

/// That a job is to be the only one of its kind: the store takes no second one, however many are submitted at once.
///
/// What makes the kind is the job's type and its payload, unless this says otherwise. The first job of a kind has the
/// place until its state is none of `states` any more, or the period is over, or it is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Unique {
    /// What becomes of a job whose place is taken.
    pub policy: UniquePolicy,
    /// Whether a job of another type is of another kind. Default: true.
    pub by_type: bool,
    /// Whether a job of another queue is of another kind. Default: false.
    pub by_queue: bool,
    /// The values of the payload that make the kind, as JSON Pointers such as `/customer/id`, at most 16; one that is not
    /// there is a value of its own. Default: the whole payload; an empty list: nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[schemars(length(max = MAX_UNIQUE_FIELDS))]
    pub payload: Option<Vec<String>>,
    /// The states in which the first job has the place; `pending`, `scheduled` and `available` must be among them.
    /// Default: as the policy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<Vec<JobState>>,
    /// How long the first job has the place at most, in milliseconds since it was stored, up to a year. Default: as long as
    /// its state is one of `states`; `debounce` and `throttle` need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    #[schemars(range(min = 1, max = MAX_UNIQUE_PERIOD_MS))]
    pub period_ms: Option<u64>,
}

impl Default for Unique {
    /// The only unfinished job of its type with its payload; another one is refused.
    fn default() -> Self {
        Unique {
            policy: UniquePolicy::default(),
            by_type: true,
            by_queue: false,
            payload: None,
            states: None,
            period_ms: None,
        }
    }
}

impl Unique {
    /// The only unfinished job of its type with its payload, under this policy.
    pub fn with(policy: UniquePolicy) -> Self {
        Unique { policy, ..Unique::default() }
    }

    /// These values of the payload make the kind, as JSON Pointers.
    #[must_use]
    pub fn fields(mut self, pointers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.payload = Some(pointers.into_iter().map(Into::into).collect());
        self
    }

    /// The first job has the place for this long at most, in whole milliseconds.
    #[must_use]
    pub fn period(mut self, period: std::time::Duration) -> Self {
        self.period_ms = Some(u64::try_from(period.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

/// What becomes of a job whose place another one has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UniquePolicy {
    /// It is refused, and the answer names the job that has the place. Default states: all that are not final.
    #[default]
    Reject,
    /// It is not stored either, but the answer is the acceptance of the job that has the place. Default states: all that
    /// are not final.
    Keep,
    /// It is stored, and the job that has the place is cancelled in the same step, if no run of it has begun; else it is
    /// refused. Default states: all that are not final.
    Replace,
    /// It is to run when nothing of its kind was submitted for a whole period: it replaces the one that waits, and waits
    /// for the period itself. One that has begun to run does not count. It has no `states` and no `scheduled_at` of its own.
    Debounce,
    /// One a period: what is submitted within the period of a job is answered as by `keep`, whatever has become of that
    /// one. It has no `states` of its own.
    Throttle,
}

impl UniquePolicy {
    /// Every policy.
    pub const ALL: [UniquePolicy; 5] = [
        UniquePolicy::Reject,
        UniquePolicy::Keep,
        UniquePolicy::Replace,
        UniquePolicy::Debounce,
        UniquePolicy::Throttle,
    ];

    /// The policy's name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            UniquePolicy::Reject => "reject",
            UniquePolicy::Keep => "keep",
            UniquePolicy::Replace => "replace",
            UniquePolicy::Debounce => "debounce",
            UniquePolicy::Throttle => "throttle",
        }
    }
}
