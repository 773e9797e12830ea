//! Files of the pages: those in the program, or those of the folder that the settings name in their place.

use std::{
    fs,
    io::{self, ErrorKind, Read},
    path::Path,
    time::UNIX_EPOCH,
};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{self, AcceptEncoding, ContentEncoding, Encoding},
    web::{self, Bytes},
};

use super::embedded;
use crate::settings::WebSettings;

/// Files in here have a hash of what is in them in their names, so they never change.
const ASSETS: &str = "assets/";
/// Bytes of a file at most; the viewer's largest has two million.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// How long what never changes is kept.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// A file in the form in which it is sent.
struct Found {
    tag: String,
    form: ContentEncoding,
    bytes: Bytes,
}

/// The answer with this file; `None`: there is no such file.
pub(super) async fn find(settings: &WebSettings, request: &HttpRequest, name: &str) -> Option<HttpResponse> {
    let kind = kind(name)?;
    let wanted = wanted(request);
    let Found { tag, form, bytes } = match &settings.pages_dir {
        None => embedded(name, wanted)?,
        Some(folder) => {
            let path = folder.join(name);
            match web::block(move || of_folder(&path, wanted)).await.ok()? {
                Ok(found) => found?,
                Err(error) => {
                    tracing::warn!(%error, name, "a file of the pages cannot be read");
                    return None;
                }
            }
        }
    };
    let tag = format!("\"{tag}-{}\"", form.as_str());
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let known =
        known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // What has no hash in its name is asked for each time: pages are built anew with a new version.
    let keep = if name.starts_with(ASSETS) { FOREVER } else { "no-cache" };
    answer.insert_header((header::CACHE_CONTROL, keep)).insert_header((header::ETAG, tag));
    answer.insert_header((header::VARY, "Accept-Encoding"));
    if known {
        return Some(answer.finish());
    }
    if form != ContentEncoding::Identity {
        answer.insert_header((header::CONTENT_ENCODING, form));
    }
    Some(answer.content_type(kind).body(bytes))
}

/// The form that the client likes best.
fn wanted(request: &HttpRequest) -> ContentEncoding {
    let known = [Encoding::brotli(), Encoding::gzip(), Encoding::identity()];
    match request.get_header::<AcceptEncoding>().and_then(|accepted| accepted.negotiate(known.iter())) {
        Some(Encoding::Known(form)) => form,
        _ => ContentEncoding::Identity,
    }
}

/// What a file of this name is. `None`: no file of a page is called that; so no name leads out of the folder.
fn kind(name: &str) -> Option<&'static str> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !matches!((folder, name.starts_with('/')), ("" | "assets" | "docs", false))
        || file.starts_with('.')
        || file.len() > 100
        || !file.bytes().all(plain)
    {
        return None;
    }
    Some(match file.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn embedded(name: &str, wanted: ContentEncoding) -> Option<Found> {
    let file = embedded::find(name)?;
    let (form, bytes) = match (wanted, file.brotli, file.gzip) {
        (ContentEncoding::Brotli, Some(bytes), _) | (ContentEncoding::Gzip, _, Some(bytes)) => {
            (wanted, bytes)
        }
        _ => (ContentEncoding::Identity, file.plain),
    };
    Some(Found { tag: file.tag.to_owned(), form, bytes: Bytes::from_static(bytes) })
}

/// The file, compressed if it lies there so as well.
fn of_folder(path: &Path, wanted: ContentEncoding) -> io::Result<Option<Found>> {
    let ending = match wanted {
        ContentEncoding::Brotli => Some("br"),
        ContentEncoding::Gzip => Some("gz"),
        _ => None,
    };
    if let Some(ending) = ending {
        let mut compressed = path.as_os_str().to_owned();
        compressed.push(".");
        compressed.push(ending);
        if let Some(found) = read(Path::new(&compressed), wanted)? {
            return Ok(Some(found));
        }
    }
    read(path, ContentEncoding::Identity)
}

fn read(path: &Path, form: ContentEncoding) -> io::Result<Option<Found>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return Ok(None);
    }
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(Found { tag: format!("{:x}-{changed:x}", bytes.len()), form, bytes: bytes.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_files_of_pages_are_names() {
        for name in ["index.html", "docs/swagger-ui-bundle.js", "docs/a.b.LICENSE.txt", "assets/x_1.png"] {
            assert!(kind(name).is_some(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../x.js",
            "a/b.js",
            "a\\b.js",
            ".env.js",
            "index",
            "x.map",
            "x.js\0",
            "ä.js",
            "/x.js",
            "docs/",
            "docs/../x.js",
            "docs/a/b.js",
            "docs/.x.js",
            "assets//x.js",
            "x.js.br",
        ] {
            assert!(kind(name).is_none(), "{name:?}");
        }
    }
}
