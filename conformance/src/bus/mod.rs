//! Buses: brokers that carry messages to programs outside, and theirs to us.
//!
//! What is confirmed has arrived, in order, and stays through the death of the broker; each message has its own answer, and each call
//! ends, also while the broker is away or stands still; what comes in is decided about, and comes again until it is. Describe the
//! backend ([`Subject`]) and its broker ([`Server`](crate::Server)), and declare the suite ([`bus_suite!`](crate::bus_suite)).

#[doc(hidden)]
pub mod cases;
mod receiver;
mod subject;

pub use self::subject::{Subject, Taken};

/// Declares the suite's cases as tests of one backend, in a module of this name: `bus_suite!(suite: Rabbit);`
///
/// `actors/tests/it/rabbitmq/suite.rs` describes RabbitMQ.
#[macro_export]
macro_rules! bus_suite {
    ($name:ident: $subject:ty) => {
        $crate::bus_suite! { $name: $subject;
            what_is_confirmed_has_arrived_in_its_order,
            a_message_for_a_queue_that_is_not_there_is_refused_alone,
            many_publish_at_once_and_each_hears_of_his_own,
            a_broker_that_is_absent_is_an_answer_and_is_found_when_it_comes,
            what_was_confirmed_outlives_the_death_of_the_broker,
            a_broker_that_does_not_answer_keeps_nobody,
            each_message_that_comes_in_is_decided_about,
            what_was_not_decided_comes_again,
        }
    };
    ($name:ident: $subject:ty; $($case:ident,)+) => {
        mod $name {
            #[allow(unused_imports, reason = "the subject may be named by a path from the root")]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::bus::cases::start($crate::bus::cases::$case::<$subject>());
                }
            )+
        }
    };
}
