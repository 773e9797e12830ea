//! [`Labels`]: what a node has, and what the jobs of a queue ask of the node that runs them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::name;

/// Names with a value each, such as `gpu=yes,zone=eu`. Both are made of the letters that names are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// Labels that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLabels(String);

impl fmt::Display for InvalidLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidLabels {}

impl Labels {
    /// Labels that a node or a queue may have.
    pub const MOST: usize = 16;

    /// Checks names and values.
    ///
    /// # Errors
    /// [`InvalidLabels`] says which one cannot be.
    pub fn new(labels: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidLabels> {
        let mut all = BTreeMap::new();
        for (label, value) in labels {
            let bad = [&label, &value].into_iter().find_map(|part| name::check(part).err());
            if let Some(problem) = bad {
                let shown: String = label.chars().take(64).collect();
                return Err(InvalidLabels(format!("label {shown:?}: {problem}")));
            }
            if let Some(other) = all.insert(label.clone(), value) {
                return Err(InvalidLabels(format!("label {label:?} is there twice, once as {other:?}")));
            }
        }
        if all.len() > Self::MOST {
            return Err(InvalidLabels(format!("{} labels; there may be {}", all.len(), Self::MOST)));
        }
        Ok(Labels(all))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its value, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(label, value)| (label.as_str(), value.as_str()))
    }

    /// Whether all that is asked for is here, with the same values.
    pub fn fulfil(&self, needed: &Labels) -> bool {
        needed.0.iter().all(|(label, value)| self.0.get(label) == Some(value))
    }
}

/// As `gpu=yes,zone=eu`, in the order of the names.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (label, value)) in self.0.iter().enumerate() {
            write!(f, "{}{label}={value}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Labels {
    type Err = InvalidLabels;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let labels = parts.map(|part| match part.split_once('=') {
            Some((label, value)) => Ok((label.trim().to_owned(), value.trim().to_owned())),
            None => {
                let shown: String = part.chars().take(64).collect();
                Err(InvalidLabels(format!("{shown:?} is no label: NAME=VALUE is needed, such as gpu=yes")))
            }
        });
        Labels::new(labels.collect::<Result<Vec<_>, _>>()?)
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let labels = BTreeMap::<String, String>::deserialize(deserializer)?;
        Labels::new(labels).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_in_one_order_and_read_again() {
        let labels: Labels = " zone=eu, gpu=yes,".parse().unwrap();
        assert_eq!(labels.to_string(), "gpu=yes,zone=eu");
        assert_eq!(serde_json::to_string(&labels).unwrap(), r#"{"gpu":"yes","zone":"eu"}"#);
        assert_eq!(serde_json::from_str::<Labels>(r#"{"zone":"eu","gpu":"yes"}"#).unwrap(), labels);
        assert_eq!("".parse(), Ok(Labels::default()));
        for bad in ["gpu", "gpu=", "=yes", "a b=c", "gpu=yes=no", "gpu=yes,gpu=no"] {
            assert!(bad.parse::<Labels>().is_err(), "{bad:?}");
        }
        let many: Vec<String> = (0..=Labels::MOST).map(|number| format!("l{number}=x")).collect();
        assert!(many.join(",").parse::<Labels>().is_err());
    }

    #[test]
    fn a_node_fulfils_what_it_has() {
        let of = |text: &str| text.parse::<Labels>().unwrap();
        let node = of("gpu=yes,zone=eu");
        assert!(node.fulfil(&of("")) && node.fulfil(&of("gpu=yes")) && node.fulfil(&node));
        assert!(!node.fulfil(&of("gpu=no")) && !node.fulfil(&of("gpu=yes,disk=ssd")));
        assert!(of("").fulfil(&of("")) && !of("").fulfil(&node));
    }
}
