//! PostgreSQL's programs: where they are, and who may run them.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// One of PostgreSQL's programs, of the newest version that is installed.
pub(crate) fn program(name: &str) -> PathBuf {
    let named = env::var_os("CALLBOARD_TEST_POSTGRES_BIN").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = named.into_iter().chain(debian_folders()).chain(env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "PostgreSQL's {name} is not installed; `scripts/services run -- COMMAND` installs it on Debian"
        )
    })
}

/// `/usr/lib/postgresql/*/bin`, newest first: Debian keeps the server's programs out of the path.
fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// Runs statements and gives what they print: a line a row, columns separated by `|`.
pub(crate) fn psql(url: &str, statements: &str) -> Result<String, String> {
    run_psql(url, ["--command".as_ref(), statements.as_ref()])
}

/// Runs what is in a file, such as pg_dump writes.
pub(crate) fn psql_file(url: &str, file: &Path) -> Result<String, String> {
    run_psql(url, ["--file".as_ref(), file.as_os_str()])
}

fn run_psql(url: &str, what: [&OsStr; 2]) -> Result<String, String> {
    let output = Command::new(program("psql"))
        .args(["--no-psqlrc", "--no-password", "--quiet", "--no-align", "--tuples-only"])
        .args(["--set", "ON_ERROR_STOP=1", "--dbname", url])
        .args(what)
        .env("PGCONNECT_TIMEOUT", "30")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("psql: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
    }
}

/// The account that runs a server, as PostgreSQL refuses to be run by root: user and group id. `None` when this
/// process is not root itself.
pub(crate) fn unprivileged_account() -> Option<(u32, u32)> {
    account("postgres")
}

/// The same for a server that has an account of its own, if it is installed by a package.
pub(crate) fn account(own: &str) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("the list of accounts");
    let account = |wanted: &str| {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            fields.next().filter(|name| *name == wanted)?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    Some(account(own).or_else(|| account("nobody")).expect("an account for servers, or `nobody`"))
}

/// The name of whoever runs this.
pub(crate) fn user_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether the program can be started by an account that owns nothing: its folders are open to all.
pub(crate) fn open_to_all(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    folder
        .ancestors()
        .all(|folder| fs::metadata(folder).is_ok_and(|data| data.permissions().mode() & 0o001 != 0))
}
