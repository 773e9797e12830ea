//! An actor of one node asks an actor of another, over RabbitMQ: typed, at most once, within a time.
//!
//! `cargo run --example remote --features rabbitmq -- amqp://guest:guest@127.0.0.1:5672/%2f FOLDER`

use std::{path::Path, time::Duration};

use callboard::{
    Actor, App, AppBuilder, ChildSpec, Context, Message, PlainHandler, StartError,
    config::BrokerUrl,
    remote::{RemoteError, RemoteMessage},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reserves seats in a room. How many are left is the answer.
#[derive(Clone, Message, Serialize, Deserialize, JsonSchema)]
#[message(reply = Result<u32, String>)]
struct Reserve {
    /// How many.
    #[schemars(range(min = 1, max = 10))]
    seats: u32,
}

impl RemoteMessage for Reserve {
    const TYPE: &'static str = "reserve";
}

/// The one who knows which seats are left.
struct Room(u32);

impl Actor for Room {
    type Args = u32;

    async fn start(seats: u32, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Room(seats))
    }
}

impl PlainHandler<Reserve> for Room {
    type Reply = Result<u32, String>;

    fn handle(&mut self, Reserve { seats }: Reserve, _: &mut Context<Self>) -> Self::Reply {
        self.0 = self.0.checked_sub(seats).ok_or_else(|| format!("only {} are left", self.0))?;
        Ok(self.0)
    }
}

/// A node by itself: two of them are two processes as well as two apps in one.
fn node(broker: &str, folder: &Path, name: &str) -> Result<AppBuilder, Box<dyn std::error::Error>> {
    let url = BrokerUrl::new(broker)?;
    let builder = App::builder().data_dir(folder.join(name)).configure(|settings| {
        // Nodes of other runs have other names.
        settings.system.node_name = Some(format!("{name}-{}", std::process::id()));
        settings.bus.url = Some(url);
        settings.bus.events = false;
    });
    Ok(builder)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().ok_or("which broker? amqp://USER:PASSWORD@HOST:5672/VHOST")?;
    let folder = arguments.next().unwrap_or_else(|| "callboard-data".to_owned());
    let folder = Path::new(&folder);

    // What is offered can be reached by other nodes, and nothing else.
    let room = ChildSpec::<Room>::new("room", 12);
    let offered = room.actor_ref().recipient::<Reserve>();
    let theatre = node(&broker, folder, "theatre")?.actor(room).offer("room", offered).start().await?;
    let office = node(&broker, folder, "office")?.start().await?;

    let room = office.remote::<Reserve>(format!("theatre-{}", std::process::id()), "room");
    // The nodes have just begun to connect.
    let left = loop {
        match room.ask_within(Duration::from_secs(10), Reserve { seats: 5 }).await {
            // Neither of these was handled, so it can be asked again.
            Err(RemoteError::NotConnected(_) | RemoteError::NoNode(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => break answer?,
        }
    };
    println!("5 seats are ours: {left:?} left");
    println!("8 more: {:?}", room.ask(Reserve { seats: 8 }).await?);
    // What breaks a rule of the schema reaches no actor.
    match room.ask(Reserve { seats: 100 }).await {
        Err(RemoteError::Refused(why)) => println!("100 more are refused: {why}"),
        other => println!("{other:?}"),
    }
    let box_office = office.remote::<Reserve>(format!("theatre-{}", std::process::id()), "box-office");
    let not_offered =
        matches!(box_office.ask(Reserve { seats: 1 }).await, Err(RemoteError::NotOffered { .. }));
    println!("an actor that is not offered cannot be reached: {not_offered}");

    theatre.stop().await;
    loop {
        match room.ask_within(Duration::from_secs(1), Reserve { seats: 1 }).await {
            Err(RemoteError::NoNode(_)) => break println!("the theatre has closed"),
            // The broker has not seen it go yet: the message is lost with the theatre's queue.
            Err(RemoteError::TimedOut(_)) => {}
            other => return Err(format!("a theatre that is closed has answered {other:?}").into()),
        }
    }
    office.stop().await;
    Ok(())
}
