//! Many actors under one name: groups, whose members one picks from, and topics, whose subscribers all get what is
//! published.

mod copies;
mod error;
mod handle;
mod policy;
mod roster;
mod subscriber;
mod subscribers;
mod subscription;
mod topic;

pub(crate) use copies::Copies;
pub use error::{JoinError, SubscribeError};
pub use handle::Group;
pub use policy::{Published, SlowSubscriber};
pub(crate) use roster::{Roster, Seat};
pub use subscription::Subscription;
pub use topic::Topic;
