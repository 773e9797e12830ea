//! What every answer tells browsers.

use actix_web::http::{
    Method,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use uuid::Uuid;

use crate::{correlation::CORRELATION, pages, settings::WebSettings};

/// What an answer that is no page may load.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";
/// The routes of the old read side, which pages of any origin may read.
pub(crate) const READ_SIDE: [&str; 7] =
    ["/stats", "/jobs/recent", "/events", "/health", "/healthz", "/readyz", "/openapi.json"];
/// What no page of ours uses, so that nothing that gets into one does.
const NO_DEVICES: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
     microphone=(), midi=(), payment=(), usb=()";
/// How long a browser asks by https alone, in seconds: a year.
const HTTPS_ALONE: &str = "max-age=31536000";

/// Sets them, and what else every answer has.
pub(crate) fn finish(
    headers: &mut HeaderMap,
    method: &Method,
    path: &str,
    correlation: Uuid,
    settings: &WebSettings,
) {
    let page = pages::is_page(method, path);
    // Files of pages say themselves how long they keep.
    let cached = page && headers.contains_key(header::CACHE_CONTROL);
    let read_side =
        READ_SIDE.contains(&path) && matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static(CORRELATION), &correlation.to_string());
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, if page { pages::POLICY } else { NO_PAGE });
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CROSS_ORIGIN_OPENER_POLICY, "same-origin");
    set(header::CROSS_ORIGIN_RESOURCE_POLICY, if read_side { "cross-origin" } else { "same-origin" });
    set(header::PERMISSIONS_POLICY, NO_DEVICES);
    if settings.https {
        set(header::STRICT_TRANSPORT_SECURITY, HTTPS_ALONE);
    }
    if !cached {
        set(header::CACHE_CONTROL, "no-store");
    }
    if read_side && method != Method::HEAD {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, OPTIONS");
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type");
    }
}
