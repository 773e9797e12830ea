//! Which keys encrypt what is stored; encrypting it with the current one; and showing a secret to whoever may see it.

use std::collections::BTreeMap;

use callboard_contracts::api::{EncryptionRotated, EncryptionStatus, JobDetail, KeyUse, SecretType};
use callboard_supervisors::Message;
use uuid::Uuid;

use super::{
    node::Node,
    read_model,
    request::{Refusal, Who},
};
use crate::{
    edges::store::{
        Operation, Outcome, StoreError,
        dead_jobs::BulkSelection,
        encryption::{Resealed, SealedPlace, SealedText},
        record::NewAudit,
    },
    encryption::{
        Keyring,
        envelope::{MARK, Part, keys_of},
    },
};

/// Jobs that one page looks at.
const PAGE: u32 = 500;
/// Jobs that a start looks at.
const LOOKED_AT_START: u32 = 2000;
/// Bulk operations that are looked at, the newest.
const BULKS: u32 = 1000;
/// Texts that are exchanged in one write.
const AT_ONCE: usize = 100;

/// To the read model: a page of what is encrypted with which key.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<EncryptionStatus, StoreError>)]
pub struct GetEncryption {
    /// Behind which job it begins; none: at the beginning, with what is no job's.
    pub after: Option<u64>,
}

/// To the gateway: encrypt the next part of what is stored with the current key.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<EncryptionRotated, Refusal>)]
pub struct RotateKeys {
    /// Behind which job it begins; none: at the beginning, with what is no job's.
    pub after: Option<u64>,
}

/// To the read model: one job with its secrets. That somebody saw them is kept in the audit trail first.
#[derive(Clone, Copy, Debug, Message)]
#[message(reply = Result<Option<JobDetail>, Refusal>)]
pub struct RevealJob {
    /// The job.
    pub id: Uuid,
}

/// Texts that are encrypted, and how far they were looked for.
struct Found {
    texts: Vec<(Part, SealedText)>,
    looked_at: u64,
    next: Option<u64>,
}

async fn find(node: &Node, after: Option<u64>) -> Result<Found, StoreError> {
    let mut texts = Vec::new();
    if after.is_none() {
        // Neither waits, nor has ended, as a job does.
        let state = callboard_contracts::JobState::Scheduled;
        for entry in node.store.cron().await? {
            let text = serde_json::to_string(&entry.definition.job.payload).unwrap_or_default();
            let (place, job_type) = (SealedPlace::Cron(entry.name), entry.definition.job.job_type);
            texts.push((Part::Payload, SealedText { place, job_type, state, text }));
        }
        for record in node.store.bulks(BulkSelection::Newest, BULKS).await? {
            let job_type = record.filter.job_type.unwrap_or_default();
            if let Some(text) = record.patch {
                let place = SealedPlace::Bulk(record.id);
                texts.push((Part::Patch, SealedText { place, job_type, state, text }));
            }
        }
        texts.retain(|(_, text)| text.text.contains(MARK));
    }
    let page = node.store.sealed(after.unwrap_or(0), PAGE).await?;
    texts.extend(page.texts.into_iter().map(|text| match text.place {
        SealedPlace::Result(_) => (Part::Result, text),
        _ => (Part::Payload, text),
    }));
    Ok(Found { texts, looked_at: page.looked_at.into(), next: page.next })
}

/// A page of what is encrypted with which key.
pub(super) async fn status(node: &Node, after: Option<u64>) -> Result<EncryptionStatus, StoreError> {
    let Found { texts, looked_at, next } = find(node, after).await?;
    let vault = node.vault();
    let mut uses: BTreeMap<String, KeyUse> = BTreeMap::new();
    for (part, text) in &texts {
        for (name, check) in keys_of(&text.text) {
            let of = uses.entry(name_of(&vault.keys, name, check)).or_default();
            match (part, &text.place) {
                (Part::Patch, _) => of.patches += 1,
                (_, SealedPlace::Cron(_)) => of.cron += 1,
                (Part::Result, _) => of.results += 1,
                (Part::Payload, _) => {
                    of.payloads += 1;
                    of.waiting += u64::from(!text.state.is_final());
                }
            }
        }
    }
    let types = vault.secrets.types().map(|(job_type, secrets)| SecretType {
        job_type: job_type.to_owned(),
        fields: secrets.payload.patterns(),
        results: secrets.result.patterns(),
        required: secrets.required,
        outside: secrets.outside,
    });
    Ok(EncryptionStatus {
        node: node.name.to_string(),
        current: vault.keys.current().map(str::to_owned),
        keys: vault.keys.names().map(str::to_owned).collect(),
        fingerprints: vault.keys.has_fingerprints(),
        types: types.collect(),
        uses,
        looked_at,
        next_cursor: next.map(|next| next.to_string()),
    })
}

