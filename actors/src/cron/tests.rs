//! The times of expressions, over clock changes, and what is done about them.

use std::{collections::BTreeSet, time::Duration};

use callboard_contracts::{
    Timestamp,
    api::{CronBackfill, CronDefinition, CronJob},
};
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(expression: &str, zone: &str) -> Schedule {
    Schedule::parse(expression, zone).unwrap()
}

/// What clocks show at the next times.
fn shown(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    schedule(expression, zone).next_times(at(after), count).into_iter().map(|time| time.local).collect()
}

#[test]
fn expressions_have_five_fields_or_six_with_seconds() {
    let after = "2026-11-22T10:00:00Z";
    assert_eq!(shown("30 2 * * *", "UTC", after, 1), ["2026-11-23T02:30:00+00:00"]);
    assert_eq!(
        shown("*/20 * * * * *", "UTC", after, 2),
        ["2026-11-22T10:00:20+00:00", "2026-11-22T10:00:40+00:00"]
    );
    assert_eq!(shown("@daily", "Asia/Kolkata", after, 1), ["2026-11-23T00:00:00+05:30"]);
    assert_eq!(shown("0 9 * * MON-FRI", "UTC", "2026-11-20T10:00:00Z", 1), ["2026-11-23T09:00:00+00:00"]);
    // The last day of a month, its last Friday, its second Tuesday, and the working day next to its 15th.
    assert_eq!(
        shown("0 0 L * *", "UTC", after, 2),
        ["2026-11-30T00:00:00+00:00", "2026-12-31T00:00:00+00:00"]
    );
    assert_eq!(shown("0 0 * * FRI#L", "UTC", after, 1), ["2026-11-27T00:00:00+00:00"]);
    assert_eq!(shown("0 0 * * TUE#2", "UTC", after, 1), ["2026-12-08T00:00:00+00:00"]);
    assert_eq!(shown("0 0 15W * *", "UTC", "2026-11-01T00:00:00Z", 1), ["2026-11-16T00:00:00+00:00"]);
    assert_eq!(shown("0 0 29 2 *", "UTC", after, 1), ["2028-02-29T00:00:00+00:00"]);
}

#[test]
fn what_cannot_be_read_says_why() {
    let why = |expression: &str, zone: &str| Schedule::parse(expression, zone).unwrap_err();
    for bad in [
        "",
        "* * * *",
        "61 * * * *",
        "* * * * * * 2030",
        "a b c d e",
        "5/5 * * * *",
        "* * * 13 *",
        "é * * * *",
    ] {
        let InvalidSchedule::Expression(why) = why(bad, "UTC") else { panic!("{bad}") };
        assert!(why.contains("no cron expression") && why.contains("five fields"), "{why}");
    }
    assert_eq!(
        why("0 0 30 2 *", "UTC").to_string(),
        "no time fits \"0 0 30 2 *\": is there such a day in such a month?"
    );
    let InvalidSchedule::TimeZone(zone) = why("* * * * *", "Europe/Nowhere") else { panic!() };
    assert!(zone.contains("IANA name"), "{zone}");
    let long = "*".repeat(201);
    assert!(why(&long, "UTC").to_string().contains("201 bytes"));
}

#[test]
fn fixed_times_that_do_not_exist_are_due_when_clocks_are_put_forward() {
    // Berlin, 2027-03-28: 02:00 +01:00 is 03:00 +02:00.
    let after = "2027-03-27T12:00:00Z";
    assert_eq!(
        shown("30 2 * * *", "Europe/Berlin", after, 2),
        ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]
    );
    // One of several is left out.
    assert_eq!(
        shown("30 2,14 * * *", "Europe/Berlin", after, 2),
        ["2027-03-27T14:30:00+01:00", "2027-03-28T14:30:00+02:00"]
    );
    assert_eq!(
        shown("0 1-4 * * *", "Europe/Berlin", after, 4),
        [
            "2027-03-28T01:00:00+01:00",
            "2027-03-28T03:00:00+02:00",
            "2027-03-28T04:00:00+02:00",
            "2027-03-29T01:00:00+02:00",
        ]
    );
}

