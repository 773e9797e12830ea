//! The console in a pseudo-terminal, with a real server: what a person would see and type.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};
use tempfile::TempDir;

use crate::server::{Options, PATIENCE, Server, callboard, eventually};

/// A console, and the terminal that it is in.
struct Console {
    keyboard: File,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// The terminal's other end, which stays open.
    end: File,
    before: Termios,
    process: Child,
    home: TempDir,
}

impl Console {
    fn open(command: Command) -> Console {
        Console::of_size(command, 100, 30)
    }

    fn of_size(mut command: Command, columns: u16, rows: u16) -> Console {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("a pseudo-terminal");
        unlockpt(&master).expect("a pseudo-terminal");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("UTF-8");
        let end = File::options().read(true).write(true).open(name).expect("the other end");
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&end, size).expect("a size");
        let before = tcgetattr(&end).expect("a terminal");
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().expect("a file");
        let (sender, bytes) = channel();
        // Ends when the other end is closed by all who have it.
        thread::spawn(move || {
            let mut bytes = [0; 65536];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let home = TempDir::new().expect("a folder");
        let stdio = || Stdio::from(end.try_clone().expect("a file"));
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").env("HOME", home.path());
        // So that what a panic says is on the screen.
        command.env("RUST_BACKTRACE", "0");
        for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR", "DISPLAY", "LC_ALL"] {
            command.env_remove(name);
        }
        // Nobody else's signals reach it.
        command.process_group(0);
        let process = command.spawn().expect("the program starts");
        let screen = vt100::Parser::new(rows, columns, 0);
        Console { keyboard, bytes, screen, end, before, process, home }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Reads on until the screen is so.
    fn wait(&mut self, what: &str, mut is_so: impl FnMut(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.text()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.bytes.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| panic!("{what} was not seen; the screen:\n{}", self.text()));
            self.screen.process(&bytes);
        }
    }

    fn see(&mut self, text: &str) {
        self.wait(text, |screen| screen.contains(text));
    }

