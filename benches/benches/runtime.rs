//! The runtime's own hot paths, for finding regressions: `cargo bench --manifest-path benches/Cargo.toml` compares with
//! the run before. For comparisons with other libraries see `src/`.

use std::time::{Duration, Instant};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, ChildSpec, Context, DynamicSupervisor, DynamicSupervisorSpec, Handler,
    MailboxSpec, Message, PlainHandler, StartError, SupervisorSpec,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

struct Counter(u64);

impl Actor for Counter {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Counter(0))
    }
}

#[derive(Message)]
struct Add;

impl PlainHandler<Add> for Counter {
    type Reply = ();
    fn handle(&mut self, _: Add, _: &mut Context<Self>) {
        self.0 += 1;
    }
}

#[derive(Message)]
struct AddAsync;

impl Handler<AddAsync> for Counter {
    async fn handle(&mut self, _: AddAsync, _: &mut Context<Self>) {
        self.0 += 1;
    }
}

#[derive(Message)]
#[message(reply = u64)]
struct Get;

impl PlainHandler<Get> for Counter {
    type Reply = u64;
    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

fn start(supervisor: &DynamicSupervisor, name: String) -> ActorRef<Counter> {
    let child = ChildSpec::<Counter>::new(name, ()).mailbox(MailboxSpec::bounded(BURST));
    supervisor.spawn_child(child).expect("a supervisor without a limit")
}

/// Runs `body` with a supervisor on a runtime of its own. The body times itself.
fn timed(body: impl AsyncFnOnce(DynamicSupervisor) -> Duration) -> Duration {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(Default::default()).expect("a runtime");
    runtime.block_on(async {
        let spec = DynamicSupervisorSpec::new("counters");
        let supervisor = spec.handle();
        let root = SupervisorSpec::new("root").dynamic(spec);
        let system = ActorSystem::builder("bench").local().start(root).await.expect("a system");
        let time = body(supervisor).await;
        system.shutdown(Duration::from_secs(60)).await;
        time
    })
}

/// Messages that are sent before the actor has its turn.
const BURST: usize = 1000;

fn tell(tell: fn(&ActorRef<Counter>) -> bool, bursts: u64) -> Duration {
    timed(async |supervisor| {
        let counter = start(&supervisor, "counter".into());
        counter.ask(Get).await.expect("an answer");
        let began = Instant::now();
        for _ in 0..bursts {
            for _ in 1..BURST {
                assert!(tell(&counter), "there is room");
            }
            counter.ask(Get).await.expect("an answer");
        }
        began.elapsed()
    })
}

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tell");
    group.throughput(Throughput::Elements(BURST as u64));
    group.bench_function("plain", |bencher| {
        bencher.iter_custom(|bursts| tell(|to| to.tell(Add).is_ok(), bursts))
    });
    group.bench_function("async", |bencher| {
        bencher.iter_custom(|bursts| tell(|to| to.tell(AddAsync).is_ok(), bursts))
    });
    group.finish();
    criterion.bench_function("ask", |bencher| {
        bencher.iter_custom(|asks| {
            timed(async |supervisor| {
                let counter = start(&supervisor, "counter".into());
                counter.ask(Get).await.expect("an answer");
                let began = Instant::now();
                for _ in 0..asks {
                    counter.ask(Get).await.expect("an answer");
                }
                began.elapsed()
            })
        });
    });
    criterion.bench_function("spawn, ask, stop, watch", |bencher| {
        bencher.iter_custom(|lives| {
            timed(async |supervisor| {
                let began = Instant::now();
                for n in 0..lives {
                    let counter = start(&supervisor, format!("counter-{n}"));
                    counter.ask(Get).await.expect("an answer");
                    counter.stop();
                    counter.watch().await;
                }
                began.elapsed()
            })
        });
    });
}

criterion_group!(benches, paths);
criterion_main!(benches);
