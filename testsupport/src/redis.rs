//! Redis.

use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

/// The shared server: the one that `CALLBOARD_TEST_REDIS` names, or else the one at 127.0.0.1:6379. Tests on it keep to keys of
/// their own, and never empty it.
pub fn redis_url() -> String {
    env::var("CALLBOARD_TEST_REDIS").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned())
}

/// A server that keeps what it has over an orderly stop, and over a kill too but for the last second.
pub(crate) fn command(folder: &Path, port: u16) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "yes"]);
    // What watches over the test knows it by its folder.
    command.args(["--set-proc-title", "no"]).arg("--dir").arg(folder);
    command
}

/// Whether it answers.
pub(crate) fn answers(port: u16) -> bool {
    ask(port).is_ok_and(|answer| answer == *b"+PONG")
}

fn ask(port: u16) -> std::io::Result<[u8; 5]> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer)?;
    Ok(answer)
}
