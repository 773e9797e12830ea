//! Bounds of mailboxes.

use std::{error::Error, time::Duration};

use callboard_supervisors::{
    Actor, ActorSystem, AskError, ChildSpec, Context, MailboxSpec, Message, Overflow, PlainHandler,
    SendError, StartError, SupervisorSpec, testkit::run,
};

#[derive(Message)]
struct Draw {
    window: u64,
    text: &'static str,
}

#[derive(Message)]
#[message(reply = Vec<String>)]
struct Drawn;

struct Screen(Vec<String>);

impl Actor for Screen {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Screen(Vec::new()))
    }
}

impl PlainHandler<Draw> for Screen {
    type Reply = ();
    fn handle(&mut self, draw: Draw, _: &mut Context<Self>) {
        self.0.push(format!("{}: {}", draw.window, draw.text));
    }

    /// Only the newest that waits for a window is drawn.
    fn coalesce(draw: &Draw) -> Option<u64> {
        Some(draw.window)
    }
}

impl PlainHandler<Drawn> for Screen {
    type Reply = Vec<String>;
    fn handle(&mut self, _: Drawn, _: &mut Context<Self>) -> Vec<String> {
        std::mem::take(&mut self.0)
    }
}

#[test]
fn a_full_mailbox_says_so_and_what_is_lost_is_told() -> Result<(), Box<dyn Error>> {
    run(async {
        let mailbox = MailboxSpec::bounded(2).overflow(Overflow::Block(Duration::from_millis(50)));
        let spec = ChildSpec::<Screen>::new("screen", ()).mailbox(mailbox);
        let screen = spec.actor_ref();
        let (lost, told) = std::sync::mpsc::channel();

        let system = ActorSystem::builder("desk")
            .local()
            .undelivered(move |lost_one| {
                let _ = lost.send(format!("{}: {}", lost_one.path, lost_one.reason));
            })
            .start(SupervisorSpec::new("root").child(spec))
            .await?;

        screen.suspend();
        screen.inspect().await.expect("it is there");
        screen.tell(Draw { window: 1, text: "old" })?;
        screen.tell(Draw { window: 2, text: "other" })?;
        screen.tell(Draw { window: 1, text: "new" })?; // takes the place of "old", though there is no room
        let Err(SendError::Full(Draw { window: 3, .. })) = screen.tell(Draw { window: 3, text: "third" })
        else {
            panic!("there is no room, and the message comes back");
        };
        assert_eq!(screen.ask(Drawn).await, Err(AskError::Full)); // after 50 ms
        screen.resume();
        assert_eq!(screen.ask(Drawn).await?, ["1: new", "2: other"]);

        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["screen: replaced"]);
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        Ok(())
    })
}
