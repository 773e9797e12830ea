//! Files that are not what they should be.

use callboard_config::Loader;

use crate::folder::{Folder, errors};

#[test]
fn a_file_that_is_named_must_exist() {
    let folder = Folder::new();
    let path = folder.path("callboard.toml");
    assert_eq!(
        folder.errors(Loader::new().file(path)),
        "error: cannot read the configuration file callboard.toml: there is no such file"
    );
}

#[test]
fn a_default_file_may_be_missing() {
    let folder = Folder::new();
    let loaded = Loader::new().default_files([folder.path("callboard.toml")]).load().unwrap();
    assert_eq!(loaded.settings.web.workers, 2);
}

#[test]
fn a_default_file_that_cannot_be_read_is_an_error() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("callboard.toml")).unwrap();
    let shown = folder.errors(Loader::new().default_files([folder.path("callboard.toml")]));
    assert_eq!(
        shown,
        "error: cannot read the configuration file callboard.toml: it is a folder\n  \
         = help: name the file in it, such as callboard.toml"
    );
}

#[test]
fn byte_order_marks_are_named() {
    let shown = errors("\u{feff}[web]\nworkers = 2\n");
    assert!(shown.contains("it begins with a byte-order mark"), "{shown}");
    let utf_16: Vec<u8> = "\u{feff}[web]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let shown = errors(utf_16);
    assert!(shown.contains("it is UTF-16"), "{shown}");
}

#[test]
fn bytes_that_are_no_text_are_placed() {
    let shown = errors(b"[web]\nh\xc3\xa4 = \xff\n");
    assert!(shown.contains("it is not UTF-8: line 2, column 6"), "{shown}");
}

#[test]
fn a_huge_file_is_refused_and_one_at_the_bound_read() {
    let folder = Folder::new();
    let shown = errors("#".repeat((1 << 20) + 1));
    assert!(shown.contains("it is larger than 1 MiB"), "{shown}");
    let path = folder.write("callboard.toml", "#".repeat(1 << 20));
    Loader::new().file(path).load().unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.write("callboard.toml", "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    if std::fs::File::open(&path).is_ok() {
        return;
    }
    let shown = folder.errors(Loader::new().file(path));
    assert!(shown.contains("this user may not read it"), "{shown}");
}

#[test]
fn a_path_through_a_file_is_an_error() {
    let folder = Folder::new();
    let path = folder.write("file", "").join("callboard.toml");
    let shown = folder.errors(Loader::new().file(path));
    assert!(shown.starts_with("error: cannot read the configuration file file/callboard.toml: "), "{shown}");
}
