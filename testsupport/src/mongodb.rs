//! SecantusDB, which speaks MongoDB's protocol. It is under the GPL, so it is only ever a process of its own.

use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const PROGRAM: &str = "secantusd-py";

/// The shared server: the one that `CALLBOARD_TEST_MONGODB` names, or else the one at 127.0.0.1:27017. Tests on it keep to a
/// database of their own.
pub fn mongodb_url() -> String {
    env::var("CALLBOARD_TEST_MONGODB")
        .unwrap_or_else(|_| "mongodb://127.0.0.1:27017/?directConnection=true".to_owned())
}

/// Where `scripts/services` has it.
fn program() -> PathBuf {
    let named = env::var_os("CALLBOARD_TEST_MONGODB_BIN").map(PathBuf::from);
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let folders = named.into_iter().chain(cache.map(|cache| cache.join("callboard/python/bin")));
    let path = env::var_os("PATH").unwrap_or_default();
    let found =
        folders.chain(env::split_paths(&path)).map(|folder| folder.join(PROGRAM)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{PROGRAM} is not installed; `scripts/services run -- COMMAND` gets it, CALLBOARD_TEST_MONGODB_BIN names its folder")
    })
}

/// A server that keeps what it has over a stop.
pub(crate) fn command(folder: &Path, port: u16) -> Command {
    let mut command = Command::new(program());
    command
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--storage-path"])
        .arg(folder.join("data"));
    command
}

/// Whether it answers `hello`.
pub(crate) fn answers(port: u16) -> bool {
    ask(port).is_ok()
}

fn ask(port: u16) -> std::io::Result<()> {
    // A document: a number and a text, each a type, a name and a value.
    let mut document = b"\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0".to_vec();
    let length = u32::try_from(document.len() + 4).expect("it is short").to_le_bytes();
    document.splice(0..0, length);
    // Length, number of the message, of the one that it answers, OP_MSG, flags, kind of the section.
    let length = u32::try_from(document.len() + 21).expect("it is short");
    let mut message: Vec<u8> = [length, 1, 0, 2013, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    message.push(0);
    message.extend(document);
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(&message)?;
    connection.read_exact(&mut [0; 21])
}
