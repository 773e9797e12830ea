//! Who may change what is around secrets that stay as they are: it decides where they go.

use serde_json::{Map, Value};

use super::{
    dead_jobs::merge_patch::applied,
    node::Node,
    request::{Refusal, Who},
};
use crate::{
    edges::store::record::JobRecord,
    encryption::{
        envelope::{self, Part},
        vault::Vault,
    },
};

/// The role to which secrets are shown.
const ADMIN: &str = "admin";

/// Why a change is not made.
pub(super) const WHY: &str = "it keeps secret values and changes what is around them, by which they could become known: give the secret \
                              values anew, or use a token with the role admin";

/// Whether somebody may see secrets. Who has no role is the program itself, or comes where there are no tokens.
pub(super) fn may_see(who: &Who) -> bool {
    who.role.as_deref().is_none_or(|role| role == ADMIN)
}

pub(super) fn refusal() -> Refusal {
    Refusal::Forbidden(WHY.to_owned())
}

/// A change of a payload.
#[derive(Clone, Copy)]
pub(super) enum Change<'c> {
    /// This payload, with `$redacted` where it stays as it is.
    Payload(&'c Map<String, Value>),
    /// A merge patch.
    Patch(&'c Map<String, Value>),
}

/// Whether a change leaves a secret of the job as it is, and anything else not.
pub(super) fn keeps_secrets(node: &Node, job: &JobRecord, change: Change<'_>) -> bool {
    let Ok(mut shown) = serde_json::from_str::<Value>(&job.payload) else { return true };
    node.secrets.redact(&job.job_type, Part::Payload, &mut shown);
    let Value::Object(shown) = shown else { return true };
    let after = match change {
        Change::Payload(payload) => payload.clone(),
        Change::Patch(patch) => {
            let mut patch = patch.clone();
            Vault::without_redacted(&mut patch);
            applied(shown.clone(), &patch)
        }
    };
    after != shown && envelope::reserved(&Value::Object(after), &mut String::new())
}