#[test]
fn intervals_go_on_when_clocks_are_put_forward() {
    let shown = shown("*/20 * * * *", "Europe/Berlin", "2027-03-28T00:30:00Z", 4);
    assert_eq!(
        shown,
        [
            "2027-03-28T01:40:00+01:00",
            "2027-03-28T03:00:00+02:00",
            "2027-03-28T03:20:00+02:00",
            "2027-03-28T03:40:00+02:00",
        ]
    );
}

#[test]
fn fixed_times_that_come_twice_are_due_once() {
    // Berlin, 2027-10-31: 03:00 +02:00 is 02:00 +01:00.
    assert_eq!(
        shown("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", 2),
        ["2027-10-31T02:30:00+02:00", "2027-11-01T02:30:00+01:00"]
    );
    // Asked between the two, it is over.
    assert_eq!(
        shown("30 2 * * *", "Europe/Berlin", "2027-10-31T00:45:00Z", 1),
        ["2027-11-01T02:30:00+01:00"]
    );
}

#[test]
fn intervals_go_on_when_clocks_are_put_back() {
    let every_hour = schedule("0 * * * *", "Europe/Berlin").next_times(at("2027-10-30T22:30:00Z"), 5);
    let hours: Vec<String> = every_hour.iter().map(|time| time.at.to_string()[11..16].to_owned()).collect();
    assert_eq!(hours, ["23:00", "00:00", "01:00", "02:00", "03:00"]);
    let minutes = schedule("*/5 * * * *", "America/New_York").next_times(at("2027-11-07T04:00:00Z"), 48);
    let steps: BTreeSet<_> = minutes.windows(2).map(|pair| pair[1].at.saturating_since(pair[0].at)).collect();
    assert_eq!(steps, BTreeSet::from([300 * SECOND]));
}

#[test]
fn half_an_hour_can_be_skipped_and_repeated_too() {
    // Lord Howe: 2027-10-03 02:00 +10:30 is 02:30 +11:00, 2027-04-04 02:00 +11:00 is 01:30 +10:30.
    assert_eq!(
        shown("15 2 * * *", "Australia/Lord_Howe", "2027-10-02T02:00:00Z", 2),
        ["2027-10-03T02:30:00+11:00", "2027-10-04T02:15:00+11:00"]
    );
    assert_eq!(
        shown("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T04:00:00Z", 2),
        ["2027-04-04T01:45:00+11:00", "2027-04-05T01:45:00+10:30"]
    );
}

#[test]
fn words_say_what_is_meant() {
    assert_eq!(schedule("30 2 * * *", "UTC").words(), "At 02:30");
    assert_eq!(schedule("30 2 * * *", "Europe/Berlin").words(), "At 02:30 (Europe/Berlin)");
    assert_eq!(schedule("*/5 * * * *", "UTC").words(), "At every 5 minutes");
}

fn definition(expression: &str, backfill: CronBackfill) -> CronDefinition {
    let job = CronJob { job_type: "noop".to_owned(), ..CronJob::default() };
    CronDefinition { backfill, ..CronDefinition::new(expression, job) }
}

/// The times for which a plan stores jobs, how many are missed, and what is waited for then.
fn planned(definition: &CronDefinition, from: &str, now: &str) -> (Vec<String>, u64, Option<Timestamp>) {
    let schedule = check("entry", definition).unwrap();
    let plan = plan("entry", definition, &schedule, at(from), at(now));
    let fired = plan.firings.iter().filter_map(|firing| firing.due);
    let missed = plan.firings.iter().map(|firing| firing.missed).sum();
    let next = plan.firings.last().and_then(|firing| firing.next).map(|next| next.due);
    (fired.map(|due| due.due.to_string()[11..19].to_owned()).collect(), missed, next)
}

