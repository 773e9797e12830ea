//! `callboard config show`, and how a server's settings are loaded.

use std::process::ExitCode;

use callboard::config::{Loaded, Loader};
use serde_json::json;

use super::{
    LogChoice, ServeArgs,
    output::{Failure, Printer},
    table::{Cell, Table},
};

/// The settings of these flags, over the environment, the file and the defaults.
pub(super) fn load(args: &ServeArgs) -> Result<Loaded, Failure> {
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
    loader.load().map_err(|error| Failure::usage(error.to_string()))
}

pub(super) fn show(args: &ServeArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let loaded = load(args)?;
    if printer.json {
        let values: Vec<_> = loaded
            .sources()
            .map(
                |value| json!({ "key": value.key, "value": value.value, "source": value.source.to_string() }),
            )
            .collect();
        printer.document(&values);
    } else {
        let rows: Vec<Vec<Cell>> = loaded
            .sources()
            .map(|value| vec![value.key.into(), value.value.into(), value.source.to_string().into()])
            .collect();
        Table::new(printer, &["KEY", "VALUE", "SOURCE"]).print(&rows);
    }
    Ok(ExitCode::SUCCESS)
}
