//! Wakers may come from any runtime, and what they do when they are cloned or dropped is not ours to know.

use std::{
    future::Future,
    sync::Arc,
    task::{Context as Task, Wake, Waker},
};

use callboard_supervisors::{ActorRef, ChildSpec, MailboxSpec, Overflow};

use crate::worker::{Count, Worker, alone, local, ms};

/// Sends when it is dropped, as the waker of a task may whose last owner it is.
struct Sends(ActorRef<Worker>);

impl Wake for Sends {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Sends {
    fn drop(&mut self) {
        // There is no room, and that is not the matter here.
        let _ = self.0.tell(Count);
    }
}

#[test]
fn a_waker_that_sends_when_it_is_dropped_finds_no_lock_held() {
    local(async {
        let mailbox = MailboxSpec::bounded(1).overflow(Overflow::Block(ms(100)));
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ()).mailbox(mailbox)).await;
        worker.suspend();
        worker.inspect().await.expect("it is there");
        worker.tell(Count).expect("room");
        let mut blocked = Box::pin(worker.send(Count));
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Sends(worker.clone())));
            assert!(blocked.as_mut().poll(&mut Task::from_waker(&waker)).is_pending());
        }
        drop(blocked);
        assert_eq!((worker.snapshot().depth, worker.snapshot().refused), (1, 2));
        worker.resume();
        assert_eq!(worker.ask(Count).await, Ok((0, 2)));
        system.shutdown().await;
    });
}
