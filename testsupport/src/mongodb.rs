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
    let mut connection = match connect(port) {
        Ok(connection) => connection,
        Err(_) => return false,
    };
    ask(&mut connection, "hello", &Argument::Number(1), "admin").is_ok()
}

/// Tables that it keeps documents in.
const TABLES: u64 = 16;
/// A database that nobody else uses.
const NOBODYS: &str = "callboard-prepare";

/// Has it make all its tables, and keep them safe.
///
/// It makes a table when a document is to be put there first. If it is killed before its next checkpoint, the store below it may know
/// the table and not its columns, and it never starts on that folder again ("cannot be used until all column groups are created").
/// That is a fault of its, and nothing that tests here are about.
///
/// # Errors
/// It does not answer.
pub(crate) fn prepare(port: u16) -> std::io::Result<()> {
    let mut connection = connect(port)?;
    for table in 0..TABLES {
        let name = (0..).map(|number: u32| format!("c{number}")).find(|name| table_of(name) == table);
        ask(
            &mut connection,
            "create",
            &Argument::Text(&name.expect("there are names without end")),
            NOBODYS,
        )?;
    }
    ask(&mut connection, "dropDatabase", &Argument::Number(1), NOBODYS)?;
    ask(&mut connection, "fsync", &Argument::Number(1), "admin")
}

/// In which table a collection of [`NOBODYS`] is: by the FNV-1a hash of both names.
fn table_of(collection: &str) -> u64 {
    let bytes = NOBODYS.bytes().chain([0]).chain(collection.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash % TABLES
}

/// What a command is given.
enum Argument<'a> {
    Number(i32),
    Text(&'a str),
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(connection)
}

/// Gives it a command, and waits until it has answered.
fn ask(
    connection: &mut TcpStream,
    command: &str,
    argument: &Argument<'_>,
    database: &str,
) -> std::io::Result<()> {
    let short = |length: usize| u32::try_from(length).expect("it is short").to_le_bytes();
    let text = |name: &str, text: &str| {
        let mut field = vec![2];
        field.extend(name.bytes().chain([0]).chain(short(text.len() + 1)).chain(text.bytes()).chain([0]));
        field
    };
    // A document: its length, fields, each a type, a name and a value, and an end.
    let mut document = match argument {
        Argument::Number(number) => {
            let mut field = vec![0x10];
            field.extend(command.bytes().chain([0]).chain(number.to_le_bytes()));
            field
        }
        Argument::Text(given) => text(command, given),
    };
    document.extend(text("$db", database).into_iter().chain([0]));
    document.splice(0..0, short(document.len() + 4));
    // Length, number of the message, of the one that it answers, OP_MSG, flags, kind of the section.
    let length = u32::try_from(document.len() + 21).expect("it is short");
    let mut message: Vec<u8> = [length, 1, 0, 2013, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    message.push(0);
    message.extend(document);
    connection.write_all(&message)?;
    // The answer begins with its length.
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let rest = u64::from(u32::from_le_bytes(length)).saturating_sub(4);
    let read = std::io::copy(&mut connection.take(rest), &mut std::io::sink())?;
    if read == rest { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}
