//! Places where a test can have the process killed or stopped, or an actor crashed, to prove what that costs.
//!
//! Only with the feature `failpoints`; without it [`failpoint!`](crate::failpoint) is nothing. The variable
//! `CALLBOARD_FAILPOINTS` holds `name=kill@N,…` or `name=stop@N,…`: when the process comes to that place for the N-th
//! time, it appends the name to the file that `CALLBOARD_FAILPOINT_LOG` names and sends itself SIGKILL or SIGSTOP. With
//! `name=panic@N` whoever comes there panics, the first N times.

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
mod table;

#[cfg(feature = "failpoints")]
pub(crate) use armed::{pending, reached};
#[cfg(feature = "failpoints")]
pub use table::{FAILPOINTS, Failpoint};

/// A place where a test can have the process killed or stopped.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reached($name);
    };
}
pub(crate) use failpoint;
