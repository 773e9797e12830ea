//! What stands in `deploy/`, as far as it can be checked without a cluster and without containers: files are read as what they
//! are to be, every command and setting in them is given to the program, and every number in them is looked for at a server.

mod commands;
mod compose;
mod container;
mod dashboard;
mod kubernetes;
mod metrics;
mod operations;
mod rules;
mod running;
mod systemd;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_norway::{Deserializer, Value};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents of a YAML file, with their merge keys (`<<`) carried out.
fn documents(name: &str) -> Vec<Value> {
    let text = text(name);
    let documents = Deserializer::from_str(&text).map(|document| {
        let mut value = <Value as serde::Deserialize>::deserialize(document)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        value.apply_merge().unwrap_or_else(|error| panic!("{name}: {error}"));
        value
    });
    documents.collect()
}

/// The one document of a YAML file.
fn document<T: DeserializeOwned>(name: &str) -> T {
    let mut documents = documents(name);
    assert_eq!(documents.len(), 1, "{name}");
    typed(name, documents.remove(0))
}

fn typed<T: DeserializeOwned>(place: &str, value: Value) -> T {
    serde_norway::from_value(value).unwrap_or_else(|error| panic!("{place}: {error}"))
}

/// Seconds of a duration with a unit, such as `45s`.
fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).expect("a unit"));
    let times = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("{text}: an unknown unit"),
    };
    number.parse::<u64>().expect("a number") * times
}
