//! What both kinds of supervisor can be told.

use std::sync::Arc;

use crate::{
    executor::Placement,
    meta::Kind,
    reference::Recipient,
    supervisor::{
        ChildExited, Restart, Shutdown, SupervisorNode, child::Entry, strategy::Rules,
        supervisor_task::SupervisorLaunch,
    },
};

/// What both kinds of supervisor are made of.
pub(super) struct Common {
    pub(super) node: Arc<SupervisorNode>,
    pub(super) rules: Rules,
    pub(super) placement: Placement,
    pub(super) restart: Restart,
    pub(super) significant: bool,
    pub(super) shutdown: Shutdown,
    pub(super) on_exit: Option<Recipient<ChildExited>>,
    pub(super) max_children: Option<usize>,
    pub(super) children: Vec<Entry>,
}

impl Common {
    pub(super) fn new(name: Arc<str>, kind: Kind) -> Self {
        Common {
            node: SupervisorNode::new(name, kind),
            rules: Rules::new(kind == Kind::Dynamic),
            placement: Placement::default(),
            restart: Restart::Permanent,
            significant: false,
            shutdown: Shutdown::Infinity,
            on_exit: None,
            max_children: None,
            children: Vec::new(),
        }
    }

    pub(super) fn into_entry(self) -> Entry {
        let problem = super::validate::problem_of(&self.rules, self.max_children);
        let node = self.node.clone();
        let (restart, significant) = (self.restart, self.significant);
        let (shutdown, placement) = (self.shutdown, self.placement);
        node.configure(self.rules, self.max_children, self.on_exit, self.children);
        let ours = node.clone();
        Entry {
            node,
            restart,
            significant,
            shutdown,
            placement,
            problem,
            launch: Box::new(move |generation, link, executor, runtime| {
                SupervisorLaunch { node: ours, generation, link: Some(link) }.run(
                    executor,
                    runtime.clone(),
                    placement,
                );
            }),
        }
    }
}

/// The settings that both kinds of supervisor have, as methods of a specification around a [`Common`].
macro_rules! settings {
    ($spec:ident) => {
        impl $spec {
            /// At most so many restarts of children within the period; temporary children have none. With 0 the first
            /// crash is one too many. A period of no time is refused at the start. Default: 8 in 60 s.
            pub fn intensity(mut self, restarts: usize, period: std::time::Duration) -> Self {
                self.0.rules.intensity = restarts;
                self.0.rules.period = period;
                self
            }

            /// The pauses before restarts. See [`Backoff`](crate::Backoff) for the default.
            pub fn backoff(mut self, backoff: crate::Backoff) -> Self {
                self.0.rules.backoff = backoff;
                self
            }

            /// What follows when a child does not start the first time. Default: fail; of a dynamic supervisor, that
            /// child alone is gone then.
            pub fn on_start_failure(mut self, what: crate::OnStartFailure) -> Self {
                self.0.rules.on_start_failure = what;
                self
            }

            /// What follows when the restarts exceed the intensity. Default: escalate.
            pub fn on_exhausted(mut self, what: crate::OnExhausted) -> Self {
                self.0.rules.on_exhausted = what;
                self
            }

            /// Whether the end of this supervisor counts for the
            /// [`auto_shutdown`](crate::SupervisorSpec::auto_shutdown) of the one above. Refused for a permanent one.
            /// Default: no.
            pub fn significant(mut self, significant: bool) -> Self {
                self.0.significant = significant;
                self
            }

            /// Which ends of this supervisor are followed by a restart. Default: permanent.
            pub fn restart(mut self, restart: crate::Restart) -> Self {
                self.0.restart = restart;
                self
            }

            /// How this supervisor is stopped by the one above. Default: infinity, as its children have limits.
            pub fn shutdown(mut self, shutdown: crate::Shutdown) -> Self {
                self.0.shutdown = shutdown;
                self
            }

            /// Where the children run that do not say; with [`Placement::Workers`](crate::Placement::Workers) each
            /// gets the least loaded worker executor. The supervisor itself always runs on the control executor.
            /// Default: as above; at the root, on the control executor.
            pub fn placement(mut self, placement: crate::Placement) -> Self {
                self.0.placement = placement;
                self
            }

            /// Whom every end of a child is told: see [`ChildExited`](crate::ChildExited). Default: nobody.
            pub fn on_exit(mut self, recipient: crate::Recipient<crate::ChildExited>) -> Self {
                self.0.on_exit = Some(recipient);
                self
            }
        }
    };
}

pub(super) use settings;
