//! `callboard store check`.

use std::process::ExitCode;

use callboard::store::{Check, Upkeep};
use serde_json::{Value, json};

use super::{
    super::output::{Failure, Printer, SOME_FAILED, clean, line},
    failure,
};

pub(super) fn run(upkeep: &Upkeep, printer: Printer) -> Result<ExitCode, Failure> {
    let checks = upkeep.check().map_err(|error| failure(upkeep.place(), &error))?;
    let well = checks.iter().all(Check::is_well);
    if printer.json {
        let checks: Vec<Value> =
            checks.iter().map(|check| json!({ "name": check.name, "problems": check.problems })).collect();
        printer.document(&json!({ "store": upkeep.place(), "whole": well, "checks": checks }));
    } else {
        for check in &checks {
            if check.is_well() {
                line(&format!("{}: whole", check.name));
            }
            for problem in &check.problems {
                line(&format!("{}: {}", check.name, clean(problem)));
            }
        }
        printer.note(&match well {
            true => format!("{}: whole", upkeep.place()),
            false => {
                format!("{}: damaged; at most {} problems of a kind are shown", upkeep.place(), Check::SHOWN)
            }
        });
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}
