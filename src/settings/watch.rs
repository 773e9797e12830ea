//! Notices that a configuration file is another one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use callboard_supervisors::Recipient;
use tokio::time::{MissedTickBehavior, interval};

use super::{keeper::Reread, kept::Kept};

/// Time between two looks. A file is read when it was the same in two of them: one that somebody is about to write is not
/// read by halves.
const LOOK: Duration = Duration::from_secs(1);

/// What tells two states of a file from each other; none: it is not there.
pub(super) type Stamp = Option<(u64, SystemTime, (u64, u64))>;

/// Looks at the files for ever, and says when they are to be read again. A rename puts another file in the place, which has
/// another number.
pub(super) async fn watch(kept: Arc<Kept>, files: Vec<PathBuf>, keeper: Recipient<Reread>) {
    if files.is_empty() {
        return;
    }
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<Vec<Stamp>> = None;
    loop {
        looks.tick().await;
        let files = files.clone();
        let stamps =
            tokio::task::spawn_blocking(move || files.iter().map(|file| stamp(file)).collect()).await;
        let Ok(now) = stamps else { continue };
        let settled = before.as_ref() == Some(&now);
        if settled && kept.read.lock().as_ref() != Some(&now) {
            // What is written from now on has another stamp, and is read then.
            *kept.read.lock() = Some(now.clone());
            // It says itself what came of it.
            let _ = keeper.ask_within(LOOK * 60, Reread { quiet: true }).await;
        }
        before = Some(now);
    }
}

fn stamp(file: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata(file).ok()?;
    Some((data.len(), data.modified().unwrap_or(SystemTime::UNIX_EPOCH), (data.dev(), data.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_in_the_place_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("callboard.toml");
        assert_eq!(stamp(&file), None);
        std::fs::write(&file, "a").unwrap();
        let first = stamp(&file);
        assert_eq!(first, stamp(&file));
        // As long, and as old.
        let other = folder.path().join("other");
        std::fs::write(&other, "b").unwrap();
        let times = std::fs::FileTimes::new().set_modified(first.unwrap().1);
        std::fs::File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert_ne!(first, stamp(&file));
    }
}
