//! The views, and where somebody is in them.

use uuid::Uuid;

/// A view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// How the whole is.
    Overview,
    /// The list of jobs.
    Jobs,
    /// One job.
    Job,
    /// What a job says.
    Logs,
    /// The queues.
    Queues,
    /// Dead jobs by what they died of.
    Dead,
    /// The supervision tree.
    Tree,
    /// The cron table.
    Cron,
    /// The workflows.
    Workflows,
    /// One workflow as a graph.
    Workflow,
    /// The nodes of the fleet.
    Nodes,
    /// The services outside.
    Edges,
    /// The log of events.
    Events,
    /// The settings of the node.
    Settings,
    /// What this machine needs.
    Doctor,
}

impl View {
    /// Those that can be gone to by a digit, by Tab and by name.
    pub const MAIN: [View; 12] = [
        View::Overview,
        View::Jobs,
        View::Queues,
        View::Dead,
        View::Tree,
        View::Cron,
        View::Workflows,
        View::Nodes,
        View::Events,
        View::Edges,
        View::Settings,
        View::Doctor,
    ];

    /// What it is called, and typed behind `:`.
    pub fn name(self) -> &'static str {
        match self {
            View::Overview => "overview",
            View::Jobs => "jobs",
            View::Job => "job",
            View::Logs => "logs",
            View::Queues => "queues",
            View::Dead => "dead",
            View::Tree => "tree",
            View::Cron => "cron",
            View::Workflows => "workflows",
            View::Workflow => "workflow",
            View::Nodes => "nodes",
            View::Edges => "edges",
            View::Events => "events",
            View::Settings => "settings",
            View::Doctor => "doctor",
        }
    }

    /// The view to which Esc leads.
    pub fn parent(self) -> Option<View> {
        match self {
            View::Job => Some(View::Jobs),
            View::Logs => Some(View::Job),
            View::Workflow => Some(View::Workflows),
            View::Overview => None,
            _ => Some(View::Overview),
        }
    }
}

/// Where somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The view.
    pub view: View,
    /// Of which job, or workflow.
    pub subject: Option<Uuid>,
    /// The filter that is set there when it is gone to.
    pub filter: Option<String>,
}

impl Place {
    /// A view of no one thing.
    pub fn of(view: View) -> Self {
        Place { view, subject: None, filter: None }
    }

    /// A view of one job or workflow.
    pub fn about(view: View, subject: Uuid) -> Self {
        Place { view, subject: Some(subject), filter: None }
    }

    /// A list with this filter.
    pub fn filtered(view: View, filter: impl Into<String>) -> Self {
        Place { view, subject: None, filter: Some(filter.into()) }
    }
}

/// The places that somebody was at, and where among them they are.
#[derive(Clone, Debug)]
pub struct History {
    places: Vec<Place>,
    at: usize,
    last: Option<Place>,
}

/// Places that are remembered.
const REMEMBERED: usize = 50;

impl History {
    /// It begins here.
    pub fn new(place: Place) -> Self {
        History { places: vec![place], at: 0, last: None }
    }

    /// Where somebody is.
    pub fn here(&self) -> &Place {
        &self.places[self.at]
    }

    /// Remembers how the list here is filtered.
    pub fn keep_filter(&mut self, filter: &str) {
        self.places[self.at].filter = Some(filter.to_owned());
    }

    /// Goes to a new place; what was ahead is forgotten.
    pub fn go(&mut self, place: Place) {
        if self.here().view == place.view && self.here().subject == place.subject {
            self.places[self.at] = place;
            return;
        }
        self.last = Some(self.here().clone());
        self.places.truncate(self.at + 1);
        self.places.push(place);
        if self.places.len() > REMEMBERED {
            self.places.remove(0);
        }
        self.at = self.places.len() - 1;
    }

    /// One place back, or ahead; says whether there is one.
    pub fn step(&mut self, ahead: bool) -> bool {
        let next = if ahead { self.at + 1 } else { self.at.wrapping_sub(1) };
        if next >= self.places.len() {
            return false;
        }
        self.last = Some(self.here().clone());
        self.at = next;
        true
    }

    /// The place before this one in time.
    pub fn last(&self) -> Option<Place> {
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_gone_back_to_and_ahead() {
        let mut history = History::new(Place::of(View::Overview));
        history.go(Place::of(View::Jobs));
        history.keep_filter("queue:mail");
        history.go(Place::about(View::Job, Uuid::nil()));
        assert!(history.step(false) && history.here().filter.as_deref() == Some("queue:mail"));
        assert!(history.step(false) && !history.step(false));
        assert_eq!(history.here().view, View::Overview);
        assert!(history.step(true) && history.step(true) && !history.step(true));
        assert_eq!(history.here().view, View::Job);
        history.go(Place::of(View::Queues));
        assert_eq!(history.last().map(|place| place.view), Some(View::Job));
        for _ in 0..200 {
            history.go(Place::of(View::Jobs));
            history.go(Place::of(View::Queues));
        }
        assert!(history.places.len() <= REMEMBERED);
    }
}
