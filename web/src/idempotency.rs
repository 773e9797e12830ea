//! The `Idempotency-Key` header: a request that is carried out once, however often it is sent.

use actix_web::{HttpMessage, HttpRequest};
use callboard_actors::roles::request::Form;
use callboard_actors::{edges::store::record::RequestKey, roles::request::SubmitOnce};
use callboard_contracts::api::Submitted;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    api::State,
    body,
    guard::Caller,
    problem::{Kind, Trouble},
};

/// The header of a request.
pub(crate) const HEADER: &str = "Idempotency-Key";
/// The header of an answer that was given before.
pub(crate) const REPLAYED: &str = "Idempotent-Replayed";
/// Characters of a key at most.
const MAX_LENGTH: usize = 255;

/// What became of the jobs of a request.
pub(crate) struct Stored {
    pub(crate) answers: Vec<Result<Submitted, Trouble>>,
    /// Whether this is what was answered before.
    pub(crate) replayed: bool,
}

/// Stores the jobs of a request; once, if it has a key. `read` is its body.
pub(crate) async fn store(
    state: &State,
    request: &HttpRequest,
    form: Form,
    jobs: Vec<Value>,
    read: &[u8],
) -> Result<Stored, Trouble> {
    let key = key(request, read)?;
    let submit = body::submit(form, jobs, request);
    let (answers, replayed) = match key {
        None => (state.ask(&state.roles.submit, submit).await?, false),
        Some(key) => {
            let submitted = state.ask(&state.roles.submit_once, SubmitOnce { submit, key }).await??;
            (submitted.answers, submitted.replayed)
        }
    };
    let answers = answers.into_iter().map(|answer| answer.map_err(Trouble::from)).collect();
    Ok(Stored { answers, replayed })
}

/// A request that must not have a key, because it would mean nothing.
pub(crate) fn refuse(request: &HttpRequest) -> Result<(), Trouble> {
    if request.headers().contains_key(HEADER) {
        let detail =
            format!("{HEADER} means nothing here; give each job an id, under which it is stored once");
        return Err(Trouble::new(Kind::Malformed, detail));
    }
    Ok(())
}

/// The key that a request gives. It is the caller's and the route's: the same of another caller is another key.
fn key(request: &HttpRequest, read: &[u8]) -> Result<Option<RequestKey>, Trouble> {
    let mut given = request.headers().get_all(HEADER);
    let Some(value) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(wrong("it is given more than once"));
    }
    let key =
        value.to_str().map_err(|_| wrong("it has other characters than printable ASCII")).and_then(parse)?;
    let caller = request.extensions().get::<Caller>().map(|caller| caller.0.clone()).unwrap_or_default();
    let scope = format!("{} {caller}", request.path());
    let mut fingerprint = Sha256::new_with_prefix(request.content_type().to_ascii_lowercase());
    fingerprint.update([0]);
    fingerprint.update(read);
    Ok(Some(RequestKey { scope, key, fingerprint: fingerprint.finalize().into() }))
}

/// Plain characters, or a string of RFC 9651 in quotes, which is the same key.
fn parse(value: &str) -> Result<String, Trouble> {
    let key = match value.strip_prefix('"') {
        None => value.to_owned(),
        Some(quoted) => {
            let inner = quoted.strip_suffix('"').ok_or_else(|| wrong("its quotes do not end"))?;
            let mut key = String::with_capacity(inner.len());
            let mut letters = inner.chars();
            while let Some(letter) = letters.next() {
                key.push(match letter {
                    '\\' => letters.next().filter(|next| matches!(next, '"' | '\\')).ok_or_else(|| {
                        wrong("in quotes, a backslash stands before a quote or a backslash only")
                    })?,
                    '"' => return Err(wrong("a quote within its quotes needs a backslash before it")),
                    letter => letter,
                });
            }
            key
        }
    };
    if key.is_empty() || key.len() > MAX_LENGTH {
        return Err(wrong(&format!("it has {} characters", key.len())));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("it has spaces or control characters"));
    }
    Ok(key)
}

fn wrong(what: &str) -> Trouble {
    Trouble::parameter(
        HEADER,
        format!("{what}; a key has 1 to {MAX_LENGTH} printable ASCII characters, such as a UUID"),
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn request(values: &[&str]) -> HttpRequest {
        let mut request =
            TestRequest::post().uri("/api/v1/jobs?x=1").insert_header(("content-type", "application/json"));
        for value in values {
            request = request.append_header((HEADER, *value));
        }
        request.to_http_request()
    }

    #[test]
    fn a_key_is_plain_or_in_quotes() {
        let long = "k".repeat(255);
        for (value, expected) in [
            ("a", "a"),
            ("\"a\"", "a"),
            (r#""a\"\\b""#, "a\"\\b"),
            ("8e03978e-40d5,;=", "8e03978e-40d5,;="),
            (&long, &long),
        ] {
            let key = key(&request(&[value]), b"{}").unwrap().unwrap();
            assert_eq!((key.key.as_str(), key.scope.as_str()), (expected, "/api/v1/jobs "));
        }
        assert_eq!(key(&request(&[]), b"{}").unwrap(), None);
        let wrong: [&[&str]; 9] = [
            &[""],
            &["\"\""],
            &["\"a"],
            &["\"a\\b\""],
            &["\"a\"b\""],
            &["a b"],
            &["a\tb"],
            &["é"],
            &["a", "a"],
        ];
        for values in wrong {
            let trouble = key(&request(values), b"{}").unwrap_err();
            assert_eq!(trouble.status(), 400, "{values:?}");
        }
        assert_eq!(key(&request(&[&"k".repeat(256)]), b"").unwrap_err().status(), 400);
    }

    #[test]
    fn the_body_and_the_caller_tell_requests_apart() {
        let plain = request(&["k"]);
        let first = key(&plain, b"{}").unwrap().unwrap();
        assert_eq!(key(&plain, b"{}").unwrap().unwrap(), first);
        assert_ne!(key(&plain, b"{ }").unwrap().unwrap().fingerprint, first.fingerprint);
        plain.extensions_mut().insert(Caller("ci".to_owned(), crate::Role::Operator));
        assert_eq!(key(&plain, b"{}").unwrap().unwrap().scope, "/api/v1/jobs ci");
    }

    proptest! {
        #[test]
        fn any_value_is_a_key_or_refused(value in "[ -~]{0,300}") {
            if let Ok(key) = parse(&value) {
                prop_assert!((1..=MAX_LENGTH).contains(&key.len()));
                prop_assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
