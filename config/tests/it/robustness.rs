//! Nothing that is read makes the loader panic.

use std::ffi::OsString;

use callboard_config::{DEFAULT_TOML, Loader};
use proptest::prelude::*;

use crate::folder::Folder;

/// Text that looks like a configuration, more or less.
fn configuration() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "(web|store|queues|retry|log|data|tokens|token|listen|workers|min|max|name|role|default|concurrency|hosts)",
        "[a-z.\"'_ -]{0,8}",
        any::<String>(),
    ];
    let piece = prop_oneof![
        word.clone(),
        "(\\[|\\]|\\[\\[|\\]\\]|=|\\.|\\{|\\}|,|\"|'|\"\"\"|'''|#|\n|\r\n|\t| )",
        "(5|-1|1\\.5|1e999|nan|0x|true|1979-05-27|\"5s\"|\"1MiB\"|99999999999999999999999999999999999999999)",
        (word.clone(), word).prop_map(|(key, value)| format!("{key} = {value}\n")),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// `default.toml` with a stretch of it replaced.
fn damaged() -> impl Strategy<Value = String> {
    (0..DEFAULT_TOML.len(), 0..200usize, any::<String>()).prop_map(|(start, length, text)| {
        let boundary = |mut at: usize| {
            while !DEFAULT_TOML.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(start);
        let end = boundary((start + length).min(DEFAULT_TOML.len()));
        format!("{}{text}{}", &DEFAULT_TOML[..start], &DEFAULT_TOML[end..])
    })
}

/// Loads, and shows all there is to show.
fn show(loader: Loader) {
    match loader.load() {
        Ok(loaded) => assert!(loaded.sources().count() > 0),
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert!(error.to_string().starts_with("error: "));
        }
    }
}

proptest! {
    #[test]
    fn any_text_of_a_file(text in prop_oneof![configuration(), damaged(), any::<String>()]) {
        let folder = Folder::new();
        show(Loader::new().file(folder.write("callboard.toml", text)));
    }

    #[test]
    fn any_bytes_of_a_file(bytes: Vec<u8>) {
        let folder = Folder::new();
        show(Loader::new().file(folder.write("callboard.toml", bytes)));
    }

    #[test]
    fn any_key_and_value(key in prop_oneof![any::<String>(), "[a-z_.\"]{0,20}"], value: String) {
        show(Loader::new().set(&key, value, "--set"));
    }

    #[test]
    fn any_value_of_any_known_key(index: prop::sample::Index, value in prop_oneof![configuration(), any::<String>()]) {
        let defaults = Loader::new().load().unwrap();
        let keys: Vec<&str> = defaults.sources().map(|value| value.key).collect();
        show(Loader::new().set(keys[index.index(keys.len())], value, "--set"));
    }

    #[test]
    fn any_variable(name in "[A-Z_\\PC]{0,30}", value: String) {
        let name = OsString::from(format!("CALLBOARD__{name}"));
        show(Loader::new().environment([(name, OsString::from(value))]));
    }

    #[test]
    fn what_is_shown_loads_again_as_the_same(index: prop::sample::Index) {
        let loaded = Loader::new()
            .set("queues.\"a.b\".concurrency", "7", "--set")
            .set("web.hosts", "a,b", "--set")
            .set("data.dir", "quo\"te\\\n", "--set")
            .load()
            .unwrap();
        let values: Vec<_> = loaded.sources().collect();
        let value = values[index.index(values.len())];
        let again = Loader::new().set(value.key, value.value, "--again").load().unwrap();
        let same = again.sources().find(|other| other.key == value.key).unwrap();
        prop_assert_eq!(same.value, value.value);
    }
}

#[test]
fn deep_nesting_and_many_keys_are_bounded() {
    let folder = Folder::new();
    for text in [
        format!("a = {}", "[".repeat(500_000)),
        format!("{} = 1", "a.".repeat(400_000) + "a"),
        format!("[{}]", "a.".repeat(400_000) + "a"),
        "a = {b = ".repeat(100_000),
        (0..60_000).map(|number| format!("k{number} = 1\n")).collect(),
        "=\n".repeat(500_000),
        "[web]\nhosts = [".to_owned() + &"5,".repeat(400_000) + "]",
        "\n".repeat(1 << 20),
    ] {
        show(Loader::new().file(folder.write("callboard.toml", text)));
    }
}
