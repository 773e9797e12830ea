//! What holds of a breaker whatever happens.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Breaker, BreakerSettings, EdgePhase, EdgeStanding, Permit};

/// What happens to a breaker.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Ask,
    /// Of the calls that are under way the one at this place, modulo their number, ends so.
    End(usize, End),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Succeeded,
    Failed,
    Abandoned,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![Just(End::Succeeded), Just(End::Failed), Just(End::Failed), Just(End::Abandoned)];
    prop_oneof![
        (1_u64..3_000).prop_map(Step::Pass),
        Just(Step::Ask),
        Just(Step::Ask),
        (any::<usize>(), end).prop_map(|(place, end)| Step::End(place, end)),
    ]
}

fn settings() -> impl Strategy<Value = BreakerSettings> {
    (1_u32..6, 1_u64..500, 500_u64..4_000, 1_u32..4).prop_map(|(failures, first, longest, probes)| {
        BreakerSettings {
            failures,
            first_pause: Duration::from_millis(first),
            longest_pause: Duration::from_millis(longest),
            probes,
        }
    })
}

proptest! {
    #[test]
    fn it_trips_and_recovers_only_as_it_should(settings in settings(), steps in prop::collection::vec(step(), 1..200)) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(settings);
        // Permits, and the number of the trip or recovery after which they were given.
        let mut under_way: Vec<(Permit, u32)> = Vec::new();
        let mut round = 0;
        let mut failed_in_a_row = 0;
        let mut last_pause = Duration::ZERO;
        for step in steps {
            let before = breaker.standing();
            match step {
                Step::Pass(time) => now += Duration::from_millis(time),
                Step::Ask => {
                    let permit = breaker.permit(now);
                    let probing = under_way.iter().filter(|(_, begun)| *begun == round).count();
                    match before {
                        EdgeStanding::Tripped { until } => {
                            // Before its time nobody passes; after it, somebody always does unless probes are under way.
                            let free = probing < settings.probes as usize;
                            prop_assert_eq!(permit.is_some(), now >= until && free);
                        }
                        _ => prop_assert!(permit.is_some()),
                    }
                    prop_assert_eq!(breaker.standing(), before);
                    under_way.extend(permit.map(|permit| (permit, round)));
                }
                Step::End(place, end) => {
                    if under_way.is_empty() {
                        continue;
                    }
                    let (permit, begun) = under_way.swap_remove(place % under_way.len());
                    match end {
                        End::Succeeded => breaker.succeeded(permit),
                        End::Failed => {
                            let tripped = breaker.failed(permit, now);
                            prop_assert_eq!(tripped, breaker.standing() != before && breaker.standing().state() == EdgePhase::Tripped);
                        }
                        End::Abandoned => breaker.abandoned(permit),
                    }
                    let after = breaker.standing();
                    if begun != round || end == End::Abandoned {
                        // What is known from before, or not known at all, changes nothing.
                        prop_assert_eq!(after, before);
                        continue;
                    }
                    failed_in_a_row = if end == End::Failed { failed_in_a_row + 1 } else { 0 };
                    match (before.state(), after) {
                        (EdgePhase::Tripped, EdgeStanding::Tripped { until }) if end == End::Failed => {
                            let pause = until - now;
                            prop_assert!(pause >= last_pause && pause <= settings.longest_pause);
                            (last_pause, round, failed_in_a_row) = (pause, round + 1, 0);
                        }
                        (EdgePhase::Tripped, EdgeStanding::Tripped { .. }) => {
                            prop_assert!(end == End::Succeeded && settings.probes > 1);
                        }
                        (EdgePhase::Tripped, EdgeStanding::Ready) => {
                            prop_assert_eq!(end, End::Succeeded);
                            (last_pause, round) = (Duration::ZERO, round + 1);
                        }
                        (_, EdgeStanding::Tripped { until }) => {
                            prop_assert_eq!(failed_in_a_row, settings.failures);
                            prop_assert_eq!(until - now, settings.first_pause.min(settings.longest_pause));
                            (last_pause, round, failed_in_a_row) = (until - now, round + 1, 0);
                        }
                        (_, EdgeStanding::Ready) => prop_assert_eq!(end, End::Succeeded),
                        (EdgePhase::Connecting, EdgeStanding::Connecting) | (_, EdgeStanding::Degraded) => {
                            prop_assert_eq!(end, End::Failed);
                            prop_assert!(failed_in_a_row < settings.failures);
                        }
                        (before, after) => prop_assert!(false, "from {:?} to {:?}", before, after),
                    }
                }
            }
        }
        // Whatever has happened, it recovers when calls succeed again.
        for (permit, _) in under_way {
            breaker.abandoned(permit);
        }
        now += settings.longest_pause;
        for _ in 0..settings.probes {
            let permit = breaker.permit(now);
            prop_assert!(permit.is_some());
            breaker.succeeded(permit.unwrap());
        }
        prop_assert_eq!(breaker.standing(), EdgeStanding::Ready);
    }
}
