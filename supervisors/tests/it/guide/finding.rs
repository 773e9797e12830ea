//! Names, topics, pools and routers.

use std::{error::Error, time::Duration};

use callboard_supervisors::{
    Actor, ActorSystem, ChildSpec, Context, Message, PlainHandler, PoolSpec, Routing, SlowSubscriber,
    StartError, Subscription, SupervisorSpec, Topic, testkit::run,
};

#[derive(Clone, Message)]
struct Price(u32);

#[derive(Message)]
#[message(reply = u32)]
struct Latest;

#[derive(Message)]
#[message(reply = u64)]
struct Square(u64);

struct Window {
    price: u32,
    _subscription: Subscription<Price>,
}

impl Actor for Window {
    type Args = Topic<Price>;
    async fn start(prices: Topic<Price>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        // Kept in the state, so each generation subscribes for itself.
        let subscription = prices.subscribe(cx.myself(), SlowSubscriber::Skip)?;
        Ok(Window { price: 0, _subscription: subscription })
    }
}

impl PlainHandler<Price> for Window {
    type Reply = ();
    fn handle(&mut self, Price(price): Price, _: &mut Context<Self>) {
        self.price = price;
    }
}

impl PlainHandler<Latest> for Window {
    type Reply = u32;
    fn handle(&mut self, _: Latest, _: &mut Context<Self>) -> u32 {
        self.price
    }
}

struct Worker;

impl Actor for Worker {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Worker)
    }
}

impl PlainHandler<Square> for Worker {
    type Reply = u64;
    fn handle(&mut self, Square(number): Square, _: &mut Context<Self>) -> u64 {
        number * number
    }
}

#[test]
fn actors_are_found_subscribed_and_shared() -> Result<(), Box<dyn Error>> {
    run(async {
        let prices = Topic::<Price>::new("prices");
        let window = ChildSpec::<Window>::new("window", prices.clone()).registered("main window");
        let squares = PoolSpec::<Worker>::new("squares", 4, ());
        let pool = squares.pool();
        let root = SupervisorSpec::new("root").child(window).pool(squares);
        let system = ActorSystem::builder("shop").local().start(root).await?;

        // By name, from anywhere; inside an actor by `cx.registry()`. By its place in the tree. Or wait until it is there.
        let window = system.registry().lookup::<Window>("main window").expect("it is registered");
        assert_eq!(system.find::<Window>("window"), Some(window.clone()));
        assert_eq!(system.registry().wait_for::<Window>("main window").await?, window);

        assert_eq!(prices.publish(Price(3)).delivered, 1); // never waits
        assert_eq!(window.ask(Latest).await?, 3);

        let any = pool.router(Routing::least_busy()); // or round_robin, or consistent_hash by a key
        assert_eq!(any.ask(Square(12)).await?, 144);
        pool.resize(8)?;
        pool.filled().await?;

        assert_eq!(pool.workers().len(), 8);
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        Ok(())
    })
}
