//! Every program in `examples/` is run, not only built, and says what it is there to show.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use callboard_testsupport::{Database, rabbitmq_url};

use crate::server::PATIENCE;

/// How an example is run, and a line that it writes when it has shown what it is for. `FOLDER` is an empty folder,
/// `DATABASE` the URL of an empty database,
/// `BROKER` that of a RabbitMQ broker.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    ("actix_web", &[], "+ 1: 200 OK {\"sum\":201,\"generation\":1}"),
    ("adopt_actix", &[], "steady: the address is the same"),
    ("api_client", &["FOLDER"], "every order arrived: true"),
    ("approval", &["FOLDER"], "paid 120 as anna has said"),
    ("connection_stack", &[], "  - connection 1"),
    ("counter", &[], "200 + 1 = 201, asked at the same address"),
    ("crash_and_restart", &[], "  2 crashes, 2 of 8 restarts used"),
    ("embed", &["FOLDER"], "11 words in all"),
    ("encrypted", &["FOLDER"], "the card is in the store: false"),
    ("fair", &["FOLDER"], "it has waited for all of the large one's: false"),
    ("file_archive", &["FOLDER"], "after it was removed, 4 jobs: 16 events, each once"),
    ("nightly", &["FOLDER"], "each time once: true"),
    ("progress", &["FOLDER"], "100% done: page 15"),
    ("pub_sub", &[], "quick: saw [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], missed 0, subscribed"),
    ("remote", &["BROKER", "FOLDER"], "the theatre has closed"),
    ("stream_pipeline", &[], "the sum of 200 readings is 19900"),
    ("testing", &[], "no line is lost in 100 orders of events"),
    ("transaction", &["DATABASE", "FOLDER"], "the other one is there: false"),
    ("word_count", &["DATABASE", "FOLDER"], "every word was counted once: true"),
    ("worker_pool", &[], "5 of 5 say that 84 / 2 is 42"),
];

/// The examples that are there: a file, or a folder with a `main.rs`.
fn sources() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(&folder).expect("the examples").map(|entry| entry.expect("an entry").path());
    let named = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "rs") || path.join("main.rs").is_file()
    };
    let name = |path: PathBuf| path.file_stem().expect("a name").to_str().expect("in Unicode").to_owned();
    entries.filter(named).map(name).collect()
}

/// One that runs. Dropped, it is killed.
struct Running {
    process: Child,
    output: [Receiver<String>; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads on a thread of its own, so that no pipe is ever full, and gives all of it at the end.
fn read(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

impl Running {
    fn start(name: &str, arguments: &[&str], folder: &Path, database: &str) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_callboard"));
        let program = program.parent().expect("a folder").join("examples").join(name);
        let mut command = Command::new(&program);
        for argument in arguments {
            match *argument {
                "FOLDER" => command.arg(folder),
                "DATABASE" => command.arg(database),
                "BROKER" => command.arg(rabbitmq_url()),
                argument => command.arg(argument),
            };
        }
        // Nothing of the developer's own settings may reach a test, nor a file the developer's folder.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("CALLBOARD_") {
                command.env_remove(variable);
            }
        }
        // Backtraces of the panics that they show take longer than all the rest.
        command.env("RUST_BACKTRACE", "0");
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{}: {error}; build it: cargo build --workspace --all-features --examples",
                program.display()
            )
        });
        let output = process.stdout.take().expect("a pipe");
        let errors = process.stderr.take().expect("a pipe");
        Running { process, output: [read(output), read(errors)] }
    }

    /// What it wrote and how it ended. None: it has not ended in time.
    fn end(mut self, deadline: Instant) -> Option<(ExitStatus, [String; 2])> {
        let rest = || deadline.saturating_duration_since(Instant::now());
        let [output, errors] = &self.output;
        let written = [output.recv_timeout(rest()).ok()?, errors.recv_timeout(rest()).ok()?];
        Some((self.process.wait().expect("its end"), written))
    }
}

#[test]
fn every_example_ends_well_and_shows_what_it_is_for() {
    let expected: BTreeSet<String> = EXAMPLES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(sources(), expected, "each file in examples/ needs its row here, and each row its file");

    let database = Database::create();
    let deadline = Instant::now() + PATIENCE;
    // All at a time: together they take as long as the slowest.
    let start = |&(name, arguments, line): &(&'static str, &[&str], &'static str)| {
        let folder = tempfile::tempdir().expect("a folder");
        (name, line, Running::start(name, arguments, folder.path(), database.url()), folder)
    };
    let running: Vec<_> = EXAMPLES.iter().map(start).collect();
    let mut faults = BTreeMap::new();
    for (name, line, program, _folder) in running {
        let fault = match program.end(deadline) {
            None => format!("has not ended within {PATIENCE:?}"),
            Some((status, [output, _]))
                if status.success() && output.lines().any(|written| written == line) =>
            {
                continue;
            }
            Some((status, [output, errors])) => {
                format!("{status}, without the line `{line}`?\n{output}{errors}")
            }
        };
        faults.insert(name, fault);
    }
    let faults: Vec<_> = faults.iter().map(|(name, fault)| format!("{name}: {fault}")).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
