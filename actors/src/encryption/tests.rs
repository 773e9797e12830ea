//! That what is sealed is opened again, by those and at the place that it is for, and by nothing else.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    Keyring, OpenError,
    envelope::{Part, keys_of, reserved},
    fields::{SecretsByType, SecretsOfType},
    vault::{SealError, Secrets, Vault, WasSealed},
};
use crate::jobs::JobRegistry;

fn keyring(keys: &[(&str, u8)], current: Option<&str>, fingerprints: Option<&str>) -> Keyring {
    let keys = keys
        .iter()
        .map(|(name, byte)| ((*name).to_owned(), SecretString::from(STANDARD.encode([*byte; 32]))));
    Keyring::new(keys, current, fingerprints).unwrap()
}

fn vault(fields: &[&str], keys: Keyring) -> Vault {
    let own = SecretsOfType {
        payload: fields.iter().map(|field| (*field).to_owned()).collect(),
        result: vec!["*".to_owned()],
        ..SecretsOfType::default()
    };
    let types = SecretsByType::from([("mail".to_owned(), own.clone()), ("post".to_owned(), own)]);
    let registry = JobRegistry::builder().build().unwrap();
    Vault { secrets: Arc::new(Secrets::new(&registry, &types).unwrap()), keys }
}

fn one() -> Keyring {
    keyring(&[("a", 1)], Some("a"), None)
}

