//! The command line, against the real server.

mod bench;
mod edges;
mod jobs;
mod proxy;
mod queues;
mod refusals;
mod store;
mod submit;
mod terminal;
mod tree;
mod wait;

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// Runs the command with this on its standard input.
fn with_input(mut command: Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end without having read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("an end")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

/// The text with each time as `TIME`.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive(|letter: char| letter.is_whitespace() || letter == '"');
    let is_time = |word: &str| word.len() == 27 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    words
        .map(|word| {
            let bare = word.trim_end_matches(|letter: char| letter.is_whitespace() || letter == '"');
            if is_time(bare) { word.replace(bare, "TIME") } else { word.to_owned() }
        })
        .collect()
}
