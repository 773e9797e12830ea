//! Jobs that are read: one JSON object a line, or one JSON array. Read on a thread of its own, so that a slow writer
//! holds up nothing, and no further ahead than is about to be sent.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
    thread,
    time::Duration,
};

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Value};
use tokio::{sync::mpsc, time::timeout};

use super::super::output::Failure;

/// Jobs that are read ahead.
const AHEAD: usize = 2000;
/// Bytes of one line at most; what a server accepts is far below it.
const MAX_LINE: u64 = 8 * 1024 * 1024;
/// Lines that are no jobs, after which the rest is not looked at: this is no file of jobs.
const MAX_UNREADABLE: usize = 100;
/// A batch that is not full is sent when nothing more came for so long.
const PAUSE: Duration = Duration::from_millis(50);

/// A job that was read.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// Where it stands: a line, or a place in an array.
    pub(super) place: Option<String>,
    pub(super) job: Map<String, Value>,
    /// About its bytes as JSON.
    pub(super) size: usize,
    /// Bytes of the input, or jobs, up to its end.
    pub(super) position: u64,
}

/// What the reader says.
#[derive(Debug)]
pub(super) enum Reading {
    Job(Input),
    /// One that is no job; the others still count.
    Unreadable(String),
    /// Nothing more can be read.
    Broken(String),
}

/// Where jobs come from.
pub(super) enum Source {
    Repeat { input: Input, left: u64, done: u64 },
    Read(mpsc::Receiver<Reading>),
}

/// What is sent next.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Input>,
    pub(super) unreadable: Vec<String>,
    /// What has come after them that ends it all.
    pub(super) broken: Option<Failure>,
}

impl Source {
    /// As many jobs as there are now and fit in a batch, at least one; none at the end.
    pub(super) async fn next(&mut self, max_jobs: usize, max_bytes: usize) -> Option<Batch> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.jobs.len() < max_jobs && bytes < max_bytes && batch.unreadable.len() < max_jobs {
            let waits = !batch.jobs.is_empty() || !batch.unreadable.is_empty();
            match self.one(waits).await {
                Some(Reading::Job(input)) => {
                    bytes += input.size;
                    batch.jobs.push(input);
                }
                Some(Reading::Unreadable(why)) => batch.unreadable.push(why),
                Some(Reading::Broken(why)) => {
                    batch.broken = Some(Failure::usage(why));
                    return Some(batch);
                }
                None if waits => return Some(batch),
                None => return None,
            }
        }
        Some(batch)
    }

    /// The next thing that is read; none at the end. Dropping the future loses nothing.
    pub(super) async fn next_one(&mut self) -> Option<Reading> {
        self.one(false).await
    }

    async fn one(&mut self, waits: bool) -> Option<Reading> {
        match self {
            Source::Repeat { left: 0, .. } => None,
            Source::Repeat { input, left, done } => {
                *left -= 1;
                *done += 1;
                Some(Reading::Job(Input { position: *done, ..input.clone() }))
            }
            Source::Read(inputs) if waits => timeout(PAUSE, inputs.recv()).await.unwrap_or(None),
            Source::Read(inputs) => inputs.recv().await,
        }
    }
}

/// Begins to read. The thread ends at the end of the input, or when nobody wants more.
pub(super) fn read(input: impl Read + Send + 'static, name: String) -> mpsc::Receiver<Reading> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    // It is left behind if it waits for a standard input that says nothing when the program ends.
    thread::spawn(move || {
        let send = |read| sender.blocking_send(read).is_ok();
        Reader { name, send }.read(BufReader::new(input));
    });
    receiver
}

struct Reader<S> {
    /// What it reads from.
    name: String,
    /// Says whether more is wanted.
    send: S,
}

impl<S: Fn(Reading) -> bool> Reader<S> {
    fn read(&self, mut input: impl BufRead) {
        match begins_with_bracket(&mut input) {
            Ok(true) => self.array(input),
            Ok(false) => self.lines(input),
            Err(error) => self.broken(&error.to_string()),
        }
    }

    fn broken(&self, why: &str) {
        (self.send)(Reading::Broken(format!("{}: {why}", self.name)));
    }

    fn lines(&self, mut input: impl BufRead) {
        let (mut number, mut position, mut unreadable) = (0_usize, 0_u64, 0);
        loop {
            let mut line = Vec::new();
            let read = match input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(read) => read as u64,
                Err(error) => return self.broken(&error.to_string()),
            };
            number += 1;
            position += read;
            if read > MAX_LINE {
                return self.broken(&format!("line {number} has more than 8 MiB; one job a line is needed"));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let wanted = match serde_json::from_slice::<Map<String, Value>>(&line) {
                Ok(job) => {
                    let place = Some(format!("{}:{number}", self.name));
                    (self.send)(Reading::Job(Input { place, job, size: line.len(), position }))
                }
                Err(error) => {
                    unreadable += 1;
                    (self.send)(Reading::Unreadable(format!("{}:{number}:{}", self.name, told(&error))))
                }
            };
            if !wanted {
                return;
            }
            if unreadable == MAX_UNREADABLE {
                let why =
                    format!("{unreadable} lines are no jobs; what comes after line {number} was not read");
                return self.broken(&why);
            }
        }
    }

