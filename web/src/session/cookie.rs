//! The cookie of a session.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Its name, and that for https alone: a browser takes the latter only with `Secure`, for this very host and all of its paths.
pub(crate) const NAME: &str = "callboard_session";
const SECURE_NAME: &str = "__Host-callboard_session";

/// The name that the cookie has.
fn name(https: bool) -> &'static str {
    if https { SECURE_NAME } else { NAME }
}

/// 256 random bits as text.
pub(super) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What a request has as the cookie. Two different ones are none: one of them is of somebody who wants it to be used.
pub(crate) fn given(headers: &HeaderMap, https: bool) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name(https)).map(|(_, value)| value);
    let first = values.next().filter(|value| !value.is_empty())?;
    values.all(|other| other == first).then_some(first)
}

/// The header that gives a browser the cookie.
pub(super) fn set(secret: &str, lifetime: Duration, https: bool) -> String {
    let (name, secure) = (name(https), if https { "; Secure" } else { "" });
    let age = lifetime.as_secs();
    format!("{name}={secret}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// The header that takes it away.
pub(super) fn clear(https: bool) -> String {
    set("", Duration::ZERO, https)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(cookies: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, HeaderValue::from_static(cookie));
        }
        headers
    }

    #[test]
    fn it_is_found_among_others() {
        let of = |cookies: &[&'static str]| given(&headers(cookies), false).map(str::to_owned);
        assert_eq!(of(&["callboard_session=a"]).as_deref(), Some("a"));
        assert_eq!(of(&["x=y; callboard_session=a;z"]).as_deref(), Some("a"));
        assert_eq!(of(&["x=y", "callboard_session=a; callboard_session=a"]).as_deref(), Some("a"));
        for none in
            ["", "callboard_session", "callboard_session=", "xcallboard_session=a", "a=callboard_session=a"]
        {
            assert_eq!(of(&[none]), None, "{none}");
        }
        assert_eq!(of(&["callboard_session=a; callboard_session=b"]), None, "which of them?");
        assert_eq!(of(&["__Host-callboard_session=a"]), None);
        assert_eq!(given(&headers(&["callboard_session=a"]), true), None, "one that any port could set");
        assert_eq!(given(&headers(&["__Host-callboard_session=a"]), true), Some("a"));
    }

    #[test]
    fn no_two_secrets_are_the_same_and_all_fit_into_a_cookie() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
    }

    #[test]
    fn it_is_set_for_this_host_alone_and_no_script_reads_it() {
        let hour = Duration::from_secs(3600);
        let plain = "callboard_session=x; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict";
        assert_eq!(set("x", hour, false), plain);
        assert_eq!(set("x", hour, true), format!("__Host-{plain}; Secure"));
        assert_eq!(clear(false), "callboard_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }
}
