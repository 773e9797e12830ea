//! Headers for the collector of traces.

use secrecy::SecretString;

use crate::document::Node;
use crate::table::Table;
use crate::value::{Fault, Setting, text};

/// One of `telemetry.headers`: a header of each request to the collector, such as its key.
#[derive(Clone, Debug)]
pub struct TelemetryHeaderSettings {
    /// Its name.
    pub name: String,
    /// What it says; a secret.
    pub value: SecretString,
}

impl Setting for TelemetryHeaderSettings {
    const SECRET: bool = true;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "a header", &["name", "value"], |table| {
            let (name, value): (_, Option<Content>) = (table.part("name"), table.part("value"));
            Some(Self { name: name?, value: value?.0 })
        })
    }

    fn render(&self) -> String {
        format!("{{ name = {}, value = \"***\" }}", self.name.render())
    }
}

/// What a header says. Unlike a token it may have spaces: `Bearer …`.
#[derive(Clone)]
struct Content(SecretString);

impl Setting for Content {
    const SECRET: bool = true;

    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        const LONGEST: usize = 4096;
        let Some(text) = text(node) else {
            let found = node.value.type_name();
            return Err(Fault::new(format!("expected a string, found {found}"), node).into());
        };
        let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(fits) {
            let message =
                format!("expected 1 to {LONGEST} visible ASCII characters or spaces (it is an HTTP header)");
            return Err(Fault::new(message, node).into());
        }
        Ok(Content(text.into_owned().into()))
    }

    fn render(&self) -> String {
        "\"***\"".to_owned()
    }
}
