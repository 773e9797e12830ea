//! `callboard jobs logs`.

use std::process::ExitCode;

use callboard::{
    client::{Client, LogItem},
    contracts::api::{JobLogLine, JobLogQuery},
};
use clap::Args;
use uuid::Uuid;

use super::super::output::{Failure, Printer, clean, line};

/// Lines of one request.
const PAGE: u32 = 1000;

/// Which log is shown.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The job's id, in full.
    id: Uuid,
    /// Only what this attempt has said.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    attempt: Option<u32>,
    /// Show what comes, too, until the job, or the attempt, has ended.
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(client: &Client, args: &LogsArgs, printer: Printer) -> Result<ExitCode, Failure> {
    let mut view = View { printer, run: None };
    let mut query = JobLogQuery { attempt: args.attempt, after: None, limit: Some(PAGE) };
    if args.follow {
        let mut log = client.follow_logs(args.id, query);
        while let Some(item) = log.next().await {
            match item? {
                LogItem::Line(said) => view.show(&said),
                LogItem::End(end) => match end.state {
                    Some(state) => printer.note(&format!("the end: the job is {state}")),
                    None => printer.note("the end: the job is deleted"),
                },
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        let page = client.job_logs(args.id, &query).await?;
        page.lines.iter().for_each(|said| view.show(said));
        if !page.more || page.next == query.after {
            break;
        }
        query.after = page.next;
    }
    Ok(ExitCode::SUCCESS)
}

struct View {
    printer: Printer,
    /// The run whose lines are shown, by its token.
    run: Option<u64>,
}

impl View {
    fn show(&mut self, said: &JobLogLine) {
        if self.printer.json {
            self.printer.record(said);
        } else {
            self.lines(said).iter().for_each(|text| line(text));
        }
    }

    /// The line, after what has to be said before it.
    fn lines(&mut self, said: &JobLogLine) -> Vec<String> {
        let mut lines = Vec::new();
        let run = Some(said.position.token);
        // The first attempt goes without saying.
        if self.run != run && (self.run.is_some() || said.attempt > 1) {
            lines.push(format!("attempt {}", said.attempt));
        }
        self.run = run;
        match said.dropped_before {
            0 => {}
            1 => lines.push("… 1 line dropped".to_owned()),
            count => lines.push(format!("… {count} lines dropped")),
        }
        lines.push(format!("{}  {:<6}  {}", said.at, said.level, clean(&said.text)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_attempts_are_told_apart_and_nothing_is_left_for_a_terminal_to_obey() {
        let said = |position: &str, attempt: u32, dropped: u64, text: &str| -> JobLogLine {
            serde_json::from_value(serde_json::json!({
                "position": position, "attempt": attempt, "at": "2026-01-01T00:00:00Z", "level": "warn", "text": text,
                "dropped_before": dropped,
            }))
            .unwrap()
        };
        let mut view = View { printer: Printer { json: false, quiet: false, colours: false }, run: None };
        let mut shown = Vec::new();
        for line in
            [said("1-1", 1, 0, "one"), said("1-2", 1, 1, "\u{1b}[2Jtwo"), said("5-314", 2, 313, "three")]
        {
            shown.extend(view.lines(&line));
        }
        let at = "2026-01-01T00:00:00.000000Z  warn    ";
        assert_eq!(
            shown,
            [
                format!("{at}one"),
                "… 1 line dropped".to_owned(),
                format!("{at}\u{fffd}[2Jtwo"),
                "attempt 2".to_owned(),
                "… 313 lines dropped".to_owned(),
                format!("{at}three"),
            ]
        );
    }
}
