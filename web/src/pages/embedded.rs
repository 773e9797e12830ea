//! The files of the pages as they were when the program was built, if they were built then.

/// A file that is in the program.
pub(super) struct File {
    name: &'static str,
    /// Another one whenever what is in it is.
    pub(super) tag: &'static str,
    pub(super) plain: &'static [u8],
    pub(super) brotli: Option<&'static [u8]>,
    pub(super) gzip: Option<&'static [u8]>,
}

/// By their names.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The file of this name.
pub(super) fn find(name: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.name.cmp(name)).ok().map(|place| &FILES[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_name_and_no_other_is() {
        for file in FILES {
            assert_eq!(find(file.name).map(|found| found.tag), Some(file.tag), "{}", file.name);
        }
        assert!(find("").is_none() && find("gone.js").is_none());
        assert_eq!(FILES.is_empty(), find("index.html").is_none(), "all of it is there, or nothing");
    }
}