#[test]
fn a_time_is_fired_when_it_has_come() {
    let every = definition("* * * * *", CronBackfill::None);
    let (from, next) = ("2027-01-01T12:00:00Z", Some(at("2027-01-01T12:01:00Z")));
    assert_eq!(planned(&every, from, "2027-01-01T11:59:59.999999Z"), (vec![], 0, None));
    assert_eq!(planned(&every, from, from), (vec!["12:00:00".to_owned()], 0, next));
    assert_eq!(planned(&every, from, "2027-01-01T12:00:59Z").0, ["12:00:00"]);
    // Of two, the newer one is not missed yet.
    let after = planned(&every, from, "2027-01-01T12:01:30Z");
    assert_eq!(after, (vec!["12:01:00".to_owned()], 1, Some(at("2027-01-01T12:02:00Z"))));
}

#[test]
fn what_was_missed_is_made_up_for_by_the_policy() {
    let (from, now) = ("2027-01-01T12:00:00Z", "2027-01-01T15:30:00Z");
    let hourly = |backfill| definition("0 * * * *", backfill);
    let next = Some(at("2027-01-01T16:00:00Z"));
    assert_eq!(planned(&hourly(CronBackfill::None), from, now), (vec![], 4, next));
    assert_eq!(planned(&hourly(CronBackfill::Last), from, now), (vec!["15:00:00".to_owned()], 3, next));
    let all = hourly(CronBackfill::All);
    let (fired, missed, waits) = planned(&all, from, now);
    assert_eq!(
        (fired, missed, waits),
        (["12", "13", "14", "15"].map(|hour| format!("{hour}:00:00")).into(), 0, next)
    );
    let two = CronDefinition { backfill_most: 2, ..all.clone() };
    assert_eq!(planned(&two, from, now).0, ["14:00:00", "15:00:00"]);
    assert_eq!(planned(&two, from, now).1, 2);
    let young = CronDefinition { backfill_within_ms: 2 * 3_600_000, ..all.clone() };
    assert_eq!(planned(&young, from, now).0, ["14:00:00", "15:00:00"]);
    let none = CronDefinition { backfill_within_ms: 60_000, ..all };
    assert_eq!(planned(&none, from, now), (vec![], 4, next));
}

#[test]
fn a_long_outage_is_planned_for_quickly() {
    let every = definition("* * * * * *", CronBackfill::All);
    let (fired, missed, _) = planned(&every, "2016-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    assert_eq!((fired.len(), missed), (50, 1000));
    assert_eq!(fired[0], "23:58:21");
}

#[test]
fn the_id_of_a_time_is_its_own() {
    let (one, other) = (at("2027-01-01T00:00:00Z"), at("2027-01-02T00:00:00Z"));
    assert_eq!(job_id("a", one), job_id("a", one));
    let ids = BTreeSet::from([job_id("a", one), job_id("a", other), job_id("b", one)]);
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| id.get_version_num() == 7));
}

const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "America/Sao_Paulo",
];

fn expressions() -> impl Strategy<Value = String> {
    let part = |most: u32| {
        prop_oneof![
            Just("*".to_owned()),
            (0..most).prop_map(|number| number.to_string()),
            (2..most).prop_map(|step| format!("*/{step}")),
            (0..most, 0..most).prop_map(|(one, other)| format!("{},{}", one.min(other), one.max(other))),
        ]
    };
    let days = prop_oneof![Just("*"), Just("L"), Just("15W"), Just("1,31")];
    let weekdays = prop_oneof![Just("*"), Just("MON-FRI"), Just("SUN#L"), Just("7")];
    let seconds = prop_oneof![Just(String::new()), part(60).prop_map(|part| format!("{part} "))];
    (seconds, part(60), part(24), days, weekdays).prop_map(|(seconds, minute, hour, day, weekday)| {
        format!("{seconds}{minute} {hour} {day} * {weekday}")
    })
}

