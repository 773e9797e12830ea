//! Sinks: servers outside that are told what the log says.
//!
//! Absent at the start, stopped, killed at work, frozen, wiped, told by two at once: in the end a sink has just what the log says,
//! nothing twice, and the node has done its work all the while. Describe the backend ([`Subject`]) and its server ([`Server`](crate::Server)), and
//! declare the suite ([`sink_suite!`](crate::sink_suite)).

#[doc(hidden)]
pub mod cases;
mod log;
mod subject;

pub use self::{
    log::{Told, log_of},
    subject::{Subject, WithoutTls, guard},
};

/// Declares the suite's cases as tests of one backend, in a module of this name.
///
/// `sink_suite!(suite: Redis);` are all but TLS; `sink_suite!(suite: Redis, tls);` also has a server that does not speak it
/// ([`WithoutTls`](crate::sink::WithoutTls)).
///
/// `examples/file_archive/` is a backend, and `conformance/tests/it/file_archive.rs` what describes it.
#[macro_export]
macro_rules! sink_suite {
    ($name:ident: $subject:ty) => {
        $crate::sink_suite! { $name: $subject;
            what_the_log_says_is_told_once_over_restarts,
            a_server_that_is_absent_at_the_start_is_told_all_when_it_comes,
            what_a_server_missed_while_it_was_away_follows,
            a_server_that_was_killed_at_work_is_neither_behind_nor_ahead,
            a_server_that_does_not_answer_holds_up_nothing,
            what_was_wiped_comes_back,
            two_that_tell_at_once_double_nothing,
            jobs_that_need_the_edge_wait_while_it_is_tripped,
        }
    };
    ($name:ident: $subject:ty, tls) => {
        $crate::sink_suite! { $name: $subject;
            what_the_log_says_is_told_once_over_restarts,
            a_server_that_is_absent_at_the_start_is_told_all_when_it_comes,
            what_a_server_missed_while_it_was_away_follows,
            a_server_that_was_killed_at_work_is_neither_behind_nor_ahead,
            a_server_that_does_not_answer_holds_up_nothing,
            what_was_wiped_comes_back,
            two_that_tell_at_once_double_nothing,
            jobs_that_need_the_edge_wait_while_it_is_tripped,
            tls_that_does_not_come_about_is_an_outage_like_others,
        }
    };
    ($name:ident: $subject:ty; $($case:ident,)+) => {
        mod $name {
            #[allow(unused_imports, reason = "the subject may be named by a path from the root")]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::sink::cases::start($crate::sink::cases::$case::<$subject>());
                }
            )+
        }
    };
}
