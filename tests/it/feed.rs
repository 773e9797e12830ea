//! The live feed, the overview and the numbers over time.

use serde_json::Value;

use crate::{
    events::{Follower, Frame},
    server::{Options, Server, eventually},
};

/// Watches these topics, from the beginning or behind a frame.
fn watch(server: &Server, topics: &str, last: Option<&str>) -> Follower {
    let (status, head, follower) = Follower::ask_at(server, &format!("/api/v1/feed?topics={topics}"), last);
    assert_eq!(status, 200, "{head:?}");
    assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
    follower
}

/// The next frame for which this holds.
fn until(follower: &mut Follower, what: &str, holds: impl Fn(&Frame) -> bool) -> Frame {
    for _ in 0..120 {
        let frame = follower.frame().expect("the stream has no end");
        if holds(&frame) {
            return frame;
        }
    }
    panic!("in two minutes of frames there was none: {what}");
}

#[test]
fn the_feed_begins_with_all_there_is_and_goes_on_with_what_changes() {
    let server = Server::start(&Options::default());
    let mut follower = watch(&server, "queues,overview,tree,nodes,edges,jobs", None);
    let mut full = Vec::new();
    while full.len() < 6 {
        let frame = follower.frame().expect("a frame");
        if frame.event == "overview" || frame.data["full"] == true {
            full.push(frame.event.clone());
        }
        full.dedup();
    }
    full.sort();
    assert_eq!(full, ["edges", "jobs", "nodes", "overview", "queues", "tree"]);

    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    server.post("/api/v1/jobs", &format!("{{\"type\":\"noop\",\"id\":\"{id}\"}}"));
    until(&mut follower, "the job is done", |frame| {
        frame.event == "jobs"
            && frame.data["full"] == false
            && frame.data["changed"][0]["id"] == id
            && frame.data["changed"][0]["state"] == "completed"
    });
    let queue = until(&mut follower, "the queue has completed it", |frame| {
        frame.event == "queues" && frame.data["changed"][0]["completed"] == 1
    });
    assert_eq!((&queue.data["full"], &queue.data["changed"][0]["name"]), (&false.into(), &"default".into()));
    let overview = until(&mut follower, "the totals have it", |frame| {
        frame.event == "overview" && frame.data["totals"]["completed"] == 1
    });
    assert_eq!(overview.data["readiness"]["status"], "ready");
    assert_eq!(overview.data["nodes"], 1);
    let asked = server.get("/api/v1/overview").json();
    assert_eq!(asked["totals"], overview.data["totals"]);
    assert_eq!(asked["node"], overview.data["node"]);
    until(&mut follower, "the rates have it", |frame| {
        frame.event == "overview"
            && frame.data["rates"]["completed"].as_f64() > Some(0.0)
            && frame.data["wait"]["p50_ms"].as_f64() > Some(0.0)
            && frame.data["run"]["p99_ms"].as_f64() > Some(0.0)
    });
    let series = server.get("/api/v1/series?names=completed,wait_p99_ms").json();
    let of = |name: &str| series["points"][name].as_array().expect("points").clone();
    assert_eq!(of("completed").len(), of("wait_p99_ms").len());
    assert!(of("completed").iter().any(|point| point.as_f64() > Some(0.0)), "{series}");
    let of_queue = server.get("/api/v1/series?queue=default").json();
    assert_eq!(of_queue["points"].as_object().expect("points").len(), 5);
}

