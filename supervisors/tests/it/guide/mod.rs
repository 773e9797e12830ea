//! The code of `docs/guide.md`: each block in it stands here, where it is run.

mod adopting;
mod finding;
mod first;
mod handlers;
mod kit;
mod mailboxes;
mod seeing;
mod stopping;
mod time;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}

/// Lines with what is common to their indentation taken away, as one text between line ends.
fn dedented(lines: &[&str]) -> String {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(common..).unwrap_or("").trim_end())).collect()
}

/// Whether these lines stand in the source one after the other, however far they are indented.
fn contains(source: &str, block: &str) -> bool {
    let source: Vec<&str> = source.lines().collect();
    source.windows(block.lines().count()).any(|lines| dedented(lines) == block)
}

/// The fenced blocks of a text: the line of the fence, what is said of the language, and the block.
fn blocks(text: &str) -> Vec<(usize, &str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, Vec<&str>)> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((number + 1, language, Vec::new())),
            (Some(_), Some(_)) => {
                let (at, language, lines) = open.take().expect("it is open");
                blocks.push((at, language, dedented(&lines)));
            }
            (None, Some((.., lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

#[test]
fn every_block_of_the_guide_is_code_that_is_run() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = package.join("tests/it/guide");
    // A file that is no module is not compiled.
    let modules = text(&here.join("mod.rs"));
    let mut paths = sources(&here);
    paths.retain(|path| {
        path.file_stem()
            .and_then(|name| name.to_str())
            .is_some_and(|name| modules.contains(&format!("mod {name};")))
    });
    // These are run by the root package's tests.
    paths.extend(sources(&package.join("../examples")));
    let sources: Vec<String> = paths.iter().map(|path| text(path)).collect();

    let guide = text(&package.join("../docs/guide.md"));
    let blocks = blocks(&guide);
    assert!(blocks.len() > 20, "{} blocks were found", blocks.len());
    for (line, language, block) in blocks {
        // What is written to the terminal stands in a test as one line after the other that it expects.
        let known = |source: &String| match language {
            "text" => block.lines().all(|line| source.contains(line.trim())),
            _ => contains(source, &block),
        };
        assert!(
            sources.iter().any(known),
            "docs/guide.md, line {line}: these lines do not stand in supervisors/tests/it/guide/ nor in examples/:\n{block}"
        );
    }
}
