//! Which programs may run. Nothing may until it is named.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use thiserror::Error;

/// The longest program name or path that is looked at, in bytes.
const MAX_PROGRAM_BYTES: usize = 4096;
/// The longest bare name: what a file system allows.
const MAX_NAME_BYTES: usize = 255;

/// The programs that a [`CommandRunner`](super::CommandRunner) may start.
///
/// Empty by default. Every entry is resolved once, when the list is made: a later change of `PATH` or of a symbolic link
/// on the way does not change what runs.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    programs: Vec<AllowedProgram>,
    /// Every spelling a request may use. `None`: two entries share the bare name.
    spellings: BTreeMap<String, Option<usize>>,
}

/// A program of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedProgram {
    listed: String,
    file: String,
}

impl AllowedProgram {
    /// The absolute path as it was named or found; the program sees it as its own name (`argv[0]`), on which programs
    /// such as busybox decide what they are.
    #[must_use]
    pub fn listed(&self) -> &str {
        &self.listed
    }

    /// The file that is executed: [`Self::listed`] with all symbolic links followed when the list was made.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// Why an entry cannot be on the list. The server should refuse to start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllowListError {
    /// The entry is neither a bare name nor a plain absolute path.
    #[error("--allow-program {entry}: {problem}; give a bare name or an absolute path")]
    BadName {
        /// The entry, made printable.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No directory of the search path has it.
    #[error(
        "--allow-program {entry}: no executable file of that name in PATH; give its absolute path or install it"
    )]
    NotFound {
        /// The entry.
        entry: String,
    },
    /// It is there, but it is not a program.
    #[error("--allow-program {entry}: {problem}")]
    Unusable {
        /// The entry.
        entry: String,
        /// What is wrong with the file.
        problem: String,
    },
}

/// Why a request for a program is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The program is not on the list.
    #[error(
        "program {printed} is not allowed; start the server with `--allow-program {argument}` to allow it"
    )]
    NotAllowed {
        /// The program as requested, quoted for reading.
        printed: String,
        /// The program as an argument that can be pasted into a shell.
        argument: String,
    },
    /// Two allowed programs have this bare name.
    #[error(
        "program {printed} is ambiguous: several allowed programs have that name; request one by its absolute path"
    )]
    Ambiguous {
        /// The program as requested, quoted for reading.
        printed: String,
    },
    /// The name can be no program's, whatever the list.
    #[error(
        "program name {printed} is refused: {problem}; give a bare name or an absolute path that is allowed"
    )]
    BadName {
        /// The program as requested, made printable and cut.
        printed: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl AllowList {
    /// Makes the list, looking bare names up in the server's `PATH`.
    ///
    /// Reads the file system: call it at start, not on an executor thread.
    ///
    /// # Errors
    /// The first entry that is malformed, not found or not an executable regular file.
    pub fn new<I>(entries: I) -> Result<Self, AllowListError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let search = std::env::var_os("PATH").unwrap_or_default();
        Self::with_search_path(entries, &search)
    }

    /// Like [`Self::new`] with another search path (directories joined by `:`; relative ones are passed over).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_search_path<I>(entries: I, search: &OsStr) -> Result<Self, AllowListError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut list = Self::default();
        let (mut bare, mut paths) = (BTreeSet::new(), Vec::new());
        for entry in entries {
            let entry = entry.as_ref();
            check_name(entry)
                .map_err(|problem| AllowListError::BadName { entry: printable(entry), problem })?;
            if entry.starts_with('/') {
                paths.push(list.add(entry, entry)?);
            } else {
                let index = list.add(entry, &find(entry, search)?)?;
                list.spellings.insert(entry.to_owned(), Some(index));
                bare.insert(entry.to_owned());
            }
        }
        // A program named by its path may be requested by its bare name too, unless that name says another one.
        for index in paths {
            let listed = &list.programs[index].listed;
            let name = listed.rsplit('/').next().unwrap_or(listed).to_owned();
            if !bare.contains(&name) {
                let meaning = list.spellings.entry(name).or_insert(Some(index));
                if *meaning != Some(index) {
                    *meaning = None;
                }
            }
        }
        Ok(list)
    }

    /// The program that a request means.
    ///
    /// Allowed are the bare name and the absolute path of an entry, letter for letter.
    ///
    /// # Errors
    /// The refusal, which names the flag that would allow it.
    pub fn resolve(&self, program: &str) -> Result<&AllowedProgram, Refusal> {
        check_name(program).map_err(|problem| Refusal::BadName { printed: printable(program), problem })?;
        match self.spellings.get(program) {
            Some(Some(index)) => Ok(&self.programs[*index]),
            Some(None) => Err(Refusal::Ambiguous { printed: printable(program) }),
            None => Err(Refusal::NotAllowed { printed: printable(program), argument: shell_word(program) }),
        }
    }

    /// The programs, in the order in which they were named.
    pub fn programs(&self) -> impl Iterator<Item = &AllowedProgram> {
        self.programs.iter()
    }

    /// Puts the program at the absolute path `listed` on the list, once.
    fn add(&mut self, entry: &str, listed: &str) -> Result<usize, AllowListError> {
        if let Some(Some(known)) = self.spellings.get(listed) {
            return Ok(*known);
        }
        let unusable = |problem: String| AllowListError::Unusable { entry: printable(entry), problem };
        let file = std::fs::canonicalize(listed).map_err(|error| unusable(error.to_string()))?;
        if !is_executable_file(&file) {
            return Err(unusable(format!("{} is not an executable regular file", file.display())));
        }
        let file = file
            .into_os_string()
            .into_string()
            .map_err(|_| unusable("the path of the file is not valid UTF-8".to_owned()))?;
        let index = self.programs.len();
        self.programs.push(AllowedProgram { listed: listed.to_owned(), file });
        self.spellings.insert(listed.to_owned(), Some(index));
        Ok(index)
    }
}

