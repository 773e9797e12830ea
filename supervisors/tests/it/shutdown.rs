//! A shutdown in phases, and what it reports.

use std::time::Duration;

use callboard_supervisors::{
    ActorRef, ActorSystem, AskError, ChildSpec, Shutdown, ShutdownPlan, State, SupervisorSpec,
};
use tokio::time::Instant;

use crate::worker::{Count, Hold, Worker, local, ms};

/// `store`, then `queues/job`, then `web`; each may take ten minutes to stop.
async fn service() -> (ActorSystem, [ActorRef<Worker>; 3]) {
    let patient =
        |name: &str| ChildSpec::<Worker>::new(name, ()).shutdown(Shutdown::Timeout(Duration::from_secs(600)));
    let (store, job, web) = (patient("store"), patient("job"), patient("web"));
    let refs = [store.actor_ref(), job.actor_ref(), web.actor_ref()];
    let queues = SupervisorSpec::new("queues").child(job);
    let root = SupervisorSpec::new("root").child(store).supervisor(queues).child(web);
    (ActorSystem::builder("test").local().start(root).await.expect("a system"), refs)
}

fn plan() -> ShutdownPlan {
    ShutdownPlan::new(Duration::from_secs(60)).phase("entrances", ms(100), ["web", "nowhere"]).phase(
        "work",
        Duration::from_secs(10),
        ["queues"],
    )
}

#[test]
fn each_phase_stops_its_part_while_the_rest_works_on() {
    local(async {
        let (system, [store, job, web]) = service().await;
        job.tell(Hold(ms(3000))).expect("room");
        job.inspect().await.expect("it is there");
        let began = Instant::now();
        let in_between = async {
            web.watch().await;
            assert_eq!(began.elapsed(), ms(0));
            assert_eq!(store.ask(Count).await, Ok((0, 1)));
            job.watch().await;
            assert_eq!(began.elapsed(), ms(3000));
        };
        let (report, ()) = tokio::join!(system.shutdown(plan()), in_between);
        assert!(report.is_clean(), "{report:?}");
        let phases: Vec<_> = report.phases.iter().map(|phase| (&*phase.name, phase.elapsed)).collect();
        assert_eq!(phases, [("entrances", ms(0)), ("work", ms(3000))]);
        assert_eq!(store.state(), State::Stopped);
    });
}

#[test]
fn a_phase_that_takes_too_long_is_named_and_the_next_begins() {
    local(async {
        let (system, [store, job, web]) = service().await;
        web.tell(Hold(ms(500))).expect("room");
        web.inspect().await.expect("it is there");
        let report = system.shutdown(plan()).await;
        let phases: Vec<_> = report.phases.iter().map(|phase| (phase.elapsed, &phase.unstopped)).collect();
        assert_eq!(phases, [(ms(100), &vec!["web".to_owned()]), (ms(0), &vec![])]);
        assert!(!report.is_clean(), "a phase was late");
        assert_eq!((report.elapsed, report.unstopped), (ms(500), vec![]), "it stopped in time for the whole");
        assert_eq!(job.ask(Count).await, Err(AskError::Stopped));
        assert_eq!(store.state(), State::Stopped);
    });
}

#[test]
fn the_deadline_of_the_whole_ends_the_phases_too() {
    local(async {
        let (system, [_, job, _]) = service().await;
        job.tell(Hold(Duration::from_secs(500))).expect("room");
        job.inspect().await.expect("it is there");
        let plan = ShutdownPlan::new(ms(200)).phase("work", Duration::from_secs(100), ["queues"]);
        let report = system.shutdown(plan).await;
        assert_eq!(report.elapsed, ms(200));
        assert_eq!(report.unstopped, ["store", "queues/job", "web"], "no time was left for the others");
        assert_eq!(report.phases[0].unstopped, ["queues/job"]);
    });
}

/// The names of this process's threads that begin so.
#[cfg(target_os = "linux")]
fn threads(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_system_that_does_not_start_leaves_no_thread_behind() {
    let spec = SupervisorSpec::new("root").child(ChildSpec::<Worker>::new("a/b", ()));
    let started = ActorSystem::builder("unstarted").executors(2).start(spec).await;
    assert!(matches!(started, Err(callboard_supervisors::StartSystemError::Invalid(_))));
    while threads("unstarted") > 0 {
        tokio::time::sleep(ms(1)).await;
    }
}

#[test]
fn a_deadline_beyond_all_time_is_none() {
    local(async {
        let (system, [store, ..]) = service().await;
        store.tell(Hold(ms(3000))).expect("room");
        let plan = ShutdownPlan::new(Duration::MAX).phase("entrances", Duration::MAX, ["web"]);
        let report = system.shutdown(plan).await;
        assert!(report.is_clean(), "{report:?}");
    });
}

#[tokio::test]
async fn whoever_shuts_down_at_the_same_time_hears_the_same() {
    let root = SupervisorSpec::new("root").child(ChildSpec::<Worker>::new("worker", ()));
    let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
    let limit = Duration::from_secs(5);
    let (one, other) = tokio::join!(system.shutdown(limit), system.shutdown(limit));
    assert!(one.is_clean() && other.is_clean(), "{one:?} {other:?}");
    let late = system.shutdown(limit).await;
    assert!(late.is_clean(), "{late:?}");
}
