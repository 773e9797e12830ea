//! Which hosts are ours, and which pages may ask what.

use std::net::IpAddr;

use actix_web::{HttpRequest, http::header::HeaderMap};

use crate::{
    guard::{is_safe, text},
    problem::{Kind, Trouble},
    settings::WebSettings,
};

/// A page of another site that has its own name point here is stopped by the name.
pub(crate) fn check_host(headers: &HeaderMap, settings: &WebSettings) -> Result<(), Trouble> {
    let Some(host) = text(headers, "host") else {
        return Err(Trouble::new(Kind::Misdirected, "the request names no host"));
    };
    let name = host_name(host);
    if is_ours(name, settings) {
        return Ok(());
    }
    let shown: String = host.chars().take(100).collect();
    Err(Trouble::new(
        Kind::Misdirected,
        format!("the request names the host {shown:?}; if that is this server, add it to web.hosts"),
    ))
}

/// Without the port, and without the brackets of an IPv6 address.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_ours(name: &str, settings: &WebSettings) -> bool {
    if name.eq_ignore_ascii_case("localhost")
        || settings.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    {
        return true;
    }
    // An address is no name that somebody else could have point here.
    let beyond = !settings.tokens.is_empty() || !settings.listen.ip().is_loopback();
    name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || beyond)
}

/// Nothing is changed for a page of another site. What is no browser says nothing of a page.
pub(crate) fn check_origin(headers: &HeaderMap, settings: &WebSettings) -> Result<(), Trouble> {
    let cross_site =
        text(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let foreign = headers.contains_key("origin") && !has_our_origin(headers, settings);
    if cross_site || foreign {
        return Err(Trouble::new(Kind::Forbidden, "a page of another site may not change anything here"));
    }
    Ok(())
}

/// A request must say that a page of this server makes it: the upgrade to a WebSocket, which no other rule keeps from other
/// pages.
pub(crate) fn exact_origin(headers: &HeaderMap, settings: &WebSettings) -> Result<(), Trouble> {
    if has_our_origin(headers, settings) {
        return Ok(());
    }
    Err(Trouble::new(Kind::Forbidden, "an Origin is needed, and it must be that of this server's own pages"))
}

/// What asks by a cookie is a page of this server: it must say so where it changes something or begins a conversation, and
/// must never say otherwise. Pages of the same site, such as those of another port, are others.
pub(crate) fn check_cookie(request: &HttpRequest, settings: &WebSettings) -> Result<(), Trouble> {
    let headers = request.headers();
    let site = text(headers, "sec-fetch-site");
    if matches!(site, Some("cross-site" | "same-site")) {
        return Err(Trouble::new(Kind::Forbidden, "a sign-in counts for this server's own pages alone"));
    }
    if headers.contains_key("upgrade") {
        return exact_origin(headers, settings);
    }
    if is_safe(request.method()) || site == Some("same-origin") || has_our_origin(headers, settings) {
        return Ok(());
    }
    Err(Trouble::new(
        Kind::Forbidden,
        "what is changed by a sign-in needs an Origin, or Sec-Fetch-Site: same-origin, as browsers send with requests of this \
         server's own pages; programs send a token",
    ))
}

fn has_our_origin(headers: &HeaderMap, settings: &WebSettings) -> bool {
    let mut origins = headers.get_all("origin");
    let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
    let Some((scheme, host)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    let known = scheme == "https" || (scheme == "http" && !settings.https);
    let same = text(headers, "host").is_some_and(|ours| ours.eq_ignore_ascii_case(host));
    known && same && is_ours(host_name(host), settings)
}
