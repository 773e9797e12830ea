//! An actix-web server whose handlers ask a supervised actor.
//!
//! `cargo run --example actix_web --no-default-features --features web` asks a few things of itself and ends; with an
//! address behind `--`, as in `127.0.0.1:8080`, it serves until Ctrl-C.

use std::{error::Error, time::Duration};

use actix_web::{
    App, HttpServer,
    web::{self, Data, Json, Path},
};
use callboard::{
    Actor, ActorRef, ActorSystem, ChildSpec, Context, Message, PlainHandler, StartError, State,
    SupervisorSpec, web::Unanswered,
};
use serde::Serialize;

#[derive(Message)]
#[message(reply = u8)]
struct Add(u8);

struct Counter(u8);

impl Actor for Counter {
    type Args = u8;
    async fn start(first: u8, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Counter(first))
    }
}

impl PlainHandler<Add> for Counter {
    type Reply = u8;
    fn handle(&mut self, Add(amount): Add, _: &mut Context<Self>) -> u8 {
        self.0 = self.0.checked_add(amount).expect("a counter of eight bits");
        self.0
    }
}

#[derive(Serialize)]
struct Sum {
    sum: u8,
    generation: u64,
}

/// The address is good on every worker thread, and over restarts. Without an answer, `?` makes a problem of it.
async fn add(counter: Data<ActorRef<Counter>>, amount: Path<u8>) -> Result<Json<Sum>, Unanswered> {
    let sum = counter.ask(Add(*amount)).await?;
    Ok(Json(Sum { sum, generation: counter.snapshot().generation }))
}

/// Looking asks nobody.
async fn state(counter: Data<ActorRef<Counter>>) -> &'static str {
    counter.state().as_str()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::args().nth(1);
    let spec = ChildSpec::<Counter>::new("counter", 200);
    let counter = spec.actor_ref();
    let system = ActorSystem::builder("example").start(SupervisorSpec::new("root").child(spec)).await?;

    let data = Data::new(counter.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/counter", web::get().to(state))
            .route("/counter/add/{amount}", web::post().to(add))
    })
    .workers(2)
    .bind(listen.as_deref().unwrap_or("127.0.0.1:0"))?;
    let address = *server.addrs().first().ok_or("the server listens nowhere")?;
    println!("listening on http://{address}");
    let server = server.run();
    if listen.is_some() {
        server.await?;
    } else {
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        demonstrate(&format!("http://{address}"), &counter).await?;
        handle.stop(true).await;
        serving.await??;
    }

    // After the server: no handler asks any more.
    let report = system.shutdown(Duration::from_secs(5)).await;
    println!("stopped in order: {}", report.is_clean());
    Ok(())
}

async fn demonstrate(server: &str, counter: &ActorRef<Counter>) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::new();
    let add = async |amount: u8| {
        let answer = client.post(format!("{server}/counter/add/{amount}")).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        println!("+ {amount}: {status} {text}");
        Ok::<_, reqwest::Error>(())
    };
    add(50).await?;
    // Beyond 255 it panics: this request fails, the next one meets the next generation.
    add(50).await?;
    add(1).await?;
    let state = client.get(format!("{server}/counter")).send().await?.text().await?;
    println!("the counter is {state}");
    // What is stopped by hand stays so.
    counter.stop();
    counter.watch().await;
    assert_eq!(counter.state(), State::Stopped);
    add(1).await?;
    Ok(())
}
