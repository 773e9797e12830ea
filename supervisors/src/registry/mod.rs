//! Finding actors by name and by type.

mod enrolment;
mod entries;
mod error;
mod handle;
#[cfg(test)]
mod tests;

pub(crate) use enrolment::Enrolment;
pub use error::{NoMoreNames, RegisterError};
pub use handle::Registry;
