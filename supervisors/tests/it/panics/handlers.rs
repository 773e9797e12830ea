//! Panics in handlers.

use callboard_supervisors::Restart;

use super::{Place, Seen, Trigger, observe, observe_restart};

#[test]
fn in_a_plain_handler() {
    assert_eq!(observe(&[Place::Plain], Trigger::Plain), Seen::crash("Plain in PlainMessage"));
}

#[test]
fn in_the_body_of_a_concurrent_handler() {
    assert_eq!(observe(&[Place::LaterBody], Trigger::Later), Seen::crash("LaterBody in LaterMessage"));
}

/// The one behind is handled before the future panics: that is what concurrent means.
#[test]
fn in_the_future_of_a_concurrent_answer() {
    let seen = observe(&[Place::LaterFuture], Trigger::Later);
    assert_eq!(seen, Seen { behind: Ok((0, 2)), ..Seen::crash("LaterFuture") });
}

#[test]
fn in_an_async_handler_before_its_first_await() {
    assert_eq!(observe(&[Place::AsyncBefore], Trigger::Async), Seen::crash("AsyncBefore in AsyncMessage"));
}

#[test]
fn in_an_async_handler_after_an_await() {
    assert_eq!(observe(&[Place::AsyncAfter], Trigger::Async), Seen::crash("AsyncAfter in AsyncMessage"));
}

#[test]
fn of_a_transient_child_is_followed_by_a_restart_too() {
    let seen = observe_restart(Restart::Transient, &[Place::AsyncAfter], Trigger::Async);
    assert_eq!(seen, Seen::crash("AsyncAfter in AsyncMessage"));
}

#[test]
fn of_a_temporary_child_ends_it_and_refuses_what_waits() {
    let seen = observe_restart(Restart::Temporary, &[Place::Plain], Trigger::Plain);
    let expected = Seen {
        behind: Err(callboard_supervisors::AskError::Stopped),
        exits: vec![(0, "Plain in PlainMessage".to_owned(), true, false)],
        counted: 0,
        ..Seen::crash("")
    };
    assert_eq!(seen, expected);
}
