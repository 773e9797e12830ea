//! SQLite's own: full disks, locks, foreign and damaged files, a second process.

use std::{fs, ops::Deref, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use callboard_actors::edges::store::{
    Operation, Outcome, SqliteOptions, SqliteStore, Store, StoreError,
    record::{JobFilter, NewJob},
};
use callboard_conformance::store::{
    Client,
    words::{completed, enqueue, finish, job, kind, lease},
};
use callboard_contracts::JobState;
use tempfile::TempDir;

/// A store on a file in a folder of its own.
struct Stage {
    client: Client,
    folder: TempDir,
}

impl Deref for Stage {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Stage {
    fn new() -> Self {
        Stage::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut SqliteOptions)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = options(&folder);
        change(&mut options);
        Stage { client: Client { store: SqliteStore::open(options).unwrap(), leader: 0 }, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("callboard.db")
    }
}

fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join("callboard.db")) }
}

fn refused(options: SqliteOptions) -> StoreError {
    SqliteStore::open(options).err().expect("it is not opened")
}

#[tokio::test]
async fn a_full_disk_refuses_new_jobs_leaves_nothing_half_done_and_passes() {
    let empty = Stage::new();
    let connection = rusqlite::Connection::open(empty.path()).unwrap();
    let pages: u32 = connection.query_row("PRAGMA page_count", (), |row| row.get(0)).unwrap();
    // Room for some large jobs, and for the little that is written after them.
    let stage = Stage::with(|options| options.max_pages = Some(pages + 98));
    let session = stage.session().await;
    let large = NewJob { payload: format!("{{\"x\":\"{}\"}}", "x".repeat(20_000)), ..job() };
    let mut stored = Vec::new();
    let full = loop {
        let pair = [0, 1].map(|_| NewJob { id: uuid::Uuid::now_v7(), ..large.clone() });
        match stage.store.apply(pair.iter().map(enqueue).collect()).await {
            Ok(_) => stored.extend(pair.map(|job| job.id)),
            Err(error) => break error,
        }
        assert!(stored.len() < 1000, "it is full some time");
    };
    assert_eq!(kind(&full), "disk full", "{full}");
    // What was answered is there, nothing else is, and the log says the same.
    assert_eq!(stage.list(JobFilter::default()).await.len(), stored.len());
    assert_eq!(stage.placed().await.len(), stored.len());
    // Room is made by what ends and is deleted.
    let leases: Vec<_> = stage.claim("default", 2, session).await.iter().map(lease).collect();
    let small = |lease| finish(lease, callboard_actors::edges::store::record::AttemptEnd::Released);
    stage.apply(leases.into_iter().map(small).collect()).await;
    let path = stage.path();
    let Stage { client, folder: _folder } = stage;
    drop(client);
    let store = SqliteStore::open(SqliteOptions { min_free_space: 0, ..SqliteOptions::new(path) }).unwrap();
    let results = store.apply(vec![enqueue(&large)]).await.unwrap();
    assert!(results[0].is_ok(), "{results:?}");
}