fn names_of(text: &str) -> Vec<&str> {
    keys_of(text).into_iter().map(|(name, _)| name).collect()
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn what_is_secret_is_sealed_and_the_rest_is_not() {
    let vault = vault(&["/body", "/to/*/email"], one());
    let plain = json!({"subject": "hello", "body": "hidden-1", "to": [{"name": "ada", "email": "hidden-2"}]});
    let mut sealed = plain.clone();
    vault.seal("mail", Part::Payload, &mut sealed).unwrap();
    let text = sealed.to_string();
    assert!(!text.contains("hidden") && text.contains("hello") && text.contains("ada"), "{text}");
    assert_eq!(names_of(&text), ["a"]);
    let mut shown = sealed.clone();
    vault.secrets.redact("mail", Part::Payload, &mut shown);
    let hidden = json!({"$redacted": true});
    assert_eq!(shown, json!({"subject": "hello", "body": hidden, "to": [{"name": "ada", "email": hidden}]}));
    let mut shown = plain.clone();
    vault.secrets.redact("mail", Part::Payload, &mut shown);
    assert_eq!(shown["body"], hidden);
    vault.open("mail", Part::Payload, &mut sealed).unwrap();
    assert_eq!(sealed, plain);
}

#[test]
fn what_is_exchanged_is_found_out() {
    let vault = vault(&["/body", "/other"], one());
    let mut sealed = json!({"body": "hidden"});
    vault.seal("mail", Part::Payload, &mut sealed).unwrap();
    let damaged = |at: &str| Err(OpenError::Damaged { pointer: at.to_owned() });
    assert_eq!(vault.open("post", Part::Payload, &mut sealed.clone()), damaged("/body"));
    assert_eq!(vault.open("mail", Part::Result, &mut sealed.clone()), damaged("/body"));
    let moved = json!({"other": sealed["body"]});
    assert_eq!(vault.open("mail", Part::Payload, &mut moved.clone()), damaged("/other"));
    let text = sealed["body"]["$encrypted"].as_str().unwrap().to_owned();
    let cut = json!({"body": {"$encrypted": text.rsplit_once('.').unwrap().0}});
    assert_eq!(vault.open("mail", Part::Payload, &mut cut.clone()), damaged("/body"));
}

#[test]
fn a_key_that_is_missing_or_another_is_named() {
    let sealing = vault(&["/body"], one());
    let mut sealed = json!({"body": "hidden"});
    sealing.seal("mail", Part::Payload, &mut sealed).unwrap();
    let open = |keys| vault(&["/body"], keys).open("mail", Part::Payload, &mut sealed.clone());
    assert_eq!(open(keyring(&[("b", 2)], Some("b"), None)), Err(OpenError::NoKey("a".to_owned())));
    assert_eq!(open(keyring(&[("a", 2)], Some("a"), None)), Err(OpenError::OtherKey("a".to_owned())));
    assert_eq!(open(keyring(&[("a", 1), ("b", 2)], Some("b"), None)), Ok(()));
    assert_eq!(open(Keyring::default()), Err(OpenError::NoKey("a".to_owned())));
}

#[test]
fn a_type_that_must_be_encrypted_is_refused_without_a_key() {
    let own = SecretsOfType { payload: vec!["*".into()], required: true, ..SecretsOfType::default() };
    let registry = JobRegistry::builder().build().unwrap();
    let secrets = Secrets::new(&registry, &SecretsByType::from([("mail".to_owned(), own)])).unwrap();
    assert_eq!(secrets.required(), Some("mail"));
    let vault = Vault { secrets: Arc::new(secrets), keys: Keyring::default() };
    assert_eq!(vault.seal("mail", Part::Payload, &mut json!({})), Err(SealError::NoKey));
    assert_eq!(vault.seal("other", Part::Payload, &mut json!({})), Ok(()));
}

#[test]
fn resealing_takes_the_current_key_and_nothing_else_changes() {
    let old = vault(&["/body"], one());
    let text = old.seal_text("mail", Part::Payload, r#"{"body":"hidden","x":1}"#.to_owned()).unwrap();
    assert_eq!(old.reseal(("mail", Part::Payload), &text, false).unwrap(), None);
    let both = vault(&["/body"], keyring(&[("a", 1), ("b", 2)], Some("b"), None));
    let new = both.reseal(("mail", Part::Payload), &text, false).unwrap().unwrap();
    assert_eq!(names_of(&new), ["b"]);
    assert_eq!(both.reseal(("mail", Part::Payload), &new, false).unwrap(), None);
    let only_new = vault(&["/body"], keyring(&[("b", 2)], Some("b"), None));
    let opened = only_new.open_text("mail", Part::Payload, &new).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&opened).unwrap(), json!({"body": "hidden", "x": 1}));
    assert!(only_new.reseal(("mail", Part::Payload), &text, false).unwrap_err().is_about_keys());
    assert_eq!(both.reseal(("mail", Part::Payload), r#"{"body":"plain"}"#, true).unwrap(), None);
}

#[test]
fn another_key_of_the_current_name_is_not_the_current_one() {
    let text = vault(&["/body"], one()).seal_text("mail", Part::Payload, r#"{"body":"hidden"}"#.to_owned());
    let text = text.unwrap();
    let other = vault(&["/body"], keyring(&[("a", 2)], Some("a"), None));
    let error = other.reseal(("mail", Part::Payload), &text, false).unwrap_err();
    assert_eq!(error, OpenError::OtherKey("a".to_owned()));
    let (name, check) = keys_of(&text)[0];
    assert!(one().has_key(name, check) && other.keys.has(name) && !other.keys.has_key(name, check));
    // What was cut behind the name is not passed over either.
    let cut = r#"{"body":{"$encrypted":"v1.a."}}"#;
    assert_eq!(keys_of(cut), [("a", "")]);
    assert!(other.reseal(("mail", Part::Payload), cut, false).is_err());
}

#[test]
fn values_are_compared_without_being_told() {
    let blind = |vault: &Vault, value: Value| {
        let mut value = json!({"body": value, "x": 1});
        vault.blind("mail", Part::Payload, &mut value);
        value
    };
    let without = vault(&["/body"], one());
    assert_eq!(blind(&without, json!("1")), blind(&without, json!("2")));
    let with = vault(&["/body"], keyring(&[("a", 1), ("f", 9)], Some("a"), Some("f")));
    assert_eq!(blind(&with, json!({"a": 1, "b": 2})), blind(&with, json!({"b": 2, "a": 1})));
    assert_ne!(blind(&with, json!("1")), blind(&with, json!("2")));
    // Whatever the keys are rotated to.
    let rotated = vault(&["/body"], keyring(&[("b", 2), ("f", 9)], Some("b"), Some("f")));
    assert_eq!(blind(&with, json!("1")), blind(&rotated, json!("1")));
}

#[test]
fn what_was_not_shown_is_put_back() {
    let original = json!({"body": "hidden", "list": [{"a": 1}, {"a": 3}], "x": 1});
    let hidden = json!({"$redacted": true});
    let mut edited = json!({"body": hidden, "list": [{"a": hidden}, {"a": 2}], "x": 2});
    Vault::restore(&mut edited, &original).unwrap();
    assert_eq!(edited, json!({"body": "hidden", "list": [{"a": 1}, {"a": 2}], "x": 2}));
    let mut lost = json!({"new": {"deep": hidden}});
    assert_eq!(Vault::restore(&mut lost, &original), Err("/new/deep".to_owned()));
    let mut patch =
        json!({"body": hidden, "x": 3, "in": {"y": hidden, "z": 1}}).as_object().cloned().unwrap();
    Vault::without_redacted(&mut patch);
    assert_eq!(Value::Object(patch), json!({"x": 3, "in": {"z": 1}}));
}

#[test]
fn no_secret_of_a_list_becomes_that_of_another_entry() {
    let hidden = json!({"$redacted": true});
    let to = |name: &str| json!({"name": name, "email": hidden});
    let whole = |name: &str, email: &str| json!({"name": name, "email": email});
    let original = json!({"to": [whole("ada", "a@x"), whole("bob", "b@x")], "pins": [["1"], ["2"]]});
    let restored = |mut edited: Value| Vault::restore(&mut edited, &original).map(|()| edited);
    // As it was, or with an entry that is given whole.
    assert_eq!(restored(json!({"to": [to("ada"), to("bob")]})).unwrap()["to"], original["to"]);
    let given = restored(json!({"to": [whole("eve", "e@x"), to("bob")]})).unwrap();
    assert_eq!(given["to"], json!([whole("eve", "e@x"), whole("bob", "b@x")]));
    assert_eq!(restored(json!({"to": [whole("eve", "e@x")]})).unwrap()["to"], json!([whole("eve", "e@x")]));
    let refused = |edited: Value, place: &str| assert_eq!(restored(edited), Err(place.to_owned()));
    // Removed, exchanged, added, and made another's.
    refused(json!({"to": [to("bob")]}), "/to/0/email");
    refused(json!({"to": [to("bob"), to("ada")]}), "/to/0/email");
    refused(json!({"to": [to("ada"), to("bob"), whole("eve", "e@x")]}), "/to/0/email");
    refused(json!({"to": [to("ada"), to("eve")]}), "/to/1/email");
    refused(json!({"pins": [["1", hidden], [hidden]]}), "/pins/0/1");
}

#[test]
fn fields_of_ours_are_found_wherever_they_are() {
    let found = |value: Value| {
        let mut pointer = String::new();
        reserved(&value, &mut pointer).then_some(pointer)
    };
    assert_eq!(found(json!({"a": [1, {"$encrypted": "x"}]})).as_deref(), Some("/a/1/$encrypted"));
    assert_eq!(found(json!({"a~b": {"$redacted": false}})).as_deref(), Some("/a~0b/$redacted"));
    assert_eq!(found(json!({"a": "$encrypted", "b": {"encrypted": 1}})), None);
}

#[test]
fn a_string_that_looks_sealed_is_a_string() {
    let text = json!({"a": "{\"$encrypted\":\"v1.a.b.c.d\"}"}).to_string();
    assert_eq!(names_of(&text), [""; 0]);
    assert_eq!(vault(&[], one()).open_text("mail", Part::Payload, &text).unwrap(), text);
}

proptest! {
    #[test]
    fn sealed_values_come_back(value in values(), stable: bool) {
        let vault = vault(&["/s", "/l/*"], one());
        let plain = json!({"s": value, "l": [value, 1], "o": 2});
        let mut sealed = plain.clone();
        if stable {
            vault.seal_with("mail", Part::Payload, &mut sealed, &WasSealed::default(), true).unwrap();
            let mut again = plain.clone();
            vault.seal_with("mail", Part::Payload, &mut again, &WasSealed::default(), true).unwrap();
            prop_assert_eq!(&again, &sealed);
        } else {
            vault.seal("mail", Part::Payload, &mut sealed).unwrap();
            let mut again = plain.clone();
            vault.seal("mail", Part::Payload, &mut again).unwrap();
            prop_assert_ne!(&again, &sealed);
        }
        vault.open("mail", Part::Payload, &mut sealed).unwrap();
        prop_assert_eq!(sealed, plain);
    }

    #[test]
    fn a_changed_letter_is_found_out(place in 0_usize..10_000, letter in "[A-Za-z0-9_-]") {
        let vault = vault(&["*"], one());
        let mut sealed = json!({"pin": "1234", "more": [1, 2, 3]});
        vault.seal("mail", Part::Payload, &mut sealed).unwrap();
        let mut text = sealed["$encrypted"].as_str().unwrap().to_owned();
        let places: Vec<usize> = (3..text.len()).filter(|at| text.as_bytes()[*at] != b'.').collect();
        let at = places[place % places.len()];
        let before = text.clone();
        text.replace_range(at..=at, &letter);
        prop_assume!(text != before);
        let opened = vault.open("mail", Part::Payload, &mut json!({"$encrypted": text}));
        prop_assert!(opened.is_err());
    }
}

/// One that knows nothing of any type.
fn unmarked(keys: Keyring) -> Vault {
    let registry = JobRegistry::builder().build().unwrap();
    Vault { secrets: Arc::new(Secrets::new(&registry, &SecretsByType::new()).unwrap()), keys }
}

#[test]
fn what_was_sealed_is_sealed_again_where_nothing_marks_it() {
    let plain = json!({"subject": "hello", "to": [{"email": "hidden-1"}, {"email": "hidden-2"}]});
    let mut value = plain.clone();
    vault(&["/to/*/email"], one()).seal("mail", Part::Payload, &mut value).unwrap();
    let elsewhere = unmarked(one());
    let was = elsewhere.open_noting("mail", Part::Payload, &mut value).unwrap();
    assert!(was.any && value == plain);
    // Other entries than those that were there are as secret.
    value["to"].as_array_mut().unwrap().insert(0, json!({"email": "hidden-3"}));
    let changed = value.clone();
    elsewhere.seal_with("mail", Part::Payload, &mut value, &was, false).unwrap();
    let text = value.to_string();
    assert!(!text.contains("hidden") && text.contains("hello"), "{text}");
    elsewhere.open("mail", Part::Payload, &mut value).unwrap();
    assert_eq!(value, changed);
    let keyless = unmarked(Keyring::default());
    let refused = keyless.seal_with("mail", Part::Payload, &mut value, &was, false);
    assert_eq!(refused, Err(SealError::NoKeyAgain));
    // Of one that was made another one, everything is.
    elsewhere.seal_with("mail", Part::Payload, &mut value, &was.anywhere(), false).unwrap();
    assert!(!value.to_string().contains("hello"));
}

#[test]
fn what_is_sealed_stays_as_it_is_if_a_part_of_it_cannot_be_opened() {
    let marks = vault(&["/body", "/other"], one());
    let mut value = json!({"body": "hidden", "other": "hidden"});
    marks.seal("mail", Part::Payload, &mut value).unwrap();
    value["other"] = value["body"].clone();
    let before = value.clone();
    marks.open("mail", Part::Payload, &mut value).unwrap_err();
    assert_eq!(value, before);
}

#[test]
fn what_is_sealed_is_marked_where_nothing_marks_it() {
    let marks = vault(&["/body", "/other"], one());
    let elsewhere = unmarked(one());
    let marked = |mut value: Value| {
        elsewhere
            .mark("mail", Part::Payload, &mut value, |value| json!(format!("<{}>", value.to_string().len())));
        value
    };
    let mut value = json!({"body": "hidden", "other": "hidden", "subject": "hello"});
    marks.seal("mail", Part::Payload, &mut value).unwrap();
    assert_eq!(marked(value.clone()), json!({"body": "<8>", "other": "<8>", "subject": "hello"}));
    // One that cannot be opened keeps no other from being hidden, and is told from every other.
    value["other"] = value["body"].clone();
    let shown = marked(value);
    assert!(shown["body"] == "<8>" && shown["other"] != "<8>" && !shown.to_string().contains("hidden"));
}

#[test]
fn a_text_that_cannot_be_read_is_not_kept_if_it_has_secrets() {
    let vault = vault(&["/body"], one());
    let deep = format!("{}\"hidden\"{}", "[".repeat(200), "]".repeat(200));
    let sealed = |job_type, text: &str| vault.seal_text(job_type, Part::Result, text.to_owned());
    assert_eq!(sealed("mail", &deep), Err(SealError::Unreadable));
    assert_eq!(sealed("other", &deep), Ok(deep.clone()));
    assert!(!sealed("mail", "[\"hidden\"]").unwrap().contains("hidden"));
}
