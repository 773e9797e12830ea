//! `callboard console`.

use std::{
    fs::{self, File},
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
};

use callboard::client::ClientBuilder;
use callboard_console::{
    MakeClient, Options, ServerProgram, Target,
    config::Config,
    doctor::{is_utf8, unfit_terminal},
    has_display,
    keys::BINDINGS,
    model::Setup,
};
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{
    ServeArgs, config,
    connection::{Connection, DEFAULT_URL},
    output::{Failure, Printer, line},
};

/// Bytes of the log beyond which it is begun anew.
const LOG_LIMIT: u64 = 8 << 20;
/// The old system's variables for where its servers are.
const OLD_VARIABLES: [&str; 2] = ["READ_MODEL_URL", "GATEWAY_URL"];

/// How the console is run.
#[derive(Debug, Args)]
pub(super) struct ConsoleArgs {
    /// Ask for the token on the terminal, where nobody sees it typed. It is no argument, since other users could see that.
    #[arg(long)]
    token: bool,
    /// Change nothing on the server: the keys that do are dead.
    #[arg(long)]
    readonly: bool,
    /// Leave the mouse to the terminal.
    #[arg(long)]
    no_mouse: bool,
    /// Draw with ASCII alone; also where the locale is not UTF-8, or none is set.
    #[arg(long)]
    ascii: bool,
    /// The console's configuration [default: callboard/console.toml in $XDG_CONFIG_HOME, else in ~/.config].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder of a server on this machine: its lock says where that listens [default: the setting data.dir].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print all keys with their names in the configuration, and end.
    #[arg(long)]
    print_keys: bool,
}

/// Where a server may be, in the order in which it is looked for.
pub(super) fn addresses(connection: &Connection, data: Option<&Path>) -> Vec<String> {
    if let Some(url) = connection.given() {
        return vec![url.to_owned()];
    }
    let old =
        OLD_VARIABLES.into_iter().filter_map(|name| std::env::var(name).ok()).filter(|url| !url.is_empty());
    let lock = data.and_then(callboard::address_in_lock).map(|address| format!("http://{address}"));
    let mut urls: Vec<String> = Vec::new();
    for url in old.chain(lock).chain([DEFAULT_URL.to_owned()]) {
        let url = url.trim_end_matches('/').to_owned();
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// The data folder of a server here: as the settings have it, if they can be read.
pub(super) fn data_folder(given: Option<&PathBuf>) -> Option<PathBuf> {
    let settings = || {
        let args = ServeArgs {
            config: None,
            listen: None,
            data: None,
            allow_program: Vec::new(),
            set: Vec::new(),
            log: None,
        };
        let configuration = config::load(config::loader(&args).ok()?).ok()?;
        Some(configuration.running().settings.data.dir.clone())
    };
    given.cloned().or_else(settings)
}

pub(super) fn run(
    connection: &Connection,
    args: &ConsoleArgs,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    if args.print_keys {
        print_keys(printer);
        return Ok(ExitCode::SUCCESS);
    }
    let place = args.config.clone().or_else(Config::place);
    let read = place.as_deref().map(Config::read).transpose();
    let settings = read.map_err(|error| Failure::usage(error.to_string()))?.flatten();
    if args.config.is_some() && settings.is_none() {
        let path = place.unwrap_or_default();
        return Err(Failure::usage(format!("--config: {}: there is no such file", path.display())));
    }
    let settings = settings.unwrap_or_default();
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::usage(
            "the console needs a terminal for its input and output; other commands print what programs can read",
        ));
    }
    let term = std::env::var("TERM").unwrap_or_default();
    if let Some((found, remedy)) = unfit_terminal(&term) {
        let said = format!("the console cannot draw on this terminal: {found}; to mend it: {remedy}");
        return Err(Failure::usage(said));
    }
    if let Some(path) = Config::log_place()
        && let Err(error) = begin_log(&path)
    {
        printer.note(&format!("no log is written: {}: {error}", path.display()));
    }
    let builder = connection.builder_at("")?;
    let builder = if args.token { builder.token(super::connection::ask_token()?) } else { builder };
    let data = data_folder(args.data.as_ref());
    let target = target(connection, builder, data, place)?;
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    // None at all is the locale POSIX.
    let plain_locale = !locale.is_some_and(|locale| is_utf8(&locale));
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || !printer.colours;
    let setup = Setup {
        read_only: args.readonly || settings.read_only,
        keys: settings.keys,
        ascii: args.ascii || settings.ascii.unwrap_or(plain_locale),
        has_display: has_display(),
        can_start: target.program.is_some(),
    };
    let theme = if no_colour { settings.theme.without_colours() } else { settings.theme };
    let mouse = !args.no_mouse && settings.mouse.unwrap_or(true);
    let ended = callboard_console::run(Options { target, setup, theme, mouse });
    ended.map_err(|error| Failure::failed(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

fn target(
    connection: &Connection,
    builder: ClientBuilder,
    data: Option<PathBuf>,
    config: Option<PathBuf>,
) -> Result<Target, Failure> {
    let urls = addresses(connection, data.as_deref());
    // What was given and cannot be an address is told of before the terminal is taken over.
    if connection.given().is_some() {
        builder.clone().url(&urls[0]).build()?;
    }
    // Whoever was told where the server is starts none: in a web terminal nobody may.
    let own = connection.given().is_none() && urls.iter().any(|url| url == DEFAULT_URL);
    let program = std::env::current_exe().ok().filter(|_| own).map(|program| ServerProgram {
        program,
        arguments: vec!["serve".to_owned(), "--log".to_owned(), "human".to_owned()],
        log: Config::log_place()
            .unwrap_or_else(|| "callboard-console.log".into())
            .with_file_name("server.log"),
    });
    let client: MakeClient = Box::new(move |url| builder.clone().url(url).build());
    Ok(Target { urls, client, program, data, config })
}

/// The log goes to a file: the screen is the console's.
fn begin_log(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let long = fs::metadata(path).is_ok_and(|about| about.len() > LOG_LIMIT);
    let file = File::options().create(true).append(!long).write(true).truncate(long).open(path)?;
    let filter = EnvFilter::try_from_env("CALLBOARD_CONSOLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let begun = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init();
    begun.map_err(|error| io::Error::other(error.to_string()))
}

fn print_keys(printer: Printer) {
    for binding in BINDINGS {
        let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
        let views: Vec<&str> = binding.views.iter().map(|view| view.name()).collect();
        if printer.json {
            printer.record(&serde_json::json!({
                "name": binding.name, "keys": keys, "views": views, "help": binding.help, "changes": binding.changes,
                "fixed": binding.is_fixed(),
            }));
        } else {
            line(&format!("{:<22} {:<16} {}", binding.name, keys.join(" "), binding.help));
        }
    }
}
