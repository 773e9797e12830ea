//! What probes and signals of the test kit let pass, and how they fail.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use callboard_supervisors::{
    AskError, Message, SendError, SlowSubscriber, Topic,
    testkit::{Probe, Signal, run, settle},
};
use tokio::time::Instant;

use crate::worker::ms;

#[derive(Message)]
#[message(reply = u32)]
struct Number(u32);

/// The text of the panic that `test` ends with.
pub(crate) fn failure<T>(test: impl Future<Output = T>) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| run(test))).err().expect("it fails");
    *panic.downcast::<String>().expect("a text")
}

#[test]
fn a_probe_gives_messages_in_order_and_selects_without_losing_others() {
    run(async {
        let mut probe = Probe::<Number>::new("probe");
        let address = probe.recipient();
        for number in 1..=4 {
            address.tell(Number(number)).expect("room");
        }
        assert_eq!(probe.expect_matching(|number| number.0 == 3).await.0, 3);
        assert_eq!(probe.waiting(), 3);
        assert_eq!(probe.expect().await.0, 1);
        let rest: Vec<u32> = probe.take_all().into_iter().map(|number| number.0).collect();
        assert_eq!((rest, probe.count(), probe.waiting()), (vec![2, 4], 4, 0));
    });
}

#[test]
fn a_probe_waits_for_what_comes_later_and_from_another_thread() {
    run(async {
        let mut probe = Probe::<Number>::new("probe");
        let address = probe.recipient();
        let began = Instant::now();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(ms(2999)).await;
            address.tell(Number(7)).expect("room");
        });
        assert_eq!((probe.expect().await.0, began.elapsed()), (7, ms(2999)));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut probe = Probe::<Number>::new("probe");
        let address = probe.recipient();
        let sender = std::thread::spawn(move || address.tell(Number(8)).expect("room"));
        assert_eq!(probe.expect().await.0, 8);
        sender.join().expect("no panic");
    });
}

#[test]
fn a_failed_expectation_says_what_where_and_how_long() {
    let text = failure(async { Probe::<Number>::new("ear").expect().await });
    for part in ["tests/it/probes.rs:", "`ear`", "Number", "3s", "0 others", "got 0 in all"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let text = failure(async {
        let mut probe = Probe::<Number>::bounded("ear", 2);
        for number in 0..3 {
            // The third finds no room.
            let _ = probe.recipient().tell(Number(number));
        }
        probe.expect_matching_within(ms(20), |number| number.0 == 9).await;
    });
    for part in ["a matching", "20ms", "2 others", "got 3 in all", "1 found no room"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let text = failure(async {
        let mut probe = Probe::<Number>::new("ear");
        let address = probe.recipient();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(ms(30)).await;
            address.tell(Number(1)).expect("room");
        });
        probe.expect_none_within(ms(29)).await;
        probe.expect_none_within(ms(10)).await;
    });
    assert!(text.contains("nothing for 10ms; one came after 1ms"), "{text}");
    let text = failure(async { Signal::<Number>::new().wait_within(ms(5)).await });
    for part in ["tests/it/probes.rs:", "Number", "5ms"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn a_dropped_expectation_takes_nothing() {
    run(async {
        let mut probe = Probe::<Number>::new("probe");
        probe.recipient().tell(Number(1)).expect("room");
        let none = probe.expect_matching_within(ms(500), |_| false);
        assert!(tokio::time::timeout(ms(10), none).await.is_err());
        probe.recipient().tell(Number(2)).expect("room");
        assert_eq!((probe.expect().await.0, probe.expect().await.0), (1, 2));
    });
}

#[test]
fn a_full_probe_refuses_and_one_that_is_gone_has_stopped() {
    run(async {
        let mut probe = Probe::<Number>::bounded("probe", 1);
        let answered = Arc::new(AtomicBool::new(false));
        let address = probe.recipient();
        address.tell(Number(1)).expect("room");
        let seen = answered.clone();
        probe.reply_with(move |number| {
            seen.store(true, SeqCst);
            number.0
        });
        assert!(matches!(address.tell(Number(2)), Err(SendError::Full(Number(2)))));
        assert!(matches!(address.send(Number(2)).await, Err(SendError::Full(Number(2)))));
        assert_eq!(address.ask(Number(2)).await, Err(AskError::Full));
        assert!(!answered.load(SeqCst), "what is refused is not answered");
        assert_eq!(probe.expect().await.0, 1);
        assert_eq!(address.ask(Number(2)).await, Ok(2));
        drop(probe);
        assert!(matches!(address.tell(Number(3)), Err(SendError::Stopped(Number(3)))));
    });
}

#[test]
fn askers_of_a_probe_hear_the_answer_or_why_there_is_none() {
    run(async {
        let mut probe = Probe::<Number>::new("probe");
        let address = probe.recipient();
        let (answered, ignored, ()) = tokio::join!(address.ask(Number(1)), address.ask(Number(2)), async {
            probe.recipient().tell(Number(3)).expect("room");
            assert_eq!(probe.expect_ask().await.reply(10).0, 1);
            assert_eq!(probe.expect().await.0, 2);
            assert_eq!(probe.expect().await.0, 3);
        });
        assert_eq!((answered, ignored), (Ok(10), Err(AskError::Stopped)));
        probe.reply_with(|_| panic!("no answer"));
        assert_eq!(address.ask(Number(4)).await, Err(AskError::Panicked));
        assert_eq!(probe.expect().await.0, 4);
    });
}

#[test]
fn a_signal_remembers_what_was_fired_before_up_to_its_bound() {
    run(async {
        let signal = Signal::new();
        let other = signal.clone();
        std::thread::spawn(move || (0..300).for_each(|n| other.fire(n))).join().expect("no panic");
        assert_eq!((signal.wait().await, signal.wait().await, signal.count()), (300 - 256, 45, 300));
        for _ in 0..254 {
            signal.wait().await;
        }
        signal.expect_none_within(ms(1)).await;
    });
}

#[test]
fn settling_outside_of_a_test_run_is_a_mistake_that_is_told() {
    let runtime = tokio::runtime::LocalRuntime::new().expect("a runtime");
    let settled = catch_unwind(AssertUnwindSafe(|| runtime.block_on(settle())));
    let text = settled.expect_err("it fails");
    assert!(text.downcast_ref::<&str>().is_some_and(|text| text.contains("testkit::run")));
}

#[test]
fn settling_lets_everything_run_and_moves_no_clock() {
    run(async {
        let began = Instant::now();
        let done = Arc::new(AtomicBool::new(false));
        let ours = done.clone();
        tokio::task::spawn_local(async move {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            tokio::task::spawn_local(async move { ours.store(true, SeqCst) });
        });
        settle().await;
        assert_eq!((done.load(SeqCst), began.elapsed()), (true, ms(0)));
    });
}

#[derive(Clone, Message)]
struct Mark;

#[test]
fn a_probe_that_is_gone_makes_room_on_a_topic() {
    run(async {
        let topic = Topic::bounded("topic", 1);
        let first = Probe::<Mark>::new("first");
        topic.subscribe(first.recipient(), SlowSubscriber::Skip).expect("room").detach();
        drop(first);
        let second = Probe::<Mark>::new("second");
        let subscription = topic.subscribe(second.recipient(), SlowSubscriber::Skip).expect("room");
        assert!(subscription.is_active());
    });
}