    fn array(&self, input: impl BufRead) {
        let mut reader = Deserializer::from_reader(input);
        let read =
            reader.deserialize_seq(Elements(self)).and_then(|more| if more { reader.end() } else { Ok(()) });
        if let Err(error) = read {
            self.broken(&format!("an array of jobs, [{{…}}, …], is needed: {error}"));
        }
    }
}

/// Whether the first thing that is no blank is `[`. Blanks and a byte order mark before it are passed over.
fn begins_with_bracket(input: &mut impl BufRead) -> io::Result<bool> {
    let start = input.fill_buf()?;
    if start.starts_with("\u{feff}".as_bytes()) {
        input.consume(3);
    }
    // Blanks beyond the first buffer are left to the lines, of which empty ones do not count.
    Ok(input.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'['))
}

/// The column and what is wrong with a line.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
    let hint = if error.is_eof() {
        " (a job may not go over several lines, but in an array [{…}, …])"
    } else {
        ""
    };
    format!("{}: a JSON object is needed: {why}{hint}", error.column())
}

/// Hands on the elements of an array as they are read; gives whether the array was read to its end.
struct Elements<'r, S>(&'r Reader<S>);

impl<'de, S: Fn(Reading) -> bool> Visitor<'de> for Elements<'_, S> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of jobs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        let mut number = 0;
        let mut position = 0;
        while let Some(element) = elements.next_element::<Value>()? {
            number += 1;
            let size = element.to_string().len();
            position += size as u64 + 1;
            let place = format!("{}: job {number}", self.0.name);
            let read = match element {
                Value::Object(job) => Reading::Job(Input { place: Some(place), job, size, position }),
                _ => Reading::Unreadable(format!("{place}: a JSON object is needed")),
            };
            if !(self.0.send)(read) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    /// Each thing that is read, in a few words.
    fn all(text: &[u8]) -> Vec<String> {
        let read = RefCell::new(Vec::new());
        let send = |one| {
            read.borrow_mut().push(match one {
                Reading::Job(input) => {
                    format!("{} {}", input.place.unwrap(), Value::Object(input.job))
                }
                Reading::Unreadable(why) => format!("unreadable {why}"),
                Reading::Broken(why) => format!("broken {why}"),
            });
            true
        };
        Reader { name: "f".to_owned(), send }.read(BufReader::with_capacity(8, text));
        read.into_inner()
    }

    #[test]
    fn lines_are_read_one_by_one() {
        assert_eq!(
            all("\u{feff}{\"a\":1}\r\n\n  \n{\"b\":2}".as_bytes()),
            ["f:1 {\"a\":1}", "f:4 {\"b\":2}"]
        );
        let wrong = all(b"{\"a\":1}\n{\"a\":\n17\n{} {}\n\xff\n");
        assert_eq!(
            wrong,
            [
                "f:1 {\"a\":1}",
                "unreadable f:2:0: a JSON object is needed: EOF while parsing a value (a job may not go over several lines, but in an array [{…}, …])",
                "unreadable f:3:2: a JSON object is needed: invalid type: integer `17`, expected a map",
                "unreadable f:4:4: a JSON object is needed: trailing characters",
                "unreadable f:5:1: a JSON object is needed: expected value",
            ]
        );
        assert!(all(b"").is_empty() && all(b"\n\n").is_empty());
    }

    #[test]
    fn what_is_no_file_of_jobs_is_not_read_to_its_end() {
        let read = all("no,job\n".repeat(1000).as_bytes());
        assert_eq!(read.len(), 101);
        assert_eq!(read[100], "broken f: 100 lines are no jobs; what comes after line 100 was not read");
        let long = vec![b'{'; 9 * 1024 * 1024];
        assert_eq!(all(&long), ["broken f: line 1 has more than 8 MiB; one job a line is needed"]);
    }

    #[test]
    fn arrays_are_read_one_by_one() {
        assert_eq!(
            all(b" [{\"a\":1},\n 2, {}]\n"),
            ["f: job 1 {\"a\":1}", "unreadable f: job 2: a JSON object is needed", "f: job 3 {}"]
        );
        let cut = all(b"[{},\n{\"a\"");
        assert_eq!(cut[0], "f: job 1 {}");
        assert!(cut[1].starts_with("broken f: an array of jobs, [{…}, …], is needed: EOF"), "{cut:?}");
        assert!(cut[1].ends_with("line 2 column 4"), "{cut:?}");
        assert!(all(b"[] x")[0].contains("trailing characters"));
        assert!(all(b"[]").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            all(&text);
        }
    }

    #[tokio::test]
    async fn a_batch_is_full_or_what_there_is() {
        let (sender, receiver) = mpsc::channel(10);
        let input = Input { place: None, job: Map::new(), size: 40, position: 0 };
        let mut source = Source::Read(receiver);
        for _ in 0..3 {
            sender.send(Reading::Job(input.clone())).await.unwrap();
        }
        assert_eq!(source.next(2, 1000).await.map(|batch| batch.jobs.len()), Some(2));
        assert_eq!(source.next(2, 1000).await.map(|batch| batch.jobs.len()), Some(1), "nothing more came");
        for _ in 0..3 {
            sender.send(Reading::Job(input.clone())).await.unwrap();
        }
        assert_eq!(source.next(100, 50).await.map(|batch| batch.jobs.len()), Some(2), "bytes are bounded");
        drop(sender);
        assert_eq!(source.next(100, 50).await.map(|batch| batch.jobs.len()), Some(1));
        assert!(source.next(100, 50).await.is_none());
    }
}
