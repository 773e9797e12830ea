//! Reading answers, bounded in size.

use std::time::Duration;

use callboard_contracts::api::Problem;
use reqwest::{Response, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::{Client, ClientError};

/// Characters of a foreign answer that an error shows.
const SHOWN: usize = 200;
/// Bytes of a refusal at most.
const REFUSAL_LIMIT: usize = 1024 * 1024;

/// The media type, in lower case and without its parameters.
pub(crate) fn media_type(response: &Response) -> String {
    let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.unwrap_or("").split(';').next().unwrap_or("");
    kind.trim().chars().take(SHOWN).collect::<String>().to_ascii_lowercase()
}

/// What an answer of another media type is told.
pub(crate) fn wrong_type(client: &Client, found: &str, needed: &str) -> ClientError {
    let found = if found.is_empty() { "without a content type".to_owned() } else { format!("{found:?}") };
    let url = client.url();
    ClientError::Answer(format!("it is {found}, not {needed}; is that at {url} a Callboard server?"))
}

async fn body(client: &Client, mut response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
    let too_long = || ClientError::Answer(format!("it has more than the {limit} bytes that are allowed"));
    if response
        .content_length()
        .is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit))
    {
        return Err(too_long());
    }
    let mut body = Vec::new();
    let lost = |error: reqwest::Error| ClientError::reach(client.url(), &error);
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The answer to a call that was carried out.
pub(crate) async fn json<A: DeserializeOwned>(client: &Client, response: Response) -> Result<A, ClientError> {
    let kind = media_type(&response);
    if kind != "application/json" {
        return Err(wrong_type(client, &kind, "application/json"));
    }
    let body = body(client, response, client.answer_limit).await?;
    serde_json::from_slice(&body).map_err(|error| {
        ClientError::Answer(format!("{error}; the server may be of another version than this client"))
    })
}

/// Why the call was not carried out.
pub(crate) async fn refusal(client: &Client, response: Response) -> ClientError {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return ClientError::Unauthorized { url: client.url().to_owned(), given: client.token.is_some() };
    }
    let after = response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
    let retry_after = after.and_then(|after| after.trim().parse().ok()).map(Duration::from_secs);
    let body = match body(client, response, client.answer_limit.min(REFUSAL_LIMIT)).await {
        Ok(body) => body,
        Err(ClientError::Answer(why)) => why.into_bytes(),
        Err(lost) => return lost,
    };
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| foreign(status, &body));
    // The line's status counts: what is retried must not depend on what a body says.
    let problem = Problem { status: status.as_u16(), ..problem };
    ClientError::Refused { problem: Box::new(problem), retry_after }
}

/// What somebody else than Callboard answered, a proxy for example.
fn foreign(status: StatusCode, body: &[u8]) -> Problem {
    let text = String::from_utf8_lossy(body);
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let detail: String = words.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
    Problem {
        problem_type: "about:blank".to_owned(),
        title: format!("the answer is {status}, and no problem of Callboard's"),
        status: status.as_u16(),
        detail: if detail.is_empty() { "it has no text".to_owned() } else { detail },
        instance: None,
        errors: Vec::new(),
        job: None,
    }
}
