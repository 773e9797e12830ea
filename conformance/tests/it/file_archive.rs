//! The example of a backend that is not Callboard's own, held to what Callboard's own are held to.

#[allow(dead_code, reason = "the example also waits for what is told")]
#[path = "../../../examples/file_archive/archive.rs"]
mod archive;

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::PathBuf,
    sync::Mutex,
};

use callboard::ports::{
    breaker::{EdgeGuard, GuardSettings},
    sink::SinkContext,
    store::StoreHandle,
};
use callboard_actors::{jobs::JobRegistry, roles::RolesConfig};
use callboard_conformance::{
    Server,
    node::{self, Node},
    sink::{Subject, guard, log_of},
};
use tempfile::TempDir;

use self::archive::FileArchive;

callboard_conformance::sink_suite!(suite: Archive);

/// A folder that can be away, as that of a disk that is not mounted.
struct Folder {
    place: TempDir,
    /// Somebody who holds the file's lock.
    holder: Mutex<Option<File>>,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.place.path().join("there")
    }

    fn away(&self) -> PathBuf {
        self.place.path().join("away")
    }

    fn file(&self) -> PathBuf {
        self.path().join("events.ndjson")
    }

    /// The file, once nobody writes to it any more.
    fn locked(&self) -> File {
        let file = File::options().append(true).create(true).open(self.file()).unwrap();
        file.lock().unwrap();
        file
    }
}

impl Server for Folder {
    fn start(&mut self) {
        if self.away().exists() {
            fs::rename(self.away(), self.path()).unwrap();
        } else {
            fs::create_dir_all(self.path()).unwrap();
        }
    }

    fn stop(&mut self) {
        let _file = self.locked();
        fs::rename(self.path(), self.away()).unwrap();
    }

    fn kill(&mut self) {
        // A page of which the last piece has not come to the disk.
        let mut file = self.locked();
        let whole = fs::read_to_string(self.file()).unwrap();
        let some = whole.lines().find(|line| line.contains("eventId")).unwrap_or("{\"contractVersion\"");
        write!(file, "{some}\n{}", &some[..some.len() / 2]).unwrap();
        fs::rename(self.path(), self.away()).unwrap();
    }

    fn freeze(&self) {
        *self.holder.lock().unwrap() = Some(self.locked());
    }

    fn thaw(&self) {
        *self.holder.lock().unwrap() = None;
    }
}

/// The archive in the folder.
struct Archive(PathBuf);

impl Subject for Archive {
    const EDGE: &'static str = "file";

    type Server = Folder;

    fn server() -> Folder {
        Folder { place: tempfile::tempdir().unwrap(), holder: Mutex::default() }
    }

    fn new(server: &Folder) -> Self {
        Archive(server.file())
    }

    fn configure(&self, config: &mut RolesConfig) {
        let archive = FileArchive::new(&self.0, guard(config, Self::EDGE));
        config.sinks.push(archive.sink());
        config.outside.edges.push(archive.edge());
    }

    async fn wipe(&self) {
        fs::remove_file(&self.0).unwrap();
    }

    async fn has_just_the_log(&self, store: &StoreHandle) -> Result<(), String> {
        let expected = log_of(store).await.events;
        let events = FileArchive::read(&self.0).map_err(|error| error.to_string())?;
        let found: Vec<_> = events.iter().map(|event| event.event_id).collect();
        // In the order of the log, too.
        if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
    }
}

#[test]
fn what_a_crash_can_leave_is_cut_off_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let place = "{\"owner\":\"x\",\"place\":\"1-3\"}\n";
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        FileArchive::read(&path).map(|events| events.len()).map_err(|error| error.kind())
    };
    assert_eq!(read(""), Ok(0));
    assert_eq!(read(place), Ok(0));
    assert_eq!(read(&format!("{place}{{\"contr")), Ok(0));
    // Blocks of the last page that have not come to the disk, though others have.
    assert_eq!(read(&format!("{place}\0\0\0\n{place}")), Ok(0));
    // In the middle of the file no crash does that.
    assert_eq!(read(&format!("{place}\0\0\0\n{place}{place}")), Err(ErrorKind::InvalidData));
    // Another program's file.
    assert_eq!(read("name,value\n1,2\n"), Err(ErrorKind::InvalidData));
    assert_eq!(read("notes"), Err(ErrorKind::InvalidData));
}

#[tokio::test]
async fn what_is_no_archive_of_this_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    for text in ["notes", "{\"owner\":\"another store\",\"place\":\"1-3\"}\n"] {
        fs::write(&path, text).unwrap();
        let home = node::Folder::new();
        let types = JobRegistry::builder();
        let node = Node::start(home.store(), types, |_| {}).await;
        let guard = EdgeGuard::new("file", GuardSettings::default(), Default::default());
        let mut sink =
            (FileArchive::new(&path, guard).sink().open)(SinkContext { store: node.store.clone() });
        sink.resume().await.unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        node.stop().await;
    }
}
