//! Windows of time in Redis, on the shared server, under keys of each test's own.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use callboard_actors::edges::{
    breaker::{EdgeGuard, EdgeNumbers, GuardSettings},
    windows::{CountWindows, RedisWindows, WindowLimit},
};
use callboard_testsupport::{PrivateServer, redis_url};
use redis::Client;
use uuid::Uuid;

/// A node's windows, connected.
async fn node(url: &str, prefix: &str) -> (EdgeGuard, Arc<dyn CountWindows>) {
    let settings = GuardSettings { concurrency: 256, ..GuardSettings::default() };
    let guard = EdgeGuard::new("windows", settings, EdgeNumbers::default());
    let windows = RedisWindows::new(&url.into(), prefix, guard.clone()).unwrap();
    (windows.edge().ping)().await;
    (guard, windows.windows())
}

fn limit(times: u32, window: Duration) -> WindowLimit {
    WindowLimit { times: NonZeroU32::new(times).unwrap(), window }
}

fn prefix() -> String {
    format!("callboard-test-{}:", Uuid::new_v4().simple())
}

async fn take(windows: &Arc<dyn CountWindows>, client: &str, limit: WindowLimit) -> Result<(), Duration> {
    windows.take(client.to_owned(), limit).await.expect("the server is there")
}

#[tokio::test]
async fn all_nodes_count_together_and_each_client_has_its_own_window() {
    let prefix = prefix();
    let (one, two) = (node(&redis_url(), &prefix).await.1, node(&redis_url(), &prefix).await.1);
    let limit = limit(10, Duration::from_secs(60));
    let taken = async |windows: &Arc<dyn CountWindows>, client: &str| {
        let mut taken = 0;
        while take(windows, client, limit).await.is_ok() {
            taken += 1;
        }
        taken
    };
    for _ in 0..4 {
        take(&one, "ada", limit).await.unwrap();
    }
    assert_eq!((taken(&two, "ada").await, taken(&one, "ada").await), (6, 0));
    assert_eq!(taken(&one, "bob").await, 10);
    let wait = take(&one, "ada", limit).await.unwrap_err();
    assert!(wait <= limit.interval() && !wait.is_zero(), "{wait:?}");
    // What is kept goes away by itself.
    let mut connection = Client::open(redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        assert!((1..=60_000).contains(&left), "{key}: {left} ms");
        redis::cmd("DEL").arg(&key).exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn of_many_at_once_just_as_many_get_a_place_as_there_are() {
    let prefix = prefix();
    let (windows, limit) = (node(&redis_url(), &prefix).await.1, limit(50, Duration::from_secs(600)));
    let all = (0..200).map(|_| take(&windows, "all", limit));
    let taken = futures_util::future::join_all(all).await;
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 50);
}

#[tokio::test]
async fn places_come_back_one_by_one() {
    let prefix = prefix();
    let (windows, limit) = (node(&redis_url(), &prefix).await.1, limit(2, Duration::from_millis(400)));
    let mut taken = 0;
    while taken < 6 {
        match take(&windows, "one", limit).await {
            Ok(()) => taken += 1,
            // The server says by its clock for how long there is none.
            Err(wait) => {
                assert!(wait <= limit.interval(), "{wait:?}");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

#[tokio::test]
async fn nobody_says_anything_while_the_server_is_away() {
    let mut server = PrivateServer::absent_redis();
    let (guard, windows) = node(&server.url(), "").await;
    let limit = limit(1, Duration::from_secs(60));
    assert_eq!(windows.take("ada".to_owned(), limit).await, None);
    server.start();
    let edge = RedisWindows::new(&server.url().into(), "", guard).unwrap();
    // The guard lets it try again after a while, as the edge's keeper does.
    let asked = async {
        loop {
            (edge.edge().ping)().await;
            if let Some(taken) = edge.windows().take("ada".to_owned(), limit).await {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(60), asked).await.unwrap(), Ok(()));
    server.kill();
    assert_eq!(edge.windows().take("bob".to_owned(), limit).await, None);
}
