//! `callboard config`, and how a server's settings are loaded.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use callboard::{
    client::Client,
    config::{Configuration, Loader},
    contracts::api::{NodeAction, SettingChange, SettingsChanged, SettingsView},
};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    LogChoice, ServeArgs, nodes,
    output::{Failure, Printer, SOME_FAILED},
    table::{Cell, Table},
    values::duration,
};

/// What is done with settings.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Every key with its value and its source, and when a change takes effect; secrets are masked. Of a server that would be
    /// started with these flags.
    Show(ServeArgs),
    #[command(flatten)]
    OfServer(OfServer),
}

/// What is done with the settings of running servers.
#[derive(Debug, Subcommand)]
pub(super) enum OfServer {
    /// Every key with its value and its source in the running server, and what waits there for a restart.
    Running,
    /// Set settings of the running server that can change while it runs, or of another node. They stand above the file and the
    /// environment until it ends, and are written nowhere.
    Set {
        /// Which, and how they are to be.
        #[arg(value_name = "KEY=VALUE", required = true)]
        settings: Vec<String>,
        #[command(flatten)]
        node: OfNode,
    },
    /// Take back what was set so.
    Unset {
        /// Which.
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        node: OfNode,
    },
}

/// Whose settings.
#[derive(Debug, Args)]
pub(super) struct OfNode {
    /// The node, instead of the server that is asked.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// How long to wait for the node's word; 0s: not at all.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s", requires = "node")]
    wait: Duration,
}

/// What is done with the settings of running servers.
pub(super) async fn run(client: &Client, command: OfServer, printer: Printer) -> Result<ExitCode, Failure> {
    let (settings, node) = match command {
        OfServer::Running => {
            let view = client.settings().await?;
            return Ok(running(&view, printer));
        }
        OfServer::Set { settings, node } => (settings.iter().map(|text| pair(text)).collect(), node),
        OfServer::Unset { keys, node } => (keys.into_iter().map(|key| Ok((key, None))).collect(), node),
    };
    let settings: Result<BTreeMap<_, _>, Failure> = settings;
    let settings = settings?;
    match node.node {
        Some(name) => {
            nodes::tell(client, &name, NodeAction::Set { settings }, None, node.wait, printer).await
        }
        None => {
            let changed = client.change_settings(&settings).await?;
            Ok(show_changed(&changed, printer))
        }
    }
}

fn pair(text: &str) -> Result<(String, Option<String>), Failure> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), Some(value.trim().to_owned()))),
        None => Err(Failure::usage(format!("{text}: KEY=VALUE is needed, such as retention.completed=3d"))),
    }
}

fn when(live: bool) -> &'static str {
    if live { "at once" } else { "at a restart" }
}

fn running(view: &SettingsView, printer: Printer) -> ExitCode {
    if printer.json {
        printer.document(view);
        return ExitCode::SUCCESS;
    }
    let rows: Vec<Vec<Cell>> = view
        .settings
        .iter()
        .map(|one| {
            let when = when(one.live);
            vec![one.key.as_str().into(), one.value.as_str().into(), when.into(), one.source.as_str().into()]
        })
        .collect();
    Table::new(printer, &["KEY", "VALUE", "CHANGES", "SOURCE"]).print(&rows);
    waits(&view.waiting, printer);
    if let Some(problem) = &view.problem {
        printer.note(&format!(
            "The configuration cannot be taken up; the settings stay as they were:\n{problem}"
        ));
        return ExitCode::from(SOME_FAILED);
    }
    ExitCode::SUCCESS
}

fn show_changed(changed: &SettingsChanged, printer: Printer) -> ExitCode {
    if printer.json {
        printer.document(changed);
        return ExitCode::SUCCESS;
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let row = |change: &SettingChange| -> Vec<Cell> {
        vec![change.key.as_str().into(), value(&change.old).into(), value(&change.new).into()]
    };
    Table::new(printer, &["KEY", "BEFORE", "NOW"])
        .print(&changed.applied.iter().map(row).collect::<Vec<_>>());
    match changed.applied.is_empty() {
        true => printer.note("It was so already."),
        false => printer.note("So it stays until the server ends: it is written to no file."),
    }
    for actor in &changed.late {
        printer.note(&format!("{actor} has not said yet that it has taken it up"));
    }
    waits(&changed.waiting, printer);
    ExitCode::SUCCESS
}

fn waits(waiting: &[SettingChange], printer: Printer) {
    for change in waiting {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let (old, new) = (value(&change.old), value(&change.new));
        printer.note(&format!("{} needs a restart: {old} -> {new}", change.key));
    }
}

/// What loads the settings of these flags, over the environment, the file and the defaults.
pub(super) fn loader(args: &ServeArgs) -> Result<Loader, Failure> {
    let mut loader = Loader::new().default_files(["callboard.toml"]).environment(std::env::vars_os());
    if let Some(file) = &args.config {
        loader = loader.file(file);
    }
    for setting in &args.set {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(Failure::usage(format!(
                "--set {setting}: KEY=VALUE is needed, such as web.workers=4"
            )));
        };
        loader = loader.set(key.trim(), value.trim(), "--set");
    }
    if let Some(listen) = &args.listen {
        loader = loader.set("web.listen", listen, "--listen");
    }
    if let Some(folder) = &args.data {
        loader = loader.set("data.dir", folder.to_string_lossy(), "--data");
    }
    if !args.allow_program.is_empty() {
        loader = loader.set_list("command.programs", args.allow_program.iter().cloned(), "--allow-program");
    }
    if let Some(log) = args.log {
        let format = match log {
            LogChoice::Human => "human",
            LogChoice::Json => "json",
        };
        loader = loader.set("log.format", format, "--log");
    }
    Ok(loader)
}

/// The settings, to be read again while the program runs.
pub(super) fn load(loader: Loader) -> Result<Configuration, Failure> {
    Configuration::load(loader).map_err(|error| Failure::usage(error.to_string()))
}

pub(super) fn show(args: &ServeArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let configuration = load(loader(args)?)?;
    let loaded = configuration.running();
    if printer.json {
        let values: Vec<_> = loaded
            .sources()
            .map(
                |value| json!({ "key": value.key, "value": value.value, "source": value.source.to_string(), "live": value.live }),
            )
            .collect();
        printer.document(&values);
    } else {
        let rows: Vec<Vec<Cell>> = loaded
            .sources()
            .map(|value| {
                vec![
                    value.key.into(),
                    value.value.into(),
                    when(value.live).into(),
                    value.source.to_string().into(),
                ]
            })
            .collect();
        Table::new(printer, &["KEY", "VALUE", "CHANGES", "SOURCE"]).print(&rows);
    }
    Ok(ExitCode::SUCCESS)
}
