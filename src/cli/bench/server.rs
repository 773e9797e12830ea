//! The server that is measured.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use callboard::{
    App,
    client::Client,
    config::{DatabaseUrl, Durability, Settings},
};
use clap::{Args, ValueEnum};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};
use uuid::Uuid;

use super::{
    super::output::{Failure, line},
    machine,
    probe::Probe,
    schema::{self, Schema},
};

/// What the server says once it can be reached.
const LISTENING: &str = "listening on http://";
/// Clients that may follow the events of a server that is measured.
pub(super) const WATCHERS: usize = 10_000;
/// Web terminals that it may have.
pub(super) const TERMINALS: usize = 1_000;
/// How long a killed server may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(2);
/// Its log, which is shown if it does not start.
const LOG: &str = "server.log";
/// How the server hears of the database.
const URL_VARIABLE: &str = "CALLBOARD__STORE__URL";

/// When an answered write is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityChoice {
    /// After a power cut.
    Full,
    /// After the death of the program.
    Relaxed,
}

impl DurabilityChoice {
    pub(super) fn name(self) -> &'static str {
        match self {
            DurabilityChoice::Full => "full",
            DurabilityChoice::Relaxed => "relaxed",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    concurrency: usize,
    #[arg(long, value_enum)]
    durability: DurabilityChoice,
    /// On PostgreSQL, in this schema; the variable of the setting `store.url` has the URL.
    #[arg(long)]
    schema: Option<String>,
}

pub(super) async fn run(args: &ServerArgs) -> Result<ExitCode, Failure> {
    let mut settings = Settings::default();
    settings.data.dir = args.data.clone();
    settings.web.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    settings.store.durability = match args.durability {
        DurabilityChoice::Full => Durability::Full,
        DurabilityChoice::Relaxed => Durability::Relaxed,
    };
    if let Some(schema) = &args.schema {
        let url = std::env::var(URL_VARIABLE).ok().and_then(|url| DatabaseUrl::new(url).ok());
        settings.store = schema::settings(settings.store, url, schema);
    }
    let queue = settings.queues.entry("default".to_owned()).or_insert(settings.queue_defaults.clone());
    queue.concurrency = args.concurrency;
    // What is measured is the store, and not when it says that it is full.
    queue.max_backlog = u64::from(u32::MAX);
    settings.web.sse_max_clients = WATCHERS;
    settings.web.sse_max_clients_per_address = WATCHERS;
    settings.web.max_connections = 2 * WATCHERS;
    settings.terminal.max_sessions = TERMINALS;
    settings.terminal.per_address = TERMINALS;
    settings.web.max_connections_per_address = 2 * WATCHERS;
    let app = App::builder().settings(settings).job::<Probe>().web().console().start().await;
    let app = app.map_err(|error| Failure::failed(error.to_string()))?;
    if let Some(address) = app.address() {
        line(&format!("{LISTENING}{address}"));
    }
    let mut end = Vec::new();
    let _ = tokio::io::stdin().take(1).read_to_end(&mut end).await;
    // Nothing of it is kept, so nothing needs an end in good order.
    Ok(ExitCode::SUCCESS)
}

/// A server in a process and a folder of its own. Dropped, it is killed and the folder removed.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) client: Client,
    process: Process,
    _ground: Ground,
}

/// What a server stands on: its folder, and on PostgreSQL its schema. Dropped, both are gone.
pub(super) struct Ground {
    folder: Folder,
    schema: Option<Schema>,
}

impl Ground {
    pub(super) fn new(place: &Path, postgres: Option<&str>) -> Result<Ground, Failure> {
        Ok(Ground { folder: Folder::create(place)?, schema: postgres.map(Schema::new).transpose()? })
    }

    /// The settings of the store, for what is done to it before a server has it.
    pub(super) fn settings(&self, postgres: Option<&str>) -> Settings {
        let mut settings = Settings::default();
        settings.data.dir = self.folder.0.join("data");
        if let Some(schema) = &self.schema {
            let url = postgres.and_then(|url| DatabaseUrl::new(url).ok());
            settings.store = schema::settings(settings.store, url, schema.name());
        }
        settings
    }
}

/// A process that is dead once this is dropped.
struct Process(Child);

impl Server {
    pub(super) async fn start(
        place: &Path,
        postgres: Option<&str>,
        concurrency: usize,
        durability: DurabilityChoice,
    ) -> Result<Server, Failure> {
        Self::start_on(Ground::new(place, postgres)?, postgres, concurrency, durability).await
    }

    pub(super) async fn start_on(
        ground: Ground,
        postgres: Option<&str>,
        concurrency: usize,
        durability: DurabilityChoice,
    ) -> Result<Server, Failure> {
        let Ground { folder, schema } = &ground;
        let log = folder.0.join(LOG);
        let failed =
            |error: std::io::Error| Failure::failed(format!("the server cannot be started: {error}"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        if let (Some(url), Some(schema)) = (postgres, schema) {
            // Not among the arguments, which everybody on the machine can see.
            command.env(URL_VARIABLE, url).args(["bench", "server", "--schema", schema.name()]);
        } else {
            command.args(["bench", "server"]);
        }
        let process = command
            .args(["--concurrency", &concurrency.to_string()])
            .args(["--durability", durability.name(), "--data"])
            .arg(folder.0.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let mut process = Process(process);
        let mut said = String::new();
        if let Some(stdout) = process.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).await.map_err(failed)?;
        }
        let address = said.trim().strip_prefix(LISTENING).and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let log = fs::read_to_string(log).unwrap_or_default();
            return Err(Failure::failed(format!("the server did not start: {}", log.trim())));
        };
        let client = Client::new(&format!("http://{address}"), None)?;
        Ok(Server { address, client, process, _ground: ground })
    }

    /// Resident bytes.
    pub(super) fn memory(&self) -> u64 {
        self.process.0.id().map_or(0, machine::resident)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only a dead server writes nothing more into the folder, which goes next. A killed process ends at once.
        let _ = self.0.start_kill();
        let began = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && began.elapsed() < END_LIMIT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A folder that is removed with the value.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn create(place: &Path) -> Result<Folder, Failure> {
        let path = place.join(format!("callboard-bench-{}", Uuid::now_v7().simple()));
        let created = std::path::absolute(&path).and_then(|path| fs::create_dir_all(&path).map(|()| path));
        created.map(Folder).map_err(|error| Failure::usage(format!("--place {}: {error}", place.display())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is only in the way.
        let _ = fs::remove_dir_all(&self.0);
    }
}
