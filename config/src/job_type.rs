//! What holds for single job types.

use crate::byte_size::ByteSize;
use crate::document::Node;
use crate::table::Table;
use crate::value::{Fault, Setting};

/// One of `jobs.types`: what holds for the jobs of one type.
#[derive(Clone, Debug)]
pub struct JobTypeSettings {
    /// The type. No two tables have the same.
    pub name: String,
    /// Largest payload of a job of the type; none: only the limits of the queue and of all jobs hold.
    pub max_payload: Option<ByteSize>,
    /// Edges that its jobs need, beside those that the type itself names.
    pub needs: Vec<String>,
    /// The queue that its jobs go to, unless whoever submits one names another; none: what the type itself says.
    pub queue: Option<String>,
}

impl Setting for JobTypeSettings {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "a job type", &["name", "max_payload", "needs", "queue"], |table| {
            let (name, max_payload) = (table.part("name"), table.optional("max_payload"));
            let (needs, queue) = (table.optional("needs"), table.optional("queue"));
            Some(Self { name: name?, max_payload: max_payload?, needs: needs?, queue: queue? })
        })
    }

    fn render(&self) -> String {
        let Self { name, max_payload, needs, queue } = self;
        format!(
            "{{ name = {}, max_payload = {}, needs = {}, queue = {} }}",
            name.render(),
            max_payload.render(),
            needs.render(),
            queue.render()
        )
    }
}
