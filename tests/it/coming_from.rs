//! `docs/coming-from.md`: each piece in shell does what stands there, each feature has a piece. Its Rust is run with the documentation's.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::server::{Options, Server};

/// Stands for what differs each time; alone on a line, for any lines.
const ANYTHING: &str = "…";
/// What the shell says when a command has ended, before its exit code.
const END: &str = "== the command ended with ";

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/coming-from.md")).expect("the page")
}

/// A command and the output that the page shows.
#[derive(Debug, Default)]
struct Shown {
    command: String,
    output: Vec<String>,
}

/// The blocks of commands; each is one shell's.
fn blocks(page: &str) -> Vec<Vec<Shown>> {
    page.split("```console\n")
        .skip(1)
        .map(|rest| block(rest.split("```").next().expect("its text")))
        .collect()
}

fn block(text: &str) -> Vec<Shown> {
    let mut block: Vec<Shown> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            block.push(Shown { command: command.to_owned(), output: Vec::new() });
            continue;
        }
        let shown = block.last_mut().expect("a command above");
        match line.strip_prefix("> ") {
            Some(more) => shown.command.push_str(&format!("\n{more}")),
            None => shown.output.push(line.to_owned()),
        }
    }
    block
}

fn line_fits(shown: &str, line: &str) -> bool {
    let mut parts = shown.split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn fits(shown: &[String], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == ANYTHING => {
            (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..]))
        }
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, after)| line_fits(first, line) && fits(rest, after))
        }
    }
}

/// Runs a block in one shell. What did not come out as it is shown.
fn run(block: &[Shown], folder: &Path, path: &str, server: &Server) -> Vec<String> {
    let script: String =
        block.iter().map(|shown| format!("{}\nprintf '\\n{END}%s\\n' $?\n", shown.command)).collect();
    let output = Command::new("bash")
        .args(["-o", "pipefail", "-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder)
        .env("PATH", path)
        .env("CALLBOARD_URL", server.url())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut said = said.lines();
    let mut faults = Vec::new();
    for shown in block {
        let lines: Vec<&str> = until_end(&mut said);
        let (end, lines) = lines.split_last().map_or(("", [].as_slice()), |(end, lines)| (*end, lines));
        // The shell's own line break before its word.
        let lines = match lines.split_last() {
            Some((&"", before)) => before,
            _ => lines,
        };
        let explicit = shown.output.iter().any(|line| line != ANYTHING);
        let failed = !end.ends_with(" 0") && !explicit;
        if failed || !fits(&shown.output, lines) {
            faults.push(format!(
                "$ {}\n{}\n{end}\nwhere the page has\n{}\n",
                shown.command,
                lines.join("\n"),
                shown.output.join("\n")
            ));
        }
    }
    faults
}

/// Lines up to the one that ends a command, and with it.
fn until_end<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut taken = Vec::new();
    for line in lines {
        taken.push(line);
        if line.starts_with(END) {
            break;
        }
    }
    taken
}

#[test]
fn every_piece_of_the_page_runs_as_it_says() {
    let page = page();
    let (_, rest) = page.split_once("```toml\n").expect("a configuration");
    let (configuration, _) = rest.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("callboard.toml");
    fs::write(&file, configuration).expect("a file");
    let server = Server::start(&Options::arguments(&["--config", file.to_str().expect("a path")]));
    let program = Path::new(env!("CARGO_BIN_EXE_callboard")).parent().expect("a folder").display();
    let path = format!("{program}:{}", std::env::var("PATH").unwrap_or_default());
    let blocks = blocks(&page);
    assert!(blocks.len() > 15, "{blocks:?}");
    let faults: Vec<String> =
        blocks.iter().flat_map(|block| run(block, folder.path(), &path, &server)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || *letter == ' ' || *letter == '-');
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn each_feature_of_each_system_has_a_piece_that_is_run() {
    let page = page();
    let (systems, pieces) = page.split_once("\n# The pieces\n").expect("pieces");
    let mut with_code = BTreeSet::new();
    for piece in pieces.split("\n## ").skip(1) {
        let (heading, text) = piece.split_once('\n').expect("a text");
        let runs =
            text.contains("```console") || text.contains("```rust") || text.contains("The suite runs it");
        assert!(runs, "{heading}: nothing is run");
        with_code.insert(anchor(heading));
    }
    let mut used = BTreeSet::new();
    for system in ["Sidekiq", "Oban", "River", "Celery", "BullMQ", "apalis"] {
        let (_, section) = systems.split_once(&format!("\n## From {system}\n")).expect(system);
        let section = section.split("\n## ").next().expect("its text");
        assert!(section.contains("\nNot there: "), "{system}");
        let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert!(rows.len() > 9, "{system}: {rows:?}");
        for row in rows {
            let last = row.trim_end_matches(" |").rsplit(" | ").next().expect("a cell");
            let links: Vec<&str> =
                last.split("(#").skip(1).filter_map(|link| link.split(')').next()).collect();
            assert!(!links.is_empty(), "{system}: no piece: {row}");
            for link in links {
                assert!(with_code.contains(link), "{system}: no piece {link:?}: {row}");
                used.insert(link.to_owned());
            }
        }
    }
    assert_eq!(used, with_code, "a piece that nobody is sent to");
}

#[test]
fn lines_are_compared_with_gaps() {
    assert!(
        line_fits("a…c", "abc") && line_fits("…", "") && line_fits("…b…", "abc") && line_fits("abc", "abc")
    );
    assert!(!line_fits("a…c", "ab") && !line_fits("abc", "abcd") && !line_fits("…b", "abc"));
    let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(fits(&shown(&["a", ANYTHING, "z"]), &["a", "z"]) && fits(&shown(&[ANYTHING]), &["x", "y"]));
    assert!(!fits(&shown(&["a"]), &[]) && !fits(&shown(&[]), &["a"]));
}
