//! `docs/job-semantics.md` names its proofs: they must be there.

use std::{fs, path::Path};

use callboard_actors::FAILPOINTS;

use crate::checksums::files;

/// What stands in backquotes within brackets.
fn proofs(page: &str) -> Vec<&str> {
    let brackets = page.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0));
    brackets.flat_map(|bracket| bracket.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_proof_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/job-semantics.md")).expect("a page");
    let proofs = proofs(&page);
    assert!(proofs.len() > 10, "{proofs:?}");
    let sources = files().into_iter().filter(|file| file.extension().is_some_and(|end| end == "rs"));
    let code: String = sources.map(|file| fs::read_to_string(file).expect("a file")).collect();
    let missing: Vec<&str> = proofs
        .into_iter()
        .filter(|name| {
            let failpoint = FAILPOINTS.iter().any(|failpoint| failpoint.name == *name);
            !failpoint && !["(", "<"].iter().any(|end| code.contains(&format!("fn {name}{end}")))
        })
        .collect();
    assert_eq!(missing, [""; 0], "neither a failpoint nor a test");
}
