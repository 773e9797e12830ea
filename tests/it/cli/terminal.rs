//! What is only there on a terminal: the progress bar, and questions. Seen in a pseudo-terminal.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{code, err, out, with_input};
use crate::server::{Options, PATIENCE, Server};

/// The end of a pseudo-terminal at which a person would sit.
struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    other_end: File,
}

impl Terminal {
    fn open() -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("a pseudo-terminal");
        unlockpt(&master).expect("a pseudo-terminal");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("UTF-8");
        let other_end = File::options().read(true).write(true).open(name).expect("the other end");
        let size = rustix::termios::Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&other_end, size).expect("a size");
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().expect("a file");
        let (sender, screen) = channel();
        // Ends when the other end is closed by all who have it.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { keyboard, screen, seen: String::new(), other_end }
    }

    fn end(&self) -> Stdio {
        self.other_end.try_clone().expect("a file").into()
    }

    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.screen.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| panic!("{text:?} was not seen in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("it reads");
    }
}

fn spawn(command: &mut Command) -> Child {
    command.env("TERM", "xterm").spawn().expect("the program starts")
}

#[test]
fn progress_is_shown_while_jobs_are_read_and_waited_for() {
    let server = Server::start(&Options::default());
    let mut terminal = Terminal::open();
    let mut command = server.command(&["submit", "-", "--wait"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(terminal.end());
    let mut child = spawn(&mut command);
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(b"{\"type\":\"noop\"}\n{\"type\":\"sleep\",\"payload\":{\"ms\":600000}}\n")
        .expect("it reads");
    terminal.wait_for(" 2 submitted");
    drop(stdin);
    terminal.wait_for(" 1/2 finished");
    let sleeps = server.json(&["jobs", "list", "--json", "--type", "sleep"]);
    let id = sleeps["jobs"][0]["id"].as_str().expect("an id");
    assert_eq!(code(&server.cli(&["jobs", "cancel", id])), 0);
    terminal.wait_for("2 accepted, 1 completed, 1 cancelled");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(code(&output), 1, "one was not completed");
    assert!(!out(&output).contains('\u{1b}'), "nothing of it on standard output");
}

#[test]
fn no_progress_is_shown_where_it_would_be_in_the_way() {
    let server = Server::start(&Options::default());
    let jobs = "{\"type\":\"noop\"}\n".repeat(1000);
    let piped = with_input(server.command(&["submit", "-", "--wait"]), &jobs);
    assert_eq!((code(&piped), &*err(&piped)), (0, "1000 accepted, 1000 completed\n"));
    for flag in ["--json", "--quiet"] {
        let mut terminal = Terminal::open();
        let mut command = server.command(&["submit", "noop", "--count", "1000", "--wait", flag]);
        command.stdout(Stdio::piped()).stderr(terminal.end());
        let output = spawn(&mut command).wait_with_output().expect("an end");
        assert_eq!(code(&output), 0);
        // What comes first on the screen is what is written after the program has ended.
        terminal.other_end.write_all(b"ended").expect("a terminal");
        terminal.wait_for("ended");
        assert_eq!(terminal.seen, "ended", "{flag}");
    }
}

#[test]
fn a_change_of_many_jobs_is_asked_about() {
    let server = Server::start(&Options::default());
    assert_eq!(code(&server.cli(&["submit", "noop", "--count", "2", "--wait"])), 0);
    for (answer, exit) in [("n\n", 1), ("\n", 1), ("y\n", 0)] {
        let mut terminal = Terminal::open();
        let mut command = server.command(&["jobs", "retry", "--all", "--state", "completed"]);
        command.stdin(terminal.end()).stdout(Stdio::piped()).stderr(terminal.end());
        let child = spawn(&mut command);
        terminal.wait_for("Run 2 completed jobs again? [y/N] ");
        terminal.type_in(answer);
        let output = child.wait_with_output().expect("an end");
        assert_eq!((code(&output), out(&output).lines().count()), (exit, if exit == 0 { 2 } else { 0 }));
        if exit == 1 {
            terminal.wait_for("callboard: nothing was changed");
        }
    }
}
