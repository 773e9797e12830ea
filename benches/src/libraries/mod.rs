//! Each library's way to do what the scenarios ask for.

mod actix;
pub(crate) mod callboard;
mod kameo;
mod ractor;
mod tokio;

pub(crate) use self::{actix::Actix, callboard::Callboard, kameo::Kameo, ractor::Ractor, tokio::Tokio};
