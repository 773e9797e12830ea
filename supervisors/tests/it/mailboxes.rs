//! Bounds hold, and what does not fit has its answer.

use std::time::Duration;

use callboard_supervisors::{
    ActorSystem, AskError, ChildSpec, MailboxSpec, Overflow, Placement, SendError, State, SupervisorSpec,
};
use tokio::time::Instant;

use crate::worker::{Answer, Count, Hold, Panic, Place, Worker, alone, local, ms};

fn full(overflow: Overflow) -> ChildSpec<Worker> {
    ChildSpec::<Worker>::new("worker", ()).mailbox(MailboxSpec::bounded(4).overflow(overflow))
}

#[test]
fn no_more_fit_than_the_capacity_whoever_sends() {
    local(async {
        let (system, worker) = alone(full(Overflow::Reject)).await;
        worker.suspend();
        worker.inspect().await.expect("it is there");
        let taken = (0..10).filter(|_| worker.clone().tell(Count).is_ok()).count();
        assert_eq!((taken, worker.snapshot().depth, worker.snapshot().refused), (4, 4, 6));
        worker.resume();
        worker.inspect().await.expect("the four are handled in the same turn");
        assert_eq!(worker.ask_within(ms(10), Count).await.expect("there is room again").1, 5);
        system.shutdown().await;
    });
}

#[test]
fn the_bound_holds_while_the_actor_is_in_its_pause_too() {
    local(async {
        let (_system, worker) = alone(full(Overflow::Reject)).await;
        worker.ask(Panic(Place::Plain)).await.expect_err("a panic");
        let taken = (0..10).filter(|_| worker.tell(Count).is_ok()).count();
        let paused = worker.snapshot();
        assert_eq!((taken, paused.depth, paused.state), (4, 4, State::Crashed));
        tokio::time::sleep(ms(20)).await;
        assert_eq!(worker.ask(Count).await, Ok((1, 5)));
        // Whoever waits for room is let in during the pause, as far as there is any.
        let (_system, worker) = alone(full(Overflow::Block(ms(5)))).await;
        worker.tell(Panic(Place::Plain)).expect("room");
        for _ in 0..3 {
            worker.tell(Count).expect("room");
        }
        let (one, two) = tokio::join!(worker.send(Count), worker.send(Count));
        assert!(one.is_ok() && two.is_err(), "{one:?} {two:?}");
        tokio::time::sleep(ms(20)).await;
        assert_eq!(worker.ask(Count).await, Ok((1, 5)));
    });
}

#[test]
fn blocked_senders_wait_their_turn_or_their_time() {
    local(async {
        let (system, worker) = alone(full(Overflow::Block(ms(100)))).await;
        worker.suspend();
        worker.inspect().await.expect("it is there");
        for _ in 0..4 {
            worker.tell(Count).expect("room");
        }
        assert!(matches!(worker.tell(Count), Err(SendError::Full(_))), "tell never waits");
        let began = Instant::now();
        assert!(matches!(worker.send(Count).await, Err(SendError::Full(_))));
        assert_eq!(began.elapsed(), ms(100));
        let refused = worker.recipient::<Count>().ask_at_once(ms(500), Count).await;
        assert_eq!((refused, began.elapsed()), (Err(AskError::Full), ms(100)));
        let waiting = async {
            for _ in 0..20 {
                worker.send(Count).await.expect("room in time");
            }
        };
        let resumed = async {
            system.advance(ms(50)).await;
            worker.resume();
        };
        tokio::join!(waiting, resumed);
        assert_eq!(worker.ask(Count).await, Ok((0, 25)));
        assert_eq!(worker.recipient().ask_at_once(ms(500), Count).await, Ok((0, 26)));
        system.shutdown().await;
    });
}

#[test]
fn what_is_dropped_is_told_to_its_asker() {
    local(async {
        let (system, worker) = alone(full(Overflow::DropNewest)).await;
        worker.suspend();
        worker.inspect().await.expect("it is there");
        for _ in 0..4 {
            worker.tell(Count).expect("room");
        }
        assert_eq!(worker.ask(Count).await, Err(AskError::Refused));
        system.shutdown().await;
    });
}

#[test]
fn concurrent_answers_do_not_hold_the_actor_and_exclusive_handlers_do() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let began = Instant::now();
        let (one, two, count) =
            tokio::join!(worker.ask(Answer(ms(100))), worker.ask(Answer(ms(100))), worker.ask(Count));
        assert_eq!((one, two, count), (Ok(()), Ok(()), Ok((0, 1))));
        assert_eq!(began.elapsed(), ms(100));
        let (held, behind) = tokio::join!(worker.ask(Hold(ms(100))), worker.ask(Count));
        assert_eq!((held, behind), (Ok(2), Ok((0, 3))));
        system.shutdown().await;
    });
}

#[test]
fn an_ask_that_nobody_waits_for_is_skipped() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        worker.suspend();
        assert_eq!(worker.ask_within(ms(10), Count).await, Err(AskError::TimedOut(ms(10))));
        worker.resume();
        assert_eq!(worker.ask(Count).await, Ok((0, 1)));
        assert_eq!(worker.snapshot().handled, 1);
        assert_eq!(
            worker.ask_within(Duration::from_millis(5), Hold(ms(50))).await,
            Err(AskError::TimedOut(ms(5)))
        );
        system.shutdown().await;
    });
}

#[test]
fn nothing_is_left_behind_by_senders_of_many_threads() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 60;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime().block_on(async {
        for capacity in [1, 2, 3, 1024] {
            let mailbox = MailboxSpec::bounded(capacity).overflow(Overflow::Block(Duration::from_secs(60)));
            let spec = ChildSpec::<Worker>::new("worker", ()).mailbox(mailbox).placement(Placement::Workers);
            let worker = spec.actor_ref();
            let root = SupervisorSpec::new("root").child(spec);
            let system = ActorSystem::builder("test").executors(1).start(root).await.expect("a system");
            let send = |_| {
                let worker = worker.clone();
                std::thread::spawn(move || {
                    runtime().block_on(async {
                        for _ in 0..ROUNDS {
                            worker.send(Count).await.expect("room in time");
                            // Others come while it is held, and when it falls idle.
                            worker.send(Hold(Duration::ZERO)).await.expect("room in time");
                            worker.ask(Count).await.expect("an answer");
                            assert!(worker.snapshot().depth <= capacity);
                        }
                    });
                })
            };
            let threads: Vec<_> = (0..THREADS).map(send).collect();
            threads.into_iter().for_each(|thread| thread.join().expect("everything is taken"));
            assert_eq!(worker.ask(Count).await, Ok((0, 3 * THREADS * ROUNDS + 1)));
            assert_eq!(worker.snapshot().handled, 3 * THREADS * ROUNDS + 1);
            assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        }
    });
}
