//! The settings of a running app: who keeps them, how changes of their sources are noticed, and how they are shown.

mod keeper;
mod kept;
mod trail;
mod view;
mod watch;

pub use keeper::SettingsError;
pub(crate) use keeper::{Keeper, KeeperArgs, Reread, SetLogLevel, check_keys};
pub(crate) use kept::Kept;