/// Looks a bare name up as a shell would.
fn find(name: &str, search: &OsStr) -> Result<String, AllowListError> {
    std::env::split_paths(search)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_executable_file(path))
        .and_then(|path| path.into_os_string().into_string().ok())
        .ok_or_else(|| AllowListError::NotFound { entry: printable(name) })
}

/// Whether `path` leads to a regular file that somebody may execute.
fn is_executable_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Checks that `name` is a bare name or a plain absolute path.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > MAX_PROGRAM_BYTES {
        return Err("it is longer than 4096 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    if let Some(path) = name.strip_prefix('/') {
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err("the path has an empty, `.` or `..` part");
        }
        return Ok(());
    }
    if name.contains('/') {
        return Err("it is a relative path");
    }
    if matches!(name, "." | "..") {
        return Err("it is a folder");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("it is longer than 255 bytes");
    }
    Ok(())
}

/// Quotes a name that may be hostile, cut to a readable length.
pub(super) fn printable(name: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = name.chars().take(SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Writes a name that passed [`check_name`] so that a POSIX shell reads it back as one word.
fn shell_word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-/:@%,=".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    /// A folder with the given files; those that end in `*` are executable.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name.trim_end_matches('*'));
            std::fs::write(&path, "#!/bin/true\n").unwrap();
            let mode = if name.ends_with('*') { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        folder
    }

    fn path_of(folder: &tempfile::TempDir, name: &str) -> String {
        folder.path().canonicalize().unwrap().join(name).to_str().unwrap().to_owned()
    }

    #[test]
    fn nothing_is_allowed_by_default_and_the_refusal_names_the_flag() {
        let refusal = AllowList::default().resolve("sha256sum").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "program \"sha256sum\" is not allowed; start the server with `--allow-program sha256sum` to allow it"
        );
    }

    #[test]
    fn the_flag_of_a_refusal_can_be_pasted_into_a_shell() {
        let refusal = AllowList::default().resolve("a'; rm -rf ~ #").unwrap_err();
        assert!(refusal.to_string().contains(r"`--allow-program 'a'\''; rm -rf ~ #'`"), "{refusal}");
    }

    #[test]
    fn a_bare_entry_is_found_in_the_search_path_and_allowed_by_name_and_path() {
        let (first, second) = (folder(&["tool", "other*"]), folder(&["tool*"]));
        let search = std::env::join_paths([Path::new("."), first.path(), second.path()]).unwrap();
        let list = AllowList::with_search_path(["tool"], &search).unwrap();
        let listed = second.path().join("tool").to_str().unwrap().to_owned();
        assert_eq!(list.resolve("tool").unwrap().listed(), listed);
        assert_eq!(list.resolve(&listed), list.resolve("tool"));
        assert!(matches!(list.resolve("other"), Err(Refusal::NotAllowed { .. })));
        let neighbour = path_of(&first, "other");
        assert!(matches!(list.resolve(&neighbour), Err(Refusal::NotAllowed { .. })));
    }

    #[test]
    fn a_symbolic_link_is_followed_once_and_its_target_is_not_allowed_by_itself() {
        let folder = folder(&["busybox*", "evil*"]);
        let link = path_of(&folder, "sha256sum");
        symlink(path_of(&folder, "busybox"), &link).unwrap();
        let list = AllowList::with_search_path([&link], OsStr::new("")).unwrap();
        std::fs::remove_file(&link).unwrap();
        symlink(path_of(&folder, "evil"), &link).unwrap();
        let program = list.resolve("sha256sum").unwrap();
        assert_eq!((program.listed(), program.file()), (link.as_str(), path_of(&folder, "busybox").as_str()));
        assert!(list.resolve("busybox").is_err());
        assert!(list.resolve(&path_of(&folder, "busybox")).is_err());
    }

    #[test]
    fn a_bare_name_that_two_paths_share_is_ambiguous_unless_it_was_named_itself() {
        let (one, two) = (folder(&["tool*"]), folder(&["tool*"]));
        let entries = [path_of(&one, "tool"), path_of(&two, "tool")];
        let list = AllowList::with_search_path(&entries, OsStr::new("")).unwrap();
        assert!(matches!(list.resolve("tool"), Err(Refusal::Ambiguous { .. })));
        assert_eq!(list.resolve(&entries[1]).unwrap().listed(), entries[1]);

        let search = two.path().canonicalize().unwrap();
        let entries = [entries[0].as_str(), "tool", entries[0].as_str()];
        let list = AllowList::with_search_path(entries, search.as_os_str()).unwrap();
        assert_eq!(list.resolve("tool").unwrap().listed(), path_of(&two, "tool"));
        assert_eq!(list.programs().count(), 2);
    }

    #[test]
    fn entries_that_cannot_run_are_refused_at_start() {
        let folder = folder(&["data"]);
        let search = folder.path().as_os_str();
        let error = |entry: &str| AllowList::with_search_path([entry], search).unwrap_err();
        assert!(matches!(error("data"), AllowListError::NotFound { .. }));
        assert!(matches!(error(&path_of(&folder, "data")), AllowListError::Unusable { .. }));
        assert!(matches!(error(&path_of(&folder, "gone")), AllowListError::Unusable { .. }));
        assert!(matches!(error(folder.path().to_str().unwrap()), AllowListError::Unusable { .. }));
        assert!(matches!(error("bin/tool"), AllowListError::BadName { .. }));
        assert!(matches!(error(""), AllowListError::BadName { .. }));
    }

    #[test]
    fn hostile_names_are_refused_and_printed_harmlessly() {
        let long = "a".repeat(MAX_PROGRAM_BYTES + 1);
        let list = AllowList::default();
        for name in [
            "",
            ".",
            "..",
            "./x",
            "../x",
            "a/b",
            "/",
            "//bin/ls",
            "/bin/../bin/ls",
            "/bin/",
            "a\0b",
            "a\nb",
            "\u{1b}[2J",
            &long,
            &long[..300],
        ] {
            let refusal = list.resolve(name).unwrap_err();
            assert!(matches!(refusal, Refusal::BadName { .. }), "{name:?}: {refusal}");
            let text = refusal.to_string();
            assert!(text.len() < 512 && !text.chars().any(char::is_control), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_name_but_the_listed_ones_is_ever_allowed(name in ".{0,40}") {
            let list = AllowList { programs: vec![AllowedProgram { listed: "/x/tool".into(), file: "/x/tool".into() }],
                spellings: BTreeMap::from([("/x/tool".into(), Some(0)), ("tool".into(), Some(0))]) };
            prop_assert_eq!(list.resolve(&name).is_ok(), name == "tool" || name == "/x/tool");
        }
    }
}