/// What a key is called where its uses are counted. One that only has the name of a key of this node cannot be read here.
fn name_of(keys: &Keyring, name: &str, check: &str) -> String {
    if keys.has(name) && !keys.has_key(name, check) {
        format!("{name} (another key)")
    } else {
        name.to_owned()
    }
}

/// The keys that this node does not have, of the oldest jobs, of which a bounded number is looked at, and of what is no job's.
pub(super) async fn missing_keys(node: &Node) -> Result<BTreeMap<String, KeyUse>, StoreError> {
    let (mut missing, mut after) = (BTreeMap::<String, KeyUse>::new(), None);
    for _ in 0..LOOKED_AT_START / PAGE {
        let page = status(node, after).await?;
        for (key, of) in page.uses.iter().filter(|(key, _)| !page.keys.contains(key)) {
            missing.entry(key.clone()).or_default().add(of);
        }
        after = page.next_cursor.and_then(|next| next.parse().ok());
        if after.is_none() {
            break;
        }
    }
    Ok(missing)
}

/// Encrypts the next part of what is stored with the current key. Whatever else changes it meanwhile wins; what is left over is found
/// by the next round. So it can end at any point, be done twice, and by several at a time.
pub(super) async fn rotate(
    node: &Node,
    who: &Who,
    RotateKeys { after }: RotateKeys,
) -> Result<EncryptionRotated, Refusal> {
    let vault = node.vault();
    let Some(current) = vault.keys.current().map(str::to_owned) else {
        return Err(Refusal::Forbidden(format!(
            "node {:?} has no current key; set `encryption.keys` and `encryption.current`",
            node.name
        )));
    };
    if after.is_none() {
        let begun = format!("to the key {current}");
        note(node, who, "encryption.rotate", current.clone(), begun).await?;
    }
    let Found { texts, looked_at, next } = find(node, after).await?;
    let mut rotated = EncryptionRotated {
        current,
        looked_at,
        next_cursor: next.map(|next| next.to_string()),
        ..EncryptionRotated::default()
    };
    for texts in texts.chunks(AT_ONCE) {
        let mut exchanged = Vec::new();
        for (part, SealedText { place, job_type, text, .. }) in texts {
            // What a configuration makes of an entry of the cron table is to be the same.
            let stable = matches!(place, SealedPlace::Cron(_));
            match vault.reseal((job_type, *part), text, stable) {
                Ok(None) => {}
                Ok(Some(new)) => {
                    exchanged.push(Resealed { place: place.clone(), old: text.clone(), new });
                }
                Err(error) => *rotated.unreadable.entry(error.to_string()).or_default() += 1,
            }
        }
        if exchanged.is_empty() {
            continue;
        }
        let asked = exchanged.len() as u64;
        match node.store.write(Operation::Reseal(exchanged)).await? {
            Outcome::Resealed { changed } => {
                rotated.rotated += u64::from(changed);
                rotated.passed_over += asked.saturating_sub(changed.into());
            }
            other => return Err(Refusal::Unavailable(other.unexpected())),
        }
    }
    Ok(rotated)
}

/// One job with its secrets, once it is kept who sees them.
pub(super) async fn reveal(
    node: &Node,
    who: &Who,
    RevealJob { id }: RevealJob,
) -> Result<Option<JobDetail>, Refusal> {
    let Some(mut found) = node.store.job(id).await? else { return Ok(None) };
    let vault = node.vault();
    let job_type = found.job.job_type.clone();
    let open = |part, text: &str| {
        let opened = vault.open_text(&job_type, part, text).map(std::borrow::Cow::into_owned);
        opened.map_err(|error| Refusal::Forbidden(format!("the job {id} cannot be shown: {error}")))
    };
    found.job.payload = open(Part::Payload, &found.job.payload)?;
    found.job.result = found.job.result.take().map(|result| open(Part::Result, &result)).transpose()?;
    note(node, who, "job.reveal", id.to_string(), "shown".to_owned()).await?;
    Ok(Some(read_model::detail_of(node, found, true).await?))
}

async fn note(
    node: &Node,
    who: &Who,
    action: &str,
    target: String,
    outcome: String,
) -> Result<(), StoreError> {
    let entry = NewAudit {
        id: Uuid::now_v7(),
        by: who.name.clone(),
        role: who.role.clone(),
        action: action.to_owned(),
        target,
        detail: None,
    };
    node.store.write(Operation::Audit { entry, outcome }).await.map(drop)
}
