//! The environment of a program: cleared, then built from what is named.

use std::collections::BTreeMap;

/// Where a program looks for others, whatever the server's own `PATH` is.
const SAFE_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const MAX_NAME_BYTES: usize = 256;

/// Prefixes that a request may not set: the loader's and allocator's own, and Callboard's.
const REFUSED_PREFIXES: &[&str] = &["CALLBOARD_", "DYLD_", "GLIBC_", "LD_", "MALLOC_"];
/// Variables that make a common interpreter or tool run code of the caller's choice.
///
/// Such a list can never be complete. What a program does with its arguments and variables is part of what an operator
/// allows with it; this closes the well-known side doors of programs that look harmless.
const REFUSED_NAMES: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LOCPATH",
    "NLSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "SSH_ASKPASS",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// The mark by which processes of one attempt are known even when their shim is gone.
pub(super) const RUN_ID: &str = "CALLBOARD_RUN_ID";

/// Checks that a request may set the variable `name`.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.len() > MAX_NAME_BYTES {
        return Err("has a name longer than 256 bytes");
    }
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(letter) || !name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return Err("has a name that is not letters, digits and `_`, beginning with no digit");
    }
    // Some tools read lower-case spellings too; none of ours differ by case only.
    let upper = name.to_ascii_uppercase();
    if REFUSED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || REFUSED_NAMES.contains(&upper.as_str())
    {
        return Err(
            "cannot be set by a request: it changes which code runs, or it is Callboard's own; the operator can \
                    pass it on from the server's environment",
        );
    }
    Ok(())
}

/// What [`build`] puts together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    /// The attempt's folder, an absolute path.
    pub(super) folder: &'a str,
    pub(super) job: &'a str,
    pub(super) attempt: u32,
    pub(super) run_id: &'a str,
    /// Names of the server's own variables that are passed on, if set and valid UTF-8.
    pub(super) passed: &'a [String],
    /// The request's variables.
    pub(super) requested: &'a BTreeMap<String, String>,
}

/// The whole environment: defaults, over them what the operator passes on, over it the request, over it our own.
pub(super) fn build(
    sources: Sources<'_>,
    server: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let defaults = [
        ("PATH", SAFE_PATH),
        ("LANG", "C.UTF-8"),
        // What a program keeps or leaves lying about stays in its own folder.
        ("HOME", sources.folder),
        ("TMPDIR", sources.folder),
    ];
    let attempt = sources.attempt.to_string();
    let own = [("CALLBOARD_JOB_ID", sources.job), ("CALLBOARD_ATTEMPT", &attempt), (RUN_ID, sources.run_id)];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());

    let mut environment: BTreeMap<_, _> = defaults.into_iter().map(owned).collect();
    let passed = sources.passed.iter().filter_map(|name| Some((name.clone(), server(name)?)));
    environment.extend(passed);
    environment.extend(sources.requested.clone());
    environment.extend(own.into_iter().map(owned));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_change_which_code_runs_are_refused() {
        for name in [
            "",
            "1A",
            "A-B",
            "A=B",
            "A B",
            "A\0",
            "É",
            "LD_PRELOAD",
            "ld_library_path",
            "PATH",
            "BASH_ENV",
            "CALLBOARD_RUN_ID",
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name(&"A".repeat(257)).is_err());
        for name in ["A", "_", "a1_B", "HOME", "LDAP_HOST", "MY_PATH", "PYTHONUNBUFFERED"] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn later_sources_win_and_ours_come_last() {
        let requested =
            BTreeMap::from([("HOME".into(), "/request".into()), (RUN_ID.into(), "forged".into())]);
        let passed = ["HOME", "PATH", "UNSET"].map(String::from);
        let sources = Sources {
            folder: "/f",
            job: "j",
            attempt: 3,
            run_id: "r",
            passed: &passed,
            requested: &requested,
        };
        let built = build(sources, |name| (name != "UNSET").then(|| format!("server's {name}")));
        let pairs: Vec<_> = built.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("CALLBOARD_ATTEMPT", "3"),
                ("CALLBOARD_JOB_ID", "j"),
                ("CALLBOARD_RUN_ID", "r"),
                ("HOME", "/request"),
                ("LANG", "C.UTF-8"),
                ("PATH", "server's PATH"),
                ("TMPDIR", "/f"),
            ]
        );
    }
}
