//! How deep a text nests, found without building anything.

use std::fmt;

/// A text that nests deeper than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooDeep {
    /// The levels that are allowed.
    pub(crate) limit: usize,
    /// The line of the first bracket that is too deep, from 1.
    pub(crate) line: usize,
    /// Its column, counted in bytes from 1.
    pub(crate) column: usize,
}

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooDeep { limit, line, column } = self;
        write!(f, "the JSON nests deeper than {limit} levels at line {line} column {column}")
    }
}

impl std::error::Error for TooDeep {}

/// Checks that arrays and objects nest no deeper than `limit` levels; a number or a text alone has none.
///
/// One pass over the bytes, no memory. Brackets within strings do not count. For a text that is no JSON the answer says
/// only what its brackets do; the parser finds the rest.
///
/// # Errors
/// [`TooDeep`], at the first bracket beyond the limit.
pub(crate) fn check_depth(text: &[u8], limit: usize) -> Result<(), TooDeep> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let (mut line, mut line_start) = (1, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\n' => {
                line += 1;
                line_start = at + 1;
                escaped = false;
            }
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limit {
                    return Err(TooDeep { limit, line, column: at - line_start + 1 });
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn the_place_is_named() {
        assert_eq!(check_depth(b"[\n [[]]]", 2), Err(TooDeep { limit: 2, line: 2, column: 3 }));
        assert_eq!(
            check_depth(b"{}", 0).unwrap_err().to_string(),
            "the JSON nests deeper than 0 levels at line 1 column 1"
        );
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(check_depth(br#"["[[[[", "\"[[[", "\\", "{"]"#, 1), Ok(()));
    }

    #[test]
    fn a_million_brackets_are_nothing() {
        assert!(check_depth(&vec![b'['; 1 << 20], 128).is_err());
    }

    fn depth_of(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            r#"[\[\]{}"\\a-z\n]{0,12}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 5, |inner| {
            let fields = prop::collection::btree_map(r#"[\[{"\\a-c]{0,4}"#, inner.clone(), 0..5);
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(Value::from),
                fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_counts_what_a_parser_sees(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let (text, depth) = (text.unwrap(), depth_of(&value));
            prop_assert_eq!(check_depth(text.as_bytes(), depth), Ok(()));
            if depth > 0 {
                prop_assert!(check_depth(text.as_bytes(), depth - 1).is_err());
            }
        }

        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0_usize..5) {
            if let Err(TooDeep { line, column, .. }) = check_depth(&bytes, limit) {
                let text = bytes.split(|byte| *byte == b'\n').nth(line - 1).unwrap();
                prop_assert!(matches!(text[column - 1], b'[' | b'{'));
            }
        }
    }
}