/// Moments, half of them near to those at which clocks change.
fn moments() -> impl Strategy<Value = i64> {
    let changes = [
        "2027-03-28T01:00:00Z",
        "2027-10-31T01:00:00Z",
        "2027-03-14T07:00:00Z",
        "2027-11-07T06:00:00Z",
        "2027-04-03T15:00:00Z",
        "2027-10-02T15:30:00Z",
        "2018-11-04T03:00:00Z",
    ];
    let near = (0..changes.len(), -7_200_000_000_i64..7_200_000_000)
        .prop_map(move |(change, off)| at(changes[change]).as_micros() + off);
    prop_oneof![near, 1_500_000_000_000_000..2_500_000_000_000_000_i64]
}

proptest! {
    #[test]
    fn times_only_grow_and_none_is_left_out(expression in expressions(), zone in 0..ZONES.len(), moment in moments()) {
        let schedule = schedule(&expression, ZONES[zone]);
        let begin = Timestamp::from_micros(moment);
        let mut last = begin;
        for _ in 0..20 {
            let next = schedule.after(last).expect("it goes on for ever");
            prop_assert!(next > last, "{next} follows {last}");
            prop_assert_eq!(next.as_micros() % 1_000_000, 0);
            // Whoever asks between the two is told the same.
            let middle = Timestamp::from_micros(last.as_micros() + (next.as_micros() - last.as_micros()) / 2);
            prop_assert_eq!(schedule.after(middle), Some(next), "asked at {}", middle);
            let before = Timestamp::from_micros(next.as_micros() - 1);
            prop_assert_eq!(schedule.after(before), Some(next));
            prop_assert_eq!(schedule.latest(begin, next), Some(next));
            last = next;
        }
    }

    #[test]
    fn jitter_is_the_same_for_all_and_ends_before_the_next_time(jitter in 0..3_600_000_u64, moment in moments()) {
        let definition = CronDefinition { jitter_ms: jitter, ..definition("*/10 * * * * *", CronBackfill::Last) };
        let schedule = check("entry", &definition).unwrap();
        let one = schedule.next("entry", &definition, Timestamp::from_micros(moment)).unwrap();
        let next = schedule.next("entry", &definition, one.due).unwrap();
        prop_assert!(one.due <= one.fires_at && one.fires_at < next.due);
        prop_assert!(one.fires_at.saturating_since(one.due) <= Duration::from_millis(jitter));
        prop_assert_eq!(Some(one), schedule.next("entry", &definition, Timestamp::from_micros(moment)));
    }

    /// Whenever somebody looks, and however the outages fall: each time is dealt with once, in order.
    #[test]
    fn each_time_is_dealt_with_once(
        policy in 0..3_usize, jitter in 0..20_000_u64, most in 1..20_u32,
        gaps in proptest::collection::vec(1..600_000_u64, 1..12), moment in moments(),
    ) {
        let backfill = [CronBackfill::None, CronBackfill::Last, CronBackfill::All][policy];
        let definition =
            CronDefinition { jitter_ms: jitter, backfill_most: most, ..definition("*/15 * * * * *", backfill) };
        let schedule = check("entry", &definition).unwrap();
        let mut now = Timestamp::from_micros(moment);
        let mut waits = schedule.next("entry", &definition, now).unwrap();
        let (mut fired, mut dealt_with) = (BTreeSet::new(), 0);
        let first = waits.due;
        for gap in gaps {
            now = now.saturating_add(Duration::from_millis(gap));
            loop {
                let plan = plan("entry", &definition, &schedule, waits.due, now);
                if plan.firings.is_empty() {
                    break;
                }
                for firing in plan.firings {
                    prop_assert_eq!(firing.from, waits.due);
                    dealt_with += firing.missed;
                    if let Some(due) = firing.due {
                        prop_assert!(due.fires_at <= now && due.due >= waits.due);
                        prop_assert!(fired.insert(due.due), "{} is fired twice", due.due);
                        dealt_with += 1;
                    }
                    waits = firing.next.unwrap();
                }
            }
            prop_assert!(waits.fires_at > now, "nothing that has come is left");
        }
        let all = (waits.due.as_micros() - first.as_micros()) / 15_000_000;
        prop_assert_eq!(i64::try_from(dealt_with).unwrap(), all);
    }
}