#[tokio::test]
async fn a_poisoned_member_fails_alone() {
    let stage = Stage::new();
    let refuse = "CREATE TRIGGER poison BEFORE INSERT ON jobs WHEN NEW.type = 'poison'
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    rusqlite::Connection::open(stage.path()).unwrap().execute_batch(refuse).unwrap();
    let poison = NewJob { job_type: "poison".into(), ..job() };
    let mut batch: Vec<Operation> = (0..9).map(|_| enqueue(&job())).collect();
    batch.insert(4, enqueue(&poison));
    let results = stage.store.apply(batch).await.unwrap();
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(outcome) => assert_eq!(*outcome, Outcome::Enqueued { state: JobState::Available }),
            Err(error) => assert_eq!((number, kind(error)), (4, "failed"), "{error}"),
        }
    }
    assert!(results[4].is_err());
    let positions: Vec<u64> = stage.placed().await.iter().map(|event| event.cursor.position).collect();
    assert_eq!(positions, (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn too_little_free_space_refuses_new_jobs_and_lets_the_others_end() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(options(&folder)).unwrap();
    store.apply(vec![enqueue(&job())]).await.unwrap();
    drop(store);
    let store: Arc<dyn Store> =
        SqliteStore::open(SqliteOptions { min_free_space: u64::MAX, ..options(&folder) }).unwrap();
    let results = store.apply(vec![enqueue(&job())]).await.unwrap();
    assert!(matches!(&results[0], Err(error) if kind(error) == "disk full"), "{results:?}");
    let session = callboard_actors::edges::store::record::NewSession {
        id: uuid::Uuid::now_v7(),
        node: "node".into(),
        version: "0".into(),
        process: 1,
    };
    let claim = Operation::Claim { queue: "default".into(), limit: 1, session: session.id };
    let results = store.apply(vec![Operation::OpenSession(session), claim]).await.unwrap();
    let Ok(callboard_actors::edges::store::Outcome::Claimed(jobs)) = &results[1] else {
        panic!("{results:?}")
    };
    let ended = store.apply(vec![finish(lease(&jobs[0]), completed())]).await.unwrap();
    assert!(ended[0].is_ok(), "{ended:?}");
}

#[tokio::test]
async fn a_lock_of_another_connection_is_waited_for_within_bounds() {
    let stage = Stage::with(|options| options.busy_timeout = Duration::from_millis(50));
    stage.one(enqueue(&job())).await;
    let other = rusqlite::Connection::open(stage.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = stage.store.apply(vec![enqueue(&job())]).await.unwrap_err();
    assert_eq!(kind(&locked), "locked", "{locked}");
    assert_eq!(stage.list(JobFilter::default()).await.len(), 1, "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    stage.one(enqueue(&job())).await;
    let positions: Vec<u64> = stage.placed().await.iter().map(|event| event.cursor.position).collect();
    assert_eq!(positions, [1, 2]);
}

#[tokio::test]
async fn one_file_has_one_process_by_whatever_name() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(options(&folder)).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("callboard.db"), &link).unwrap();
    let (real, other) = (folder.path().join("real"), folder.path().join("other"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(folder.path(), &other).unwrap();
    for path in [
        folder.path().join("callboard.db"),
        link,
        other.join("callboard.db"),
        real.join("..").join("callboard.db"),
    ] {
        let error = refused(SqliteOptions::new(&path));
        let holder = format!("process {} on node, since ", std::process::id());
        assert!(
            matches!(&error, StoreError::InUse { holder: named } if named.starts_with(&holder)),
            "{}: {error}",
            path.display()
        );
    }
    drop(store);
    SqliteStore::open(options(&folder)).unwrap();
}

#[tokio::test]
async fn files_that_are_not_ours_are_left_as_they_are() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("callboard.db");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE cats (name TEXT); INSERT INTO cats VALUES ('Tom')").unwrap();
    drop(foreign);
    let before = fs::read(&path).unwrap();
    let error = refused(options(&folder));
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::write(&path, "this is no database, however long one looks at it").unwrap();
    assert_eq!(kind(&refused(options(&folder))), "corrupt");

    fs::remove_file(&path).unwrap();
    drop(SqliteStore::open(options(&folder)).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let error = refused(options(&folder));
    assert!(matches!(error, StoreError::TooNew { found: 99, known: 2..99 }), "{error:?}");
    assert!(error.to_string().contains("newer program"), "{error}");
}

#[tokio::test]
async fn a_file_cut_short_is_named_damaged() {
    let stage = Stage::new();
    stage.apply((0..200).map(|_| enqueue(&job())).collect()).await;
    let path = stage.path();
    let Stage { client, folder } = stage;
    drop(client);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(3 * 4096).unwrap();
    drop(file);
    // Where the damage is decides when it is seen: at the start, or at the first read or write that meets it.
    match SqliteStore::open(options(&folder)) {
        Err(error) => assert_eq!(kind(&error), "corrupt", "{error}"),
        Ok(store) => {
            let read = store.jobs(JobFilter::default(), 1000).await.unwrap_err();
            assert_eq!(kind(&read), "corrupt", "{read}");
            let written = store.apply(vec![enqueue(&job())]).await;
            let written = written.map(|mut results| results.remove(0));
            assert!(
                matches!(&written, Err(error) | Ok(Err(error)) if kind(error) == "corrupt"),
                "{written:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_was_answered_is_in_a_copy_taken_in_the_middle() {
    let stage = Stage::new();
    let mut copies = Vec::new();
    for number in 1..=5 {
        stage.apply((0..20).map(|_| enqueue(&job())).collect()).await;
        // What a killed process would leave behind: the file and its log, neither closed.
        let copy = TempDir::new().unwrap();
        for name in ["callboard.db", "callboard.db-wal"] {
            fs::copy(stage.folder.path().join(name), copy.path().join(name)).unwrap();
        }
        copies.push((copy, number * 20));
    }
    for (copy, jobs) in copies {
        let store = SqliteStore::open(options(&copy)).unwrap();
        assert_eq!(store.jobs(JobFilter::default(), 1000).await.unwrap().len(), jobs);
        let newest = *store.committed().borrow();
        assert_eq!(newest.position, jobs as u64);
        // It goes on where it was.
        store.apply(vec![enqueue(&job())]).await.unwrap();
        assert_eq!(store.committed().borrow().position, jobs as u64 + 1);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let inside = file.path().join("callboard.db");
    let error = refused(SqliteOptions::new(&inside)).to_string();
    assert!(error.contains(&file.path().display().to_string()), "{error}");
    // Root may write everywhere.
    if !rustix::process::geteuid().is_root() {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
        let error = refused(options(&folder)).to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_ended() {
    let stage = Stage::with(|options| options.write_timeout = Duration::ZERO);
    stage.apply((0..1000).map(|_| enqueue(&job())).collect()).await;
    let error = stage.store.jobs(JobFilter::default(), 1000).await.unwrap_err();
    assert_eq!(error, StoreError::TimedOut(Duration::ZERO));
    // The next one has its own time, and the writer is not concerned.
    stage.one(enqueue(&job())).await;
}
