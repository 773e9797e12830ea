//! Reading an export.

use std::io::{BufRead, Read};

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Counts, Header, Line, Progress, TransferError, line::FORMAT};

/// Bytes of one line at most: a job with its payload, its result and its attempts.
const LONGEST: u64 = 256 * 1024 * 1024;
/// Lines between two words on the progress.
const STEP: u64 = 1000;

/// Reads an export line by line, and checks that it is whole and in order.
pub(crate) struct Reader<'a> {
    from: &'a mut dyn BufRead,
    progress: Progress<'a>,
    pub(crate) header: Header,
    counts: Counts,
    /// The number of the last line that was read.
    line: u64,
    buffer: Vec<u8>,
    last_sequence: u64,
    last_job: Option<Uuid>,
    last_position: Option<u64>,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    pub(crate) fn begin(from: &'a mut dyn BufRead, progress: Progress<'a>) -> Result<Self, TransferError> {
        let mut buffer = Vec::new();
        read_line(from, &mut buffer, 1)?;
        let header = header(&buffer).map_err(|problem| TransferError::Line { line: 1, problem })?;
        Ok(Reader {
            from,
            progress,
            header,
            counts: Counts::default(),
            line: 1,
            buffer,
            last_sequence: 0,
            last_job: None,
            last_position: None,
        })
    }

    /// The next line; `None` after the last one, when all is there.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, TransferError> {
        let number = self.line + 1;
        if !read_line(self.from, &mut self.buffer, number)? {
            return Err(TransferError::CutOff { line: self.line });
        }
        self.line = number;
        let line = serde_json::from_slice(&self.buffer).map_err(|error| self.wrong(error.to_string()))?;
        match &line {
            Line::Export(_) => return Err(self.wrong("a second export begins here")),
            Line::Job(job) => {
                if job.sequence <= self.last_sequence || self.counts.events > 0 {
                    return Err(self.wrong(format!("the job {} is not in its place", job.id)));
                }
                self.last_sequence = job.sequence;
                self.last_job = Some(job.id);
                self.counts.jobs += 1;
                self.counts.attempts += job.attempts.len() as u64;
            }
            Line::Report(report) => {
                if self.last_job != Some(report.job) || self.counts.events > 0 {
                    return Err(
                        self.wrong(format!("what is said of the job {} is not in its place", report.job))
                    );
                }
                if report.token > self.header.token {
                    return Err(self.wrong("the run is newer than the export"));
                }
            }
            Line::Signal(signal) => {
                if self.last_job != Some(signal.job) || self.counts.events > 0 {
                    return Err(self.wrong(format!("a signal of the job {} is not in its place", signal.job)));
                }
            }
            Line::Workflow(workflow) => {
                if self.counts.events > 0 {
                    return Err(self.wrong(format!("the workflow {} is not in its place", workflow.id)));
                }
            }
            Line::Event(event) => {
                if self.last_position.is_some_and(|last| event.position != last + 1) || event.position == 0 {
                    return Err(self.wrong(format!("the event at {} is not in its place", event.position)));
                }
                self.last_position = Some(event.position);
                self.counts.events += 1;
            }
            Line::End(expected) => {
                self.end(*expected)?;
                return Ok(None);
            }
            Line::Setting(_)
            | Line::Queue(_)
            | Line::Edge(_)
            | Line::Cron(_)
            | Line::Total(_)
            | Line::Key(_)
            | Line::Inbox(_)
            | Line::Edit(_)
            | Line::Bulk(_) => {}
        }
        if (self.counts.jobs + self.counts.events).is_multiple_of(STEP) {
            (self.progress)(self.counts);
        }
        Ok(Some(line))
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What is wrong with the line that was read last.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> TransferError {
        TransferError::Line { line: self.line, problem: problem.into() }
    }

    fn end(&mut self, expected: Counts) -> Result<(), TransferError> {
        let found = self.counts;
        if expected != found {
            return Err(TransferError::Miscounted { expected, found });
        }
        if self.header.events && self.last_position.is_some_and(|last| last != self.header.position) {
            return Err(self.wrong("the newest events are missing; export it again"));
        }
        if read_line(self.from, &mut self.buffer, self.line + 1)? {
            return Err(TransferError::Line {
                line: self.line + 1,
                problem: "nothing may follow the closing line".to_owned(),
            });
        }
        (self.progress)(found);
        Ok(())
    }
}

