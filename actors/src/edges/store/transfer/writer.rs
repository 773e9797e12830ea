//! Writing an export.

use std::io::Write;

use super::{Counts, Header, Line, Progress, TransferError};

/// Lines between two words on the progress.
const STEP: u64 = 1000;

/// Writes an export line by line.
pub(crate) struct Writer<'a> {
    to: &'a mut dyn Write,
    progress: Progress<'a>,
    counts: Counts,
}

impl<'a> Writer<'a> {
    /// Begins with the header.
    pub(crate) fn begin(
        to: &'a mut dyn Write,
        progress: Progress<'a>,
        header: Header,
    ) -> Result<Self, TransferError> {
        let mut writer = Writer { to, progress, counts: Counts::default() };
        writer.write(&Line::Export(header))?;
        Ok(writer)
    }

    pub(crate) fn write(&mut self, line: &Line) -> Result<(), TransferError> {
        match line {
            Line::Job(job) => {
                self.counts.jobs += 1;
                self.counts.attempts += job.attempts.len() as u64;
            }
            Line::Event(_) => self.counts.events += 1,
            _ => {}
        }
        if (self.counts.jobs + self.counts.events).is_multiple_of(STEP) {
            (self.progress)(self.counts);
        }
        let failed = |error: serde_json::Error| TransferError::Write(error.into());
        serde_json::to_writer(&mut *self.to, line).map_err(failed)?;
        self.to.write_all(b"\n").map_err(TransferError::Write)
    }

    /// Closes with the counts.
    pub(crate) fn end(mut self) -> Result<Counts, TransferError> {
        self.write(&Line::End(self.counts))?;
        self.to.flush().map_err(TransferError::Write)?;
        (self.progress)(self.counts);
        Ok(self.counts)
    }
}
