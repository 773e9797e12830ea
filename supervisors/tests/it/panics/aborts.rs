//! What no runtime can catch: a `Drop` that panics while another panic unwinds through it. Rust ends the process then.
//! Each is shown in a process of its own.

use std::{
    env,
    os::unix::process::ExitStatusExt,
    process::{Command, exit},
};

use callboard_supervisors::{MailboxSpec, Restart};

use super::{AsyncMessage, Place, PlainMessage, Scene, victim::Arm};
use crate::worker::local;

/// Names the test in a process that is to die of it.
const CHILD: &str = "CALLBOARD_TEST_ABORTS";
const SIGABRT: i32 = 6;

/// Runs `dies` in another process, which must die of it.
fn aborts(test: &str, dies: impl AsyncFnOnce(&Scene)) {
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        local(async {
            let scene = Scene::new(Restart::Permanent, MailboxSpec::default()).await;
            dies(&scene).await;
        });
        // It has survived.
        exit(0);
    }
    let binary = env::current_exe().expect("the test's own program");
    let mut child = Command::new(binary);
    child.args([format!("panics::aborts::{test}").as_str(), "--exact", "--nocapture"]).env(CHILD, test);
    let output = child.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{}\n{errors}", output.status);
    assert!(errors.contains("panic in a destructor during cleanup"), "{errors}");
}

#[test]
fn a_local_value_of_a_plain_handler_that_panics() {
    aborts("a_local_value_of_a_plain_handler_that_panics", async |scene| {
        // The message is such a value.
        scene.fuse.light(&[Place::Plain, Place::DropOfMessage]);
        let _ = scene.victim.ask(PlainMessage::new(&scene.fuse)).await;
    });
}

#[test]
fn a_local_value_of_an_async_handler_that_panics() {
    aborts("a_local_value_of_an_async_handler_that_panics", async |scene| {
        scene.fuse.light(&[Place::AsyncAfter, Place::DropOfMessage]);
        let _ = scene.victim.ask(AsyncMessage::new(&scene.fuse)).await;
    });
}

#[test]
fn the_arguments_in_a_start_that_panics() {
    aborts("the_arguments_in_a_start_that_panics", async |scene| {
        scene.fuse.light(&[Place::StartAfter, Place::DropOfArgs]);
        scene.victim.kill();
        super::idle().await;
    });
}

#[test]
fn what_a_timers_closure_holds_when_it_panics() {
    aborts("what_a_timers_closure_holds_when_it_panics", async |scene| {
        scene.fuse.light(&[Place::Then, Place::DropOfFuture]);
        scene.victim.ask(Arm(Place::Then)).await.expect("an answer");
        super::idle().await;
    });
}