#[test]
fn an_actor_that_is_suspended_resumed_restarted_and_stopped_is_seen_in_the_tree() {
    let server = Server::start(&Options::default());
    let node = server.get("/api/v1/nodes").json()[0]["name"].as_str().expect("a name").to_owned();
    let mut follower = watch(&server, "tree", None);
    let order = |action: &str, actor: &str| {
        let order = format!("{{\"action\":\"{action}\",\"actor\":\"{actor}\"}}");
        let command = server.post(&format!("/api/v1/nodes/{node}/commands"), &order).json();
        let path = format!("/api/v1/commands/{}", command["id"].as_str().expect("an id"));
        eventually("it is carried out", || server.get(&path).json()["state"] != "waiting");
        server.get(&path).json()
    };
    let scheduler = "observers/scheduler";
    let is = |frame: &Frame, key: &str, value: &Value| {
        let changed = frame.data["changed"].as_array().expect("a list");
        changed.iter().any(|entry| entry["path"] == scheduler && entry[key] == *value)
    };
    assert_eq!(order("suspend_actor", scheduler)["state"], "done");
    until(&mut follower, "it is suspended", |frame| is(frame, "state", &"suspended".into()));
    assert_eq!(order("resume_actor", scheduler)["state"], "done");
    until(&mut follower, "it runs", |frame| is(frame, "state", &"running".into()));
    assert_eq!(order("restart_actor", scheduler)["state"], "done");
    let frame = until(&mut follower, "it is another generation", |frame| is(frame, "generation", &1.into()));
    let changed = frame.data["changed"].as_array().expect("a list");
    let entry = changed.iter().find(|entry| entry["path"] == scheduler).expect("it is there");
    assert_eq!((&entry["parent"], entry.get("children")), (&"observers".into(), None));
    assert_eq!(order("stop_actor", scheduler)["state"], "done");
    until(&mut follower, "it is gone", |frame| {
        is(frame, "state", &"stopped".into())
            || frame.data["removed"].as_array().is_some_and(|removed| removed.contains(&scheduler.into()))
    });
    // Nobody would hear the command that undoes it.
    for needed in ["edges/store", "observers", "observers/commands"] {
        for action in ["suspend_actor", "stop_actor"] {
            let refused = order(action, needed);
            assert_eq!(refused["state"], "failed", "{refused}");
        }
    }
    let names: Vec<Value> = server.get("/api/v1/audit").json()["entries"]
        .as_array()
        .expect("a trail")
        .iter()
        .map(|entry| entry["action"].clone())
        .collect();
    for action in ["node.suspend_actor", "node.resume_actor", "node.restart_actor", "node.stop_actor"] {
        assert!(names.contains(&action.into()), "{action} is not in {names:?}");
    }
}

#[test]
fn a_lost_feed_is_resumed_and_one_of_another_life_begins_anew() {
    let mut server = Server::start(&Options::default());
    let mut follower = watch(&server, "overview", None);
    let seen = follower.frame().expect("a frame").id;
    let after = follower.frame().expect("another one").id;
    drop(follower);
    let mut follower = watch(&server, "overview", Some(&seen));
    assert_eq!(follower.frame().expect("the one that followed").id, after);
    drop(follower);
    // What was never told is not known.
    for unknown in ["1-1", "nonsense", "-", &format!("{}9", seen)] {
        let mut follower = watch(&server, "overview", Some(unknown));
        assert_eq!(follower.frame().expect("a frame").event, "reset", "{unknown}");
        assert_eq!(follower.frame().expect("a frame").event, "overview", "{unknown}");
    }
    let kept = server.keep_folder();
    let (data, _) = server.kill();
    let server = Server::start_on(&data, &Options::default()).expect("it comes back");
    let mut follower = watch(&server, "overview", Some(&after));
    assert_eq!(follower.frame().expect("a frame").event, "reset");
    drop((server, kept));
}

#[test]
fn a_watcher_that_does_not_read_costs_no_memory_and_misses_nothing_that_is_kept() {
    let server = Server::start(&Options::default());
    let mut slow = watch(&server, "tree", None);
    let mut quick = watch(&server, "tree", None);
    let first = quick.frame().expect("a frame");
    assert_eq!(first.data["full"], true);
    // The quick one sees more frames than are kept; the slow one has only what the system holds for it.
    let tree = server.get("/api/v1/tree").json();
    assert_eq!(first.data["changed"].as_array().expect("a list").len(), count(&tree));
    let before = server.resident();
    let mut frames = 0;
    while frames < 20 {
        frames += usize::from(quick.frame().expect("a frame").event == "tree");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "the server has grown by {grown} bytes");
    // It is told all that it can be told of what it has missed, in order.
    let ids: Vec<String> = (0..20).map(|_| slow.frame().expect("a frame").id).collect();
    assert!(
        ids.is_sorted_by_key(|id| id.split_once('-').and_then(|(_, number)| number.parse::<u64>().ok())),
        "{ids:?}"
    );
}

fn count(node: &Value) -> usize {
    1 + node["children"].as_array().map_or(0, |children| children.iter().map(count).sum())
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let server = Server::start(&Options::arguments(&[
        "--set",
        "web.interfaces=[{ name = \"Grafana\", url = \"https://grafana.example/d/1\", about = \"Dashboards\" }]",
    ]));
    for (path, says) in [
        ("/api/v1/feed?topics=weather", "overview, queues"),
        ("/api/v1/feed?topic=tree", "topics"),
        ("/api/v1/series?names=speed", "wait_p99_ms"),
        ("/api/v1/series?resolution=5s", "10s"),
        ("/api/v1/series?since=1", "resolution"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body.contains(says), "{path}: {}", answer.body);
    }
    assert_eq!(server.get("/api/v1/series?queue=nowhere").status, 404);
    let interfaces = server.get("/api/v1/interfaces").json();
    let last = interfaces.as_array().and_then(|all| all.last()).expect("one");
    assert_eq!((&last["name"], &last["about"]), (&"Grafana".into(), &"Dashboards".into()));
    assert_eq!(last["url"], "https://grafana.example/d/1");
}
