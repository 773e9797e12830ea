use std::time::Duration;

use prometheus::IntCounter;
use uuid::Uuid;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HALF: Duration = Duration::from_millis(500);

fn journal_with(limits: LogLimits, inbox: &Arc<Inbox>) -> Arc<Journal> {
    let counter = |name: &str| IntCounter::new(name, name).unwrap();
    let counters = (counter("said"), counter("dropped"));
    Journal::new(JournalArgs {
        lease: Lease { id: Uuid::nil(), token: 7 },
        started_at: Timestamp::from_micros(1),
        queue: "default".to_owned(),
        job_type: "noop".to_owned(),
        limits,
        inbox: Arc::downgrade(inbox),
        budget: inbox.budget.clone(),
        clock: Box::new(|| Timestamp::from_micros(1_000)),
        counters: Box::new(move |_, _| counters.clone()),
    })
}

fn journal(limits: LogLimits) -> Arc<Journal> {
    journal_with(limits, &Arc::default())
}

fn numbers(report: &Report) -> Vec<u64> {
    report.lines.iter().map(|line| line.number).collect()
}

/// What the store holds after these reports.
fn stored(reports: &[Report]) -> Vec<u64> {
    let mut all = std::collections::BTreeSet::new();
    for report in reports {
        all.extend(numbers(report));
        if let Some((first, last)) = report.forget {
            all.retain(|number| !(first..=last).contains(number));
        }
    }
    all.into_iter().collect()
}

#[test]
fn a_flood_of_progress_is_one_word_a_second_and_the_last_one_is_among_them() {
    let inbox = Arc::new(Inbox::default());
    let journal = journal_with(LogLimits::default(), &inbox);
    let now = Instant::now();
    let mut written = Vec::new();
    let mut clock = now;
    for number in 0..1_000_000_u64 {
        journal.progress(Fraction::from((number, 1_000_000)), None);
        if number % 1_000 == 0 {
            // A thousand words every hundredth of a second.
            clock += Duration::from_millis(10);
            let (due, _) = inbox.due(clock, 10);
            assert!(due.len() <= 1, "it is there once");
            for journal in due {
                written.push(journal.take(clock).unwrap().progress.unwrap());
                journal.written();
                inbox.put_back([journal]);
            }
        }
    }
    assert_eq!(inbox.budget.used(), 0);
    assert!(written.len() <= 11, "{} in ten seconds", written.len());
    assert!(written.is_sorted_by(|one, next| one.at < next.at && one.fraction < next.fraction));
    let last = journal.close().unwrap().progress.unwrap();
    assert_eq!(last.fraction, 0.999_999);
    journal.progress(Fraction::from(1.0), None);
    assert_eq!(journal.close(), None, "nothing is said after the end");
}

#[test]
fn of_a_flood_of_lines_the_first_and_the_newest_are_kept_and_the_gap_is_known() {
    let limits = LogLimits { lines: 10, bytes: 1 << 20, line: 1 << 10 };
    let inbox = Arc::new(Inbox::default());
    let journal = journal_with(limits, &inbox);
    let mut clock = Instant::now();
    let mut reports = Vec::new();
    for round in 0..50 {
        for _ in 0..=round {
            journal.log(LogLevel::Info, "x");
        }
        clock += SECOND;
        reports.extend(journal.take(clock));
        journal.written();
        assert!(stored(&reports).len() <= 10);
    }
    assert_eq!(stored(&reports), [1, 2, 3, 4, 5, 1271, 1272, 1273, 1274, 1275]);
    journal.log(LogLevel::Info, "last");
    reports.extend(journal.close());
    assert_eq!(stored(&reports), [1, 2, 3, 4, 5, 1272, 1273, 1274, 1275, 1276]);
    assert_eq!(journal.counters().0.get(), 1276);
    assert_eq!(journal.counters().1.get(), 1266);
    assert_eq!(inbox.budget.used(), 0);
}

#[test]
fn bytes_are_bounded_and_long_lines_are_cut() {
    let limits = LogLimits { lines: 1_000, bytes: 400, line: 100 };
    let journal = journal(limits);
    let line = "ä".repeat(100);
    for _ in 0..100 {
        journal.log(LogLevel::Warn, &line);
    }
    let report = journal.close().unwrap();
    let bytes: usize = report.lines.iter().map(|line| line.text.len()).sum();
    assert!((200..=400).contains(&bytes), "{bytes}");
    assert_eq!(numbers(&report).first(), Some(&1));
    assert_eq!(numbers(&report).last(), Some(&100));
    assert!(report.lines.iter().all(|line| line.text.ends_with("… (200 bytes in all)")));
}