fn header(bytes: &[u8]) -> Result<Header, String> {
    /// A line of any version.
    #[derive(Deserialize)]
    struct AnyExport<'a> {
        #[serde(borrow)]
        export: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct AnyHeader {
        format: u32,
    }
    const NONE: &str =
        "this is no export of a store: the first line should begin with {\"export\":{\"format\":1";
    let none = |_| NONE.to_owned();
    let AnyExport { export } = serde_json::from_slice(bytes).map_err(none)?;
    let AnyHeader { format } = serde_json::from_str(export.get()).map_err(none)?;
    if format != FORMAT {
        return Err(format!(
            "the export has format {format}, and this program reads {FORMAT}: use the program that wrote it"
        ));
    }
    serde_json::from_str(export.get()).map_err(|error| error.to_string())
}

/// Reads a line without its end; says whether there was one.
fn read_line(from: &mut dyn BufRead, buffer: &mut Vec<u8>, number: u64) -> Result<bool, TransferError> {
    buffer.clear();
    from.take(LONGEST).read_until(b'\n', buffer).map_err(TransferError::Read)?;
    if buffer.len() as u64 >= LONGEST {
        let problem = format!("it is longer than {LONGEST} bytes");
        return Err(TransferError::Line { line: number, problem });
    }
    Ok(!buffer.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"export":{"format":1,"program":"0.2.0","backend":"sqlite","exported_at":"2026-03-01T12:00:00.000000Z","epoch":1,"position":2,"token":0,"sequence":0,"events":true}}"#;

    fn read(text: &str) -> Result<Counts, TransferError> {
        let mut from = text.as_bytes();
        let mut quiet = |_| {};
        let mut reader = Reader::begin(&mut from, &mut quiet)?;
        while reader.next()?.is_some() {}
        Ok(reader.counts())
    }

    fn event(position: u64) -> String {
        format!(
            r#"{{"event":{{"position":{position},"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"job.created","occurred_at":"2026-03-01T12:00:00Z","job":"01890a5d-ac96-774b-bcce-b302099a8057","job_type":"noop","queue":"default","job_created_at":"2026-03-01T12:00:00Z","correlation_id":"01890a5d-ac96-774b-bcce-b302099a8057","attempt":0,"instance":"a","version":"0"}}}}"#
        )
    }

    #[test]
    fn a_whole_export_is_read() {
        let (first, second) = (event(1), event(2));
        let text =
            format!("{HEADER}\n{first}\n{second}\n{{\"end\":{{\"jobs\":0,\"attempts\":0,\"events\":2}}}}\n");
        assert_eq!(read(&text).unwrap(), Counts { events: 2, ..Counts::default() });
    }

    #[test]
    fn what_is_no_whole_export_is_refused() {
        let (first, second, third) = (event(1), event(2), event(3));
        let end = |events: u64| format!(r#"{{"end":{{"jobs":0,"attempts":0,"events":{events}}}}}"#);
        let cases = [
            (String::new(), "line 1: this is no export of a store"),
            ("{}\n".to_owned(), "line 1: this is no export of a store"),
            (
                HEADER.replace("\"format\":1", "\"format\":2"),
                "line 1: the export has format 2, and this program reads 1",
            ),
            (HEADER.to_owned(), "it is cut off: after line 1 the closing line is missing"),
            (format!("{HEADER}\n{first}"), "it is cut off: after line 2 the closing line is missing"),
            (format!("{HEADER}\n{first}\n{}", &second[..50]), "line 3: EOF while parsing"),
            (format!("{HEADER}\n{first}\n{third}"), "line 3: the event at 3 is not in its place"),
            (format!("{HEADER}\n{first}\n{}", end(1)), "line 3: the newest events are missing"),
            (format!("{HEADER}\n{first}\n{second}\n{}", end(3)), "it is damaged"),
            (format!("{HEADER}\n{first}\n{second}\n{}\n{{}}", end(2)), "line 5: nothing may follow"),
            (
                format!(
                    "{HEADER}\n{{\"report\":{{\"job\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"token\":0,\"attempt\":1}}}}"
                ),
                "line 2: what is said of the job 01890a5d-ac96-774b-bcce-b302099a8057 is not in its place",
            ),
            (format!("{HEADER}\n{HEADER}"), "line 2: a second export begins here"),
            (format!("{HEADER}\n{{\"colour\":{{}}}}"), "line 2: unknown variant `colour`"),
            (
                format!("{HEADER}\n{}", first.replace("\"attempt\"", "\"atempt\"")),
                "line 2: unknown field `atempt`",
            ),
        ];
        for (text, says) in cases {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.starts_with(says), "{text}: {error}");
        }
    }
}
