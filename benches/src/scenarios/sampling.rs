//! What it costs a message that handling times are measured.

use crate::{
    libraries::{Callboard, callboard::sample_latency},
    scenarios::messages,
};

async fn every(number: u32) -> [f64; 1] {
    sample_latency(number).await;
    messages::tell::<Callboard>().await
}

/// No message's time is measured.
pub(crate) async fn none() -> [f64; 1] {
    every(0).await
}

/// As it is when nothing is said.
pub(crate) async fn one_in_64() -> [f64; 1] {
    every(64).await
}

/// Each message's time is measured.
pub(crate) async fn all() -> [f64; 1] {
    every(1).await
}
