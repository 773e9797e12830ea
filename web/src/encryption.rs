//! Which keys encrypt what is stored, encrypting it anew, and secrets for those who may see them.

use actix_web::{HttpRequest, HttpResponse, web};
use callboard_actors::roles::request::{GetEncryption, RevealJob, RotateKeys, Signed};
use callboard_contracts::api::RotateEncryption;
use serde_json::json;
use uuid::Uuid;

use crate::{
    api::{State, query},
    body,
    credentials::check_role,
    guard::who,
    problem::{Kind, Trouble},
    route::{Route, Schema::Named},
    settings::Role,
};

type Answer = Result<HttpResponse, Trouble>;

/// The routes.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/encryption", "getEncryption", |state, request, _| {
            Box::pin(async move { status(&state, &request).await })
        })
        .says(
            "Which keys encrypt what",
            "The keys that the node has, and what is encrypted with which key, page by page: the numbers of the pages add up. A key \
             with which nothing is encrypted any more can be retired.",
        )
        .parameter("query", "cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }))
        .answer(200, "A page.", Named("EncryptionStatus"))
        .problems(&[Kind::Malformed])
        .tag("Encryption"),
        Route::post("/api/v1/encryption/rotate", "rotateEncryption", |state, request, payload| {
            Box::pin(async move { rotate(&state, &request, payload).await })
        })
        .needs(Role::Admin)
        .says(
            "Encrypt with the current key",
            "Encrypts the next part of what is stored anew with the node's current key: send it again with the `next_cursor` of the \
             answer until there is none. Jobs run meanwhile; what is changed by others at the same time is passed over. Where \
             tokens are configured this needs the role admin. A node without a current key refuses it.",
        )
        .optional_body(Named("RotateEncryption"), json!({}))
        .answer(200, "What was done.", Named("EncryptionRotated"))
        .problems(&[Kind::Malformed, Kind::Forbidden])
        .tag("Encryption"),
    ]
}

async fn status(state: &State, request: &HttpRequest) -> Answer {
    let mut after = None;
    for (name, value) in query(request) {
        match &*name {
            "cursor" => after = Some(cursor(&value)?),
            other => {
                let name = other.chars().take(50).collect::<String>();
                return Err(Trouble::parameter(&name, "there is cursor"));
            }
        }
    }
    let status = state.ask(&state.roles.get_encryption, GetEncryption { after }).await??;
    Ok(HttpResponse::Ok().json(status))
}

async fn rotate(state: &State, request: &HttpRequest, payload: web::Payload) -> Answer {
    let who = who(request);
    let read = body::read(request, payload, &state.settings).await?;
    let asked = if read.trim_ascii().is_empty() {
        RotateEncryption::default()
    } else {
        serde_json::from_value(body::json(&read, &state.settings)?).map_err(|error| {
            Trouble::new(Kind::Malformed, format!("nothing, or {{\"cursor\": \"...\"}}, is needed: {error}"))
        })?
    };
    let after = asked.cursor.as_deref().map(cursor).transpose()?;
    let signed = Signed { who, request: RotateKeys { after } };
    Ok(HttpResponse::Ok().json(state.ask(&state.roles.rotate_keys, signed).await??))
}

fn cursor(text: &str) -> Result<u64, Trouble> {
    let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| Trouble::parameter("cursor", "this is no cursor of ours"))
}

/// Whether a request for a job asks for its secrets.
pub(crate) fn wants_secrets(request: &HttpRequest) -> Result<bool, Trouble> {
    let mut wanted = false;
    for (name, value) in query(request).into_iter().filter(|(name, _)| name == "reveal") {
        wanted = value.parse().map_err(|_| Trouble::parameter(&name, "true or false is needed"))?;
    }
    Ok(wanted)
}

/// A job with its secrets.
pub(crate) async fn reveal(state: &State, request: &HttpRequest, id: Uuid) -> Answer {
    check_role(request, Role::Admin)?;
    let signed = Signed { who: who(request), request: RevealJob { id } };
    match state.ask(&state.roles.reveal_job, signed).await?? {
        Some(job) => Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(job)),
        None => Err(Trouble::new(Kind::NotFound, format!("there is no job {id}"))),
    }
}
