//! Real work: programs that checksum the repository's files, with the server killed in the middle of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::server::{Options, Server};

const JOBS: usize = 2_000;

/// Files of this repository, in a fixed order.
pub(crate) fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = entry.path();
            let name = entry.file_name();
            if name == "target" || name == ".git" || name == "node_modules" {
                continue;
            }
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                walk(&path, found);
            } else if kind.is_file()
                && path.extension().is_some_and(|end| end == "rs" || end == "toml" || end == "md")
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    found.sort();
    assert!(found.len() > 50, "a repository");
    found
}

/// What is to be submitted, and what each job must give.
struct Work {
    lines: String,
    expected: BTreeMap<Uuid, String>,
}

fn work(jobs: usize) -> Work {
    let files = files();
    let sums: Vec<(&Path, String)> = files
        .iter()
        .map(|file| {
            let digest = Sha256::digest(fs::read(file).expect("a file"));
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            (file.as_path(), hex)
        })
        .collect();
    let mut lines = String::new();
    let mut expected = BTreeMap::new();
    for index in 0..jobs {
        let (file, sum) = &sums[index % sums.len()];
        let id = Uuid::now_v7();
        let job = json!({
            "id": id, "type": "command", "max_attempts": 50,
            "payload": { "program": "sha256sum", "args": ["--", file] },
        });
        lines.push_str(&format!("{job}\n"));
        expected.insert(id, format!("{sum}  {}\n", file.display()));
    }
    Work { lines, expected }
}

fn options(failpoint: Option<(&str, u64, &Path)>) -> Options {
    let mut options = Options::arguments(&["--allow-program", "sha256sum"]);
    // Jobs that begin in several lives which end at once are not to blame for that.
    options.environment.push(("CALLBOARD__RESCUER__QUARANTINE_AFTER".into(), "0".into()));
    if let Some((name, hit, log)) = failpoint {
        options.environment.push(("CALLBOARD_FAILPOINTS".into(), format!("{name}=kill@{hit}")));
        options.environment.push(("CALLBOARD_FAILPOINT_LOG".into(), log.display().to_string()));
    }
    options
}

/// Compares every job's result with the sum computed here. Returns how many attempts the jobs took in all.
fn check(server: &Server, expected: &BTreeMap<Uuid, String>) -> u64 {
    let mut attempts = 0;
    for (id, output) in expected {
        let answer = server.get(&format!("/api/v1/jobs/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let job = answer.json();
        assert_eq!(job["state"], "completed", "{job}");
        assert_eq!(job["result"]["stdout"], output.as_str(), "{job}");
        assert_eq!(job["result"]["exit_code"], 0);
        attempts += job["attempt"].as_u64().expect("a number");
    }
    attempts
}

fn submit(server: &Server, file: &Path) -> std::process::Child {
    let file = file.to_str().expect("UTF-8");
    let mut command = server.command(&["submit", "--file", file, "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Processes that work in a folder below `data`, or that carry it in their command line.
pub(crate) fn processes_of(data: &Path) -> BTreeSet<(u32, String)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let folder = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        // A zombie has neither, and is nobody's orphan: its parent is about to reap it.
        if folder.starts_with(data) || words.contains(&*data.to_string_lossy()) {
            found.insert((id, words));
        }
    }
    found
}

fn no_orphan_one_second_after(death: Instant, data: &Path) {
    loop {
        let left = processes_of(data);
        if left.is_empty() {
            return;
        }
        assert!(death.elapsed() < Duration::from_secs(1), "orphans of a killed server: {left:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn two_thousand_checksums_are_right() {
    let work = work(JOBS);
    let server = Server::start(&options(None));
    let file = server.data.with_extension("ndjson");
    fs::write(&file, &work.lines).expect("a file");
    let arguments =
        ["submit", "--file", file.to_str().expect("UTF-8"), "--wait", "--wait-timeout", "10m", "--json"];
    let output = server.cli(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(check(&server, &work.expected), JOBS as u64, "one attempt each");
}

/// A small generator of one's own, so that a printed seed gives the same run on every machine.
pub(crate) struct Random(u64);

impl Random {
    /// Of a new seed, or of that in `TEST_SEED`; it is printed.
    pub(crate) fn seeded() -> Random {
        let seed = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            u64::try_from(Uuid::new_v4().as_u128() & u128::from(u64::MAX)).expect("64 bits") | 1
        });
        println!("seed: TEST_SEED={seed}");
        Random(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn two_thousand_checksums_are_right_after_kills_at_every_failpoint() {
    let mut random = Random::seeded();
    let work = work(JOBS);
    let folder = tempfile::TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let file = folder.path().join("jobs.ndjson");
    let log = folder.path().join("failpoints.log");

    // Which hits may kill. Claims are few, as each takes as many jobs as there is room for.
    let failpoints = [
        ("claim.commit.before", 1..3),
        ("claim.commit.after", 1..3),
        ("run.before", 1..20),
        ("command.running", 1..20),
        ("run.after", 1..20),
        ("complete.commit.before", 10..30),
        ("complete.commit.after", 10..30),
    ];
    // Every life has work of its own to die in, whatever the ones before it have done already.
    let lines: Vec<&str> = work.lines.lines().collect();
    let parts = lines.chunks(JOBS / (failpoints.len() + 1));
    for ((failpoint, hits), part) in failpoints.clone().into_iter().zip(parts) {
        fs::write(&file, part.join("\n")).expect("a file");
        let hit = hits.start + random.below(hits.end - hits.start);
        println!("{failpoint}: hit {hit} kills");
        let mut server = match Server::start_on(&data, &options(Some((failpoint, hit, &log)))) {
            Ok(server) => server,
            // What the life before left to do was enough to die of before it served.
            Err(said) if said.starts_with("signal: 9") => {
                no_orphan_one_second_after(Instant::now(), &data);
                continue;
            }
            Err(said) => panic!("{failpoint}: no server: {said}"),
        };
        let mut submitter = submit(&server, &file);
        let status = server.wait();
        let death = Instant::now();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "{failpoint}: {}",
            server.log()
        );
        let _ = submitter.kill();
        submitter.wait().expect("an end");
        no_orphan_one_second_after(death, &data);
    }
    let hits = fs::read_to_string(&log).expect("a log of hits");
    for (failpoint, _) in &failpoints {
        assert!(hits.contains(failpoint), "{failpoint} was hit: {hits}");
    }

    // Submitting again is harmless: every line has its id.
    fs::write(&file, &work.lines).expect("a file");
    let server = Server::start_on(&data, &options(None)).expect("a server");
    let arguments =
        ["submit", "--file", file.to_str().expect("UTF-8"), "--wait", "--wait-timeout", "10m", "--json"];
    let output = server.cli(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let attempts = check(&server, &work.expected);
    println!("{JOBS} jobs took {attempts} attempts over {} lives", failpoints.len() + 1);

    // The log tells the same story: each job was created once and completed once.
    let totals = server.get("/stats").json();
    assert_eq!(totals["completedJobs"], JOBS, "{totals}");
    assert_eq!(totals["failedJobs"], 0, "{totals}");
    let queues: Value = server.get("/api/v1/queues").json();
    let executing =
        queues.as_array().into_iter().flatten().map(|queue| queue["executing"].as_u64().unwrap_or(0));
    assert_eq!(executing.sum::<u64>(), 0, "{queues}");
}
