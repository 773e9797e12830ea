//! [`Subscribers`]: the list of a topic.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use parking_lot::Mutex;

use crate::{
    actix::Message,
    core::bury,
    error::SendError,
    group::{Published, SubscribeError, subscriber::Subscriber},
    meta::{ActorId, Farewell},
};

/// Not changed while anybody publishes: a new one takes its place, so that whoever publishes needs the lock for a
/// moment only.
type List<M> = Arc<Vec<Arc<Subscriber<M>>>>;

/// Those who are subscribed to one topic.
pub(super) struct Subscribers<M: Message> {
    pub(super) name: Arc<str>,
    max: usize,
    list: Mutex<List<M>>,
}

impl<M: Message> Subscribers<M> {
    pub(super) fn new(name: Arc<str>, max: usize) -> Self {
        Subscribers { name, max, list: Mutex::default() }
    }

    pub(super) fn list(&self) -> List<M> {
        self.list.lock().clone()
    }

    /// Gives how many are gone. What it removes is dropped without the lock: messages may be.
    pub(super) fn remove_if(&self, gone: impl Fn(&Arc<Subscriber<M>>) -> bool) -> usize {
        let mut list = self.list.lock();
        let Some(first) = list.iter().position(&gone) else { return 0 };
        let (removed, before): (Vec<_>, _) = match Arc::get_mut(&mut list) {
            // Nobody is publishing, so nobody has this list.
            Some(list) => (list.extract_if(first.., |subscriber| gone(subscriber)).collect(), None),
            None => {
                let (removed, left) = list.iter().cloned().partition(&gone);
                (removed, Some(std::mem::replace(&mut *list, Arc::new(left))))
            }
        };
        removed.iter().for_each(|subscriber| subscriber.active.store(false, SeqCst));
        drop(list);
        drop(before);
        removed.len()
    }

    pub(super) fn add(&self, subscriber: &Arc<Subscriber<M>>) -> Result<(), SubscribeError> {
        let mut list = self.list.lock();
        if list.len() >= self.max {
            return Err(SubscribeError::Full { max: self.max });
        }
        // One that ends from here on is removed after this, since that needs the lock.
        if !subscriber.recipient.is_alive() {
            return Err(SubscribeError::Stopped);
        }
        if let Some(list) = Arc::get_mut(&mut list) {
            list.push(subscriber.clone());
            return Ok(());
        }
        let more = Arc::new(list.iter().chain([subscriber]).cloned().collect());
        let before = std::mem::replace(&mut *list, more);
        drop(list);
        drop(before);
        Ok(())
    }

    /// False: it has been removed already.
    pub(super) fn remove(&self, subscriber: &Arc<Subscriber<M>>) -> bool {
        self.remove_if(|other| Arc::ptr_eq(other, subscriber)) > 0
    }

    /// What is to be done with one that has no room.
    pub(super) fn skip(&self, subscriber: &Arc<Subscriber<M>>, done: &mut Published) {
        if !subscriber.skip() {
            done.skipped += 1;
        } else if self.remove(subscriber) {
            done.removed += 1;
        }
    }

    pub(super) fn settle(
        &self,
        subscriber: &Arc<Subscriber<M>>,
        sent: Result<(), SendError<M>>,
        done: &mut Published,
    ) {
        match sent {
            Ok(()) => {
                subscriber.refused.store(0, SeqCst);
                done.delivered += 1;
            }
            Err(SendError::Full(message)) => {
                bury(message);
                self.skip(subscriber, done);
            }
            Err(SendError::Stopped(message)) => {
                bury(message);
                done.removed += usize::from(self.remove(subscriber));
            }
        }
    }
}

impl<M: Message> Farewell for Subscribers<M> {
    fn gone(&self, actor: ActorId) {
        self.remove_if(|subscriber| subscriber.recipient.id() == actor);
    }
}