    fn see_not(&mut self, text: &str) {
        self.wait(&format!("a screen without {text:?}"), |screen| !screen.contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("somebody reads");
    }

    /// Waits for its end, and checks that the terminal is as it was.
    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the console ends", || {
            status = self.process.try_wait().expect("a child");
            status.is_some()
        });
        // What comes first now was written after the console had ended: all of its own is read.
        self.end.write_all(b"AFTERWARDS").expect("a terminal");
        self.see("AFTERWARDS");
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the screen of before is back");
        assert!(!screen.hide_cursor(), "the cursor is seen");
        assert!(!screen.bracketed_paste(), "pasting is as before");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        let now = tcgetattr(&self.end).expect("a terminal");
        assert!(now.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
        assert_eq!(now.local_modes, self.before.local_modes);
        assert_eq!(now.input_modes, self.before.input_modes);
        assert_eq!(now.output_modes, self.before.output_modes);
        status.expect("it has ended")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn console(server: &Server) -> Console {
    Console::open(server.command(&["console"]))
}

/// The id of the only job of a type.
fn id_of(server: &Server, job_type: &str) -> String {
    let list = server.json(&["jobs", "list", "--json", "--type", job_type]);
    list["jobs"][0]["id"].as_str().expect("an id").to_owned()
}

fn state_of(server: &Server, id: &str) -> String {
    server.json(&["jobs", "show", id, "--json"])["state"].as_str().expect("a state").to_owned()
}

#[test]
fn jobs_are_added_found_cancelled_and_run_again() {
    let server = Server::start(&Options::default());
    let mut console = console(&server);
    console.see("no job yet; N adds one");
    // A job, by the form of its type.
    console.press("N");
    console.see("type:");
    console.press("sleep\r");
    console.see("(needed)");
    console.press("600000\u{13}");
    console.see("is stored");
    let id = id_of(&server, "sleep");
    for _ in 0..3 {
        assert!(server.cli(&["submit", "noop", "--wait"]).status.success());
    }
    // The list shows all of them, the filter one.
    console.press("2");
    console.wait("four jobs", |screen| screen.matches("noop").count() == 3 && screen.contains("sleep"));
    console.press("/type:sleep\r");
    console.see_not("noop");
    console.see("1/1");
    console.wait("a running job", |screen| screen.contains("executing"));
    console.press("\r");
    console.see(&id);
    console.see("runs for");
    console.see("600000");
    // A capital that does harm asks.
    console.press("C");
    console.see(&format!("Cancel the job {id}?"));
    console.press("n");
    console.see("nothing was changed");
    console.press("Cy");
    console.see("cancelled, ");
    assert_eq!(state_of(&server, &id), "cancelled");
    console.press("r");
    console.see("it runs again as");
    eventually("the replay runs", || {
        let list = server.json(&["jobs", "list", "--json", "--type", "sleep", "--state", "executing"]);
        list["jobs"].as_array().is_some_and(|jobs| jobs.len() == 1)
    });
    // Up to the list, whose filter is as it was; Esc clears it.
    console.press("\u{1b}");
    console.wait("two jobs", |screen| screen.contains("1/2") || screen.contains("2/2"));
    console.press("\u{1b}\u{1b}");
    console.see("noop");
    console.press("Q");
    assert!(console.end().success());
    assert!(console.home.path().join(".local/state/callboard/console.log").exists());
}

#[test]
fn an_edited_payload_is_replayed() {
    let server = Server::start(&Options::default());
    assert!(server.cli(&["submit", "sleep", "--payload", "{\"ms\":1}", "--wait"]).status.success());
    let id = id_of(&server, "sleep");
    let mut console = console(&server);
    console.see("sleep");
    console.press(&format!(":job {id}\r"));
    console.see("completed, ");
    console.press("E");
    console.see("Payload for a replay");
    console.press("\u{1b}[B\u{1b}[F2\u{13}");
    console.see("it runs again as");
    let jobs = server.json(&["jobs", "list", "--json", "--type", "sleep"]);
    let replay = jobs["jobs"].as_array().and_then(|jobs| {
        jobs.iter().filter_map(|job| job["id"].as_str()).find(|other| *other != id).map(str::to_owned)
    });
    let detail = server.json(&["jobs", "show", &replay.expect("a replay"), "--json"]);
    assert_eq!(detail["payload"]["ms"], 12);
}

#[test]
fn actors_and_queues_are_told_what_to_do() {
    let server = Server::start(&Options::default());
    let mut console = console(&server);
    console.see("READY");
    console.press("5/observers/metrics\r");
    console.see("1/1");
    console.press("T");
    console.see("Restart observers/metrics?");
    console.press("y");
    console.see("done: tell");
    let tree = server.json(&["tree", "--json"]);
    let find = |node: &serde_json::Value, name: &str| {
        node["children"]
            .as_array()
            .and_then(|all| all.iter().find(|child| child["name"] == name))
            .cloned()
            .expect(name)
    };
    let metrics = find(&find(&tree, "observers"), "metrics");
    assert_eq!(metrics["generation"], 1);
    // A queue is drained: it says so while a job of it runs, and when none does.
    assert!(server.cli(&["submit", "sleep", "--payload", "{\"ms\":600000}"]).status.success());
    let id = id_of(&server, "sleep");
    eventually("the job runs", || state_of(&server, &id) == "executing");
    console.press("3");
    console.see("open");
    console.press("D");
    console.see("Drain the queue default?");
    console.press("y");
    console.see("draining (1 runs)");
    assert!(server.cli(&["jobs", "cancel", &id]).status.success());
    console.see("drained");
    console.press("o");
    console.see("default goes on");
    console.press("K\u{15}7\r");
    console.see("done: tell");
    eventually("the node runs seven at once", || {
        server.json(&["queues", "show", "default", "--json"])["concurrency"] == 7
    });
}

#[test]
fn nothing_is_changed_where_nothing_may_be() {
    let server = Server::start(&Options::default());
    let mut console = Console::open(server.command(&["console", "--readonly"]));
    console.see("READ-ONLY");
    console.press("N");
    console.see("the console is read-only");
    console.press("3P");
    console.see("pause: the console is read-only");
}

#[test]
fn a_server_that_is_restarted_is_found_again() {
    let server = Server::start(&Options::default());
    let address = server.address.to_string();
    let mut console = console(&server);
    console.see("READY");
    let (data, _folder) = server.kill();
    console.see("STALE");
    let mut again = callboard();
    again.args(["serve", "--listen", &address, "--log", "json", "--data"]).arg(&data);
    let mut again = again.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut line = String::new();
    let stdout = again.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert!(line.contains(&address), "{line}");
    console.see_not("STALE");
    console.see("READY");
    console.press("Q");
    let ended = console.end();
    again.kill().expect("it is there");
    again.wait().expect("an end");
    assert!(ended.success());
}

#[test]
fn signals_and_panics_give_the_terminal_back() {
    let server = Server::start(&Options::default());
    for signal in [Signal::TERM, Signal::HUP] {
        let mut console = console(&server);
        console.see("READY");
        kill_process(Pid::from_child(&console.process), signal).expect("it is there");
        assert!(console.end().success(), "{signal:?}");
    }
    #[cfg(feature = "failpoints")]
    {
        let mut console = console(&server);
        console.see("READY");
        console.press(":panic\r");
        let status = console.end();
        assert_eq!(status.code(), Some(101));
        assert!(console.text().contains("a panic was asked for"), "{}", console.text());
    }
}

#[test]
fn the_servers_are_looked_for_in_their_order() {
    let server = Server::start(&Options::default());
    let data = server.data.to_str().expect("UTF-8");
    // The lock of the data folder says where it is.
    let mut command = callboard();
    command.args(["console", "--data", data]);
    let mut console = Console::open(command);
    console.see(&server.url());
    drop(console);
    // The old system's variables stand above it.
    for name in ["READ_MODEL_URL", "GATEWAY_URL"] {
        let mut command = callboard();
        command.args(["console", "--data", "nowhere"]).env(name, server.url());
        let mut console = Console::open(command);
        console.see(&server.url());
    }
    // Where none answers that is said, with what was tried; --url alone counts where it is given.
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut command = callboard();
    command.args(["console", "--data", data, "--url", &format!("http://{nobody}")]);
    let mut console = Console::open(command);
    console.see("No server answers.");
    console.see(&nobody.to_string());
    assert!(!console.text().contains(&server.url()));
    console.press("Q");
    assert!(console.end().success());
}

#[test]
fn what_is_wrong_is_said_before_the_terminal_is_taken() {
    let folder = TempDir::new().expect("a folder");
    let config = folder.path().join("console.toml");
    std::fs::write(&config, "[keys]\nquit = \"x\"\n").expect("a file");
    let output = callboard().args(["console", "--config"]).arg(&config).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("keys.quit: N, U, R and Q"), "{said}");
    let output = callboard().arg("console").output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("needs a terminal"), "{said}");
}

#[test]
fn the_doctor_names_what_is_missing_and_what_mends_it() {
    let server = Server::start(&Options::default());
    let mut command = server.command(&["doctor", "--json"]);
    command.env("TERM", "dumb");
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1), "a terminal is missing");
    let checks: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let check = |name: &str| {
        checks.as_array().and_then(|all| all.iter().find(|check| check["name"] == name)).cloned().expect(name)
    };
    assert_eq!(check("terminal")["remedy"], "export TERM=xterm-256color");
    assert_eq!(check("server")["verdict"], "good");
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_is_refused_before_it_is_taken() {
    let callboard = callboard();
    let mut command = Command::new("sh");
    // The variable is set by the shell, since `Console` names a terminal that can be drawn on.
    command.args(["-c", "TERM=dumb exec \"$0\" console"]).arg(callboard.get_program());
    let mut console = Console::open(command);
    console.see("export TERM=xterm-256color");
    assert_eq!(console.end().code(), Some(2));
    assert!(!console.text().contains("Looking for a server"));
}
