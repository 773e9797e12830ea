//! Files of the pages, from the folder that they were built into.

use std::{fs, io::Read, path::Path, time::UNIX_EPOCH};

use actix_web::{HttpRequest, HttpResponse, http::header, web};

use crate::settings::WebSettings;

/// The folder of the viewer in that of the pages.
const FOLDER: &str = "docs";
/// Bytes of a file at most; the viewer's largest has two million.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A file as it is served.
struct Found {
    kind: &'static str,
    tag: String,
    bytes: Vec<u8>,
}

/// The answer with this file; `None`: there is no such file.
pub(super) async fn find(settings: &WebSettings, request: &HttpRequest, name: &str) -> Option<HttpResponse> {
    let kind = kind(name)?;
    let path = settings.pages_dir.as_ref()?.join(FOLDER).join(name);
    let read = web::block(move || read(&path, kind)).await.ok()?;
    let Found { kind, tag, bytes } = match read {
        Ok(found) => found?,
        Err(error) => {
            tracing::warn!(%error, name, "a file of the pages cannot be read");
            return None;
        }
    };
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Asked each time whether it is the same still: pages are built anew with a new version.
    answer.insert_header((header::CACHE_CONTROL, "no-cache")).insert_header((header::ETAG, tag));
    Some(if known { answer.finish() } else { answer.content_type(kind).body(bytes) })
}

/// What a file of this name is. `None`: no file of a page is called that; so no name leads out of the folder.
fn kind(name: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.starts_with('.') || name.len() > 100 || !name.bytes().all(plain) {
        return None;
    }
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn read(path: &Path, kind: &'static str) -> std::io::Result<Option<Found>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return Ok(None);
    }
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(Found { kind, tag: format!("\"{:x}-{changed:x}\"", bytes.len()), bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_files_of_pages_are_names() {
        for name in ["index.html", "swagger-ui-bundle.js", "a.b.LICENSE.txt", "x_1.png"] {
            assert!(kind(name).is_some(), "{name}");
        }
        for name in
            ["", ".", "..", "../x.js", "a/b.js", "a\\b.js", ".env.js", "index", "x.map", "x.js\0", "ä.js"]
        {
            assert!(kind(name).is_none(), "{name:?}");
        }
    }
}
