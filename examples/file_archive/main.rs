//! A backend of one's own: events are archived in a file of JSON lines, which survives being cut off and being removed.
//!
//! `cargo run --example file_archive --no-default-features --features sqlite -- FOLDER`

mod archive;

use std::{collections::HashSet, error::Error, fs, io::Write, path::Path};

use archive::FileArchive;
use callboard::{
    App,
    contracts::{EventType::Completed, api::SubmitJob},
    ports::breaker::GuardSettings,
};

/// An app whose events are archived in the file.
async fn start(folder: &Path, file: &Path) -> Result<(App, FileArchive), Box<dyn Error>> {
    let builder = App::builder().data_dir(folder);
    let archive = FileArchive::new(file, builder.guard("file", GuardSettings::default()));
    let app = builder.sink(archive.sink()).edge(archive.edge()).start().await?;
    Ok((app, archive))
}

async fn run_jobs(app: &App, count: usize) -> Result<(), Box<dyn Error>> {
    for _ in 0..count {
        let job = SubmitJob { job_type: "noop".to_owned(), ..SubmitJob::default() };
        app.wait(app.submit_job(job).await?.id).await?;
    }
    Ok(())
}

/// Waits until the file tells of so many completed jobs, and says how many events are in it.
async fn tells_of(archive: &FileArchive, file: &Path, jobs: usize) -> Result<usize, Box<dyn Error>> {
    let mut told = archive.told();
    loop {
        told.mark_unchanged();
        // As long as it is not there, it tells of none.
        let events = FileArchive::read(file).unwrap_or_default();
        if events.iter().filter(|event| event.event_type == Completed).count() == jobs {
            let ids: HashSet<_> = events.iter().map(|event| event.event_id).collect();
            return if ids.len() == events.len() {
                Ok(ids.len())
            } else {
                Err("an event is there twice".into())
            };
        }
        told.changed().await?;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "callboard-data".to_owned());
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let file = &folder.join("events.ndjson");

    let (app, archive) = Box::pin(start(folder, file)).await?;
    run_jobs(&app, 2).await?;
    println!("2 jobs: {} events, each once", tells_of(&archive, file, 2).await?);
    app.stop().await;

    // As a crash in the middle of a write would leave it.
    fs::File::options().append(true).open(file)?.write_all(b"{\"contractVersion\":\"1.0")?;
    let (app, archive) = Box::pin(start(folder, file)).await?;
    run_jobs(&app, 1).await?;
    println!("after half a line, 3 jobs: {} events, each once", tells_of(&archive, file, 3).await?);

    fs::remove_file(file)?;
    run_jobs(&app, 1).await?;
    println!("after it was removed, 4 jobs: {} events, each once", tells_of(&archive, file, 4).await?);
    app.stop().await;
    Ok(())
}