#[test]
fn what_is_not_known_to_be_written_is_sent_again_and_goes_with_the_end() {
    let journal = journal(LogLimits { lines: 8, ..LogLimits::default() });
    let now = Instant::now();
    journal.log(LogLevel::Info, "one\r\ntwo\n");
    journal.progress(Fraction::from(0.5), Some("half".to_owned()));
    let first = journal.take(now).unwrap();
    assert!(first.first && first.started_at.is_some());
    assert_eq!(first.lines.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["one", "two"]);
    journal.log(LogLevel::Info, "");
    assert_eq!(journal.take(now + SECOND).unwrap(), first, "the same again");
    let last = journal.close().unwrap();
    assert_eq!(numbers(&last), [1, 2, 3]);
    assert!(last.first && last.progress == first.progress);
    assert_eq!(journal.take(now + 2 * SECOND), None);
}

#[test]
fn an_attempt_is_written_at_most_once_a_second_and_sooner_if_much_is_said() {
    let inbox = Arc::new(Inbox::default());
    let journal = journal_with(LogLimits { lines: 8, ..LogLimits::default() }, &inbox);
    let now = Instant::now();
    journal.log(LogLevel::Info, "first");
    assert_eq!(inbox.due(now, 10).0.len(), 1, "the first word is written at once");
    journal.take(now).unwrap();
    journal.written();
    inbox.put_back([journal.clone()]);
    journal.log(LogLevel::Info, "second");
    let (due, next) = inbox.due(now + HALF, 10);
    assert!(due.is_empty());
    assert_eq!(next, Some(HALF));
    for _ in 0..6 {
        journal.log(LogLevel::Info, "more");
    }
    assert_eq!(inbox.due(now + HALF, 10).0.len(), 1);
    journal.take(now + HALF).unwrap();
    journal.log(LogLevel::Info, "while it is written");
    journal.written();
    // It was taken out: who wrote it puts it back.
    assert!(inbox.due(now + 3 * SECOND, 10).0.is_empty());
    inbox.put_back([journal]);
    assert_eq!(inbox.due(now + 3 * SECOND, 10).0.len(), 1);
}

#[test]
fn what_all_attempts_hold_is_bounded_and_each_keeps_its_newest_line() {
    let inbox = Arc::new(Inbox::new(10_000));
    let journals: Vec<_> = (0..50).map(|_| journal_with(LogLimits::default(), &inbox)).collect();
    for round in 0..100 {
        for journal in &journals {
            journal.log(LogLevel::Info, &format!("round {round}"));
        }
    }
    assert!(inbox.budget.used() < 10_000 + 50 * 100, "{}", inbox.budget.used());
    for journal in &journals {
        assert_eq!(journal.close().unwrap().lines.last().unwrap().text, "round 99");
    }
    drop(journals);
    assert_eq!(inbox.budget.used(), 0);
}

#[test]
fn a_log_that_is_switched_off_still_lets_the_progress_through() {
    let journal = journal(LogLimits { lines: 0, ..LogLimits::default() });
    journal.log(LogLevel::Info, "nobody hears");
    assert_eq!(journal.take(Instant::now()), None);
    journal.progress(Fraction::from((1, 2)), None);
    assert!(journal.close().unwrap().lines.is_empty());
}

#[test]
fn what_is_refused_is_dropped_and_counted() {
    let journal = journal(LogLimits::default());
    journal.log(LogLevel::Info, "one\ntwo");
    journal.take(Instant::now()).unwrap();
    journal.refused();
    assert_eq!(journal.counters().1.get(), 2);
    journal.log(LogLevel::Info, "three");
    assert_eq!(numbers(&journal.close().unwrap()), [3]);
}

#[test]
fn of_many_states_the_newest_is_written_and_none_twice() {
    let inbox = Arc::new(Inbox::default());
    let journal = journal_with(LogLimits::default(), &inbox);
    let now = Instant::now();
    for number in 0..1000 {
        journal.publish(number.to_string());
    }
    journal.taken(3);
    let (due, _) = inbox.due(now, 10);
    assert_eq!(due.len(), 1);
    let report = journal.take(now).unwrap();
    let first = report.published.clone().unwrap();
    assert_eq!((&*first.value, &report.taken[..]), ("999", &[3][..]));
    journal.written();
    // The same again is no news.
    journal.publish("999".to_owned());
    assert_eq!(journal.take(now + SECOND), None);
    journal.publish("1000".to_owned());
    journal.taken(5);
    let unwritten = journal.take(now + 2 * SECOND).unwrap();
    assert!(unwritten.published.as_ref().unwrap().at > first.at, "no two have the same time");
    // What is not known to be written goes with the end, together with what came later.
    journal.publish("1001".to_owned());
    journal.taken(6);
    let last = journal.close().unwrap();
    assert_eq!((&*last.published.unwrap().value, last.taken), ("1001", vec![5, 6]));
    journal.publish("1002".to_owned());
    journal.taken(7);
    assert_eq!(journal.close(), None);
}
