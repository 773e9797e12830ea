//! Workers that crash, are replaced, and become more and fewer: `cargo run --example worker_pool --no-default-features`.

use std::{collections::BTreeMap, time::Duration};

use callboard::{
    Actor, ActorSystem, Context, Message, PlainHandler, PoolSpec, Routing, StartError, SupervisorSpec,
};

#[derive(Clone, Message)]
#[message(reply = Answer)]
struct Divide(u64, u64);

struct Answer {
    quotient: u64,
    worker: String,
}

struct Divider;

impl Actor for Divider {
    type Args = ();
    async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
        println!("worker {} starts, generation {}", cx.name(), cx.generation());
        Ok(Divider)
    }
}

impl PlainHandler<Divide> for Divider {
    type Reply = Answer;
    fn handle(&mut self, Divide(dividend, divisor): Divide, cx: &mut Context<Self>) -> Answer {
        Answer { quotient: dividend / divisor, worker: cx.name().to_owned() }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = PoolSpec::<Divider>::new("dividers", 3, ()).bounds(1..=8);
    let pool = spec.pool();
    let system = ActorSystem::builder("example").start(SupervisorSpec::new("root").pool(spec)).await?;

    let in_turn = pool.router(Routing::round_robin());
    for dividend in [10, 20, 30, 40] {
        let Answer { quotient, worker } = in_turn.ask(Divide(dividend, 5)).await?;
        println!("{dividend} / 5 = {quotient}, by worker {worker}");
    }
    if let Err(error) = in_turn.ask(Divide(1, 0)).await {
        println!("1 / 0: {error}");
    }

    let gone = pool.workers().remove(0);
    gone.stop();
    println!("worker 0 was stopped: {}", gone.watch().await);
    pool.filled().await?;
    println!("{} workers again", pool.workers().len());

    pool.resize(5)?;
    pool.filled().await?;
    let by_divisor = pool.router(Routing::consistent_hash(|Divide(_, divisor)| *divisor));
    let mut shares = BTreeMap::<String, Vec<u64>>::new();
    for divisor in 1..=20 {
        let Answer { worker, .. } = by_divisor.ask(Divide(100, divisor)).await?;
        shares.entry(worker).or_default().push(divisor);
    }
    for (worker, divisors) in shares {
        println!("worker {worker} has the divisors {divisors:?}");
    }
    let all = in_turn.ask_all(Duration::from_secs(1), Divide(84, 2)).await;
    let answers = all.iter().filter(|(_, answer)| answer.as_ref().is_ok_and(|answer| answer.quotient == 42));
    println!("{} of {} say that 84 / 2 is 42", answers.count(), all.len());

    let report = system.shutdown(Duration::from_secs(5)).await;
    println!("stopped in order: {}", report.is_clean());
    Ok(())
}
