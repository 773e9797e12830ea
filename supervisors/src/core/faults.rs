//! Where scripted faults meet messages.

use std::task::Context as Task;

use crate::{
    actor::Actor,
    core::{Core, Salvage, exclusive::give_back},
    envelope::Boxed,
    error::AskError,
    testkit::Fault,
};

impl<A: Actor> Core<A> {
    /// Gives the message back if it is to be handled now.
    pub(super) fn meet_fault(&mut self, envelope: Boxed<A>, task: &mut Task<'_>) -> Option<Boxed<A>> {
        let label = envelope.label();
        self.show(label);
        // Not held over what follows, which is user code.
        let fault = self.shared.script.lock().next(label.name());
        match fault {
            None => return Some(envelope),
            Some(Fault::Panic) => {
                self.shared.meta.handling(label.address());
                panic!("scripted fault: a panic on `{}`", label.name());
            }
            Some(Fault::Drop) => envelope.refuse(AskError::Stopped),
            Some(Fault::Delay(time)) => {
                // It waits on, for the next generation if this one ends meanwhile.
                self.hand.push_front(envelope);
                self.shared.meta.set_current(label.address());
                let seat = Salvage(self.leave_seat());
                let future = async move {
                    tokio::time::sleep(time).await;
                    give_back(seat)
                };
                self.exclusive(future, task);
            }
        }
        None
    }
}
