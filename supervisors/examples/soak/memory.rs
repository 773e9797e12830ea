//! The resident memory over time.

use std::{fs, io, time::Duration};

/// MiB a minute.
const GROWTH: f64 = 1.0;
/// Seconds.
const LONG: f64 = 120.0;
/// MiB.
const SETTLING: f64 = 4.0;

/// Seconds and bytes.
#[derive(Default)]
pub(crate) struct Samples(Vec<(f64, f64)>);

impl Samples {
    pub(crate) fn take(&mut self, at: Duration) -> io::Result<()> {
        self.0.push((at.as_secs_f64(), resident()?));
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first and the last, in MiB.
    pub(crate) fn ends(&self) -> Option<(f64, f64)> {
        Some((in_mib(self.0.first()?.1), in_mib(self.0.last()?.1)))
    }

    /// Whether it grows by less than [`GROWTH`]. In a run of less than [`LONG`] it is what was added that counts: so soon, the
    /// allocator's settling shows more than a leak does, while a leak of one message an ask would be tens of MiB.
    pub(crate) fn is_steady(&self) -> bool {
        let length = self.0.first().zip(self.0.last()).map(|(first, last)| last.0 - first.0);
        let Some((length, slope)) = length.zip(self.slope()) else { return false };
        if length < LONG { slope * length / 60.0 < SETTLING } else { slope < GROWTH }
    }

    /// By least squares, in MiB a minute. None for fewer than two.
    pub(crate) fn slope(&self) -> Option<f64> {
        let n = self.0.iter().fold(0.0, |n, _| n + 1.0);
        let (mean_at, mean) =
            self.0.iter().fold((0.0, 0.0), |(at, y), sample| (at + sample.0 / n, y + sample.1 / n));
        let (covariance, variance) = self.0.iter().fold((0.0, 0.0), |(covariance, variance), (at, y)| {
            (covariance + (at - mean_at) * (y - mean), variance + (at - mean_at).powi(2))
        });
        (variance > 0.0).then(|| in_mib(covariance / variance) * 60.0)
    }
}

fn in_mib(bytes: f64) -> f64 {
    bytes / f64::from(1u32 << 20)
}

/// In bytes. As `statm` says it, but in a unit that does not depend on the machine.
fn resident() -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<u32>().ok());
    kib.map(|kib| f64::from(kib) * 1024.0).ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}
