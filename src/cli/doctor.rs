//! `callboard doctor`.

use std::{path::PathBuf, process::ExitCode};

use callboard::client::RetryPolicy;
use callboard_console::{
    config::Config,
    doctor::{self, Check, Subject, Verdict},
};
use clap::Args;
use serde_json::json;

use super::{
    connection::Connection,
    console::{addresses, data_folder},
    output::{Failure, Printer, SOME_FAILED, clean_lines, line},
    style,
};

/// What is looked at.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The data folder of a server on this machine [default: the setting data.dir].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

pub(super) async fn run(
    connection: &Connection,
    args: &DoctorArgs,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let data = data_folder(args.data.as_ref());
    let mut client = None;
    for url in addresses(connection, data.as_deref()) {
        let found = connection.builder_at(&url)?.build()?.with_retry(RetryPolicy::never());
        if found.ready().await.is_ok() {
            client = Some(found);
            break;
        }
    }
    let subject = Subject { client, data, config: Config::place(), in_console: false };
    let checks = doctor::examine(subject).await;
    if printer.json {
        let checks: Vec<_> = checks.iter().map(as_json).collect();
        printer.document(&checks);
    } else {
        checks.iter().for_each(|check| show(check, printer));
    }
    let bad = checks.iter().any(|check| check.verdict == Verdict::Bad);
    Ok(if bad { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

fn as_json(check: &Check) -> serde_json::Value {
    json!({
        "name": check.name, "verdict": check.verdict.as_str(), "found": check.found, "remedy": check.remedy,
        "about": check.about,
    })
}

fn show(check: &Check, printer: Printer) {
    let style = match check.verdict {
        Verdict::Good => style::GOOD,
        Verdict::Doubtful => style::WAITS,
        Verdict::Bad => style::BAD,
    };
    let verdict = printer.paint(style, &format!("{:<8}", check.verdict.as_str()));
    line(&format!("{verdict} {:<13} {}", check.name, clean_lines(&check.found)));
    if let Some(remedy) = &check.remedy {
        for part in clean_lines(remedy).lines() {
            line(&format!("{:22} {part}", ""));
        }
    }
}
