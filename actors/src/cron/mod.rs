//! When the entries of the cron table are due: pure rules, whoever keeps the table and whoever stores the jobs.

mod check;
mod plan;
mod schedule;
#[cfg(test)]
mod tests;

pub use check::check;
pub use plan::{DueTime, Firing, Plan, fires_at, job_id, plan};
pub use schedule::{InvalidSchedule, Schedule};
