//! What was measured on.

use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::statistics::round;

/// Writes that the disk is measured with.
const DISK_WRITES: usize = 100;

/// The machine, as far as it matters to the figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
    /// The median time to write 4 KiB and have them on the disk, in microseconds: what each durable commit waits for.
    disk_sync_us: f64,
}

impl Machine {
    /// Looks at the machine, and measures the disk of `folder`.
    pub(super) fn look(folder: &Path) -> io::Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Ok(Machine {
            cpu: cpu.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kibibytes(&read("/proc/meminfo"), "MemTotal:"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            disk_sync_us: round(disk_sync(folder)?.as_secs_f64() * 1e6),
        })
    }
}

/// Resident bytes of a process of ours.
pub(super) fn resident(process: u32) -> u64 {
    kibibytes(&fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default(), "VmRSS:")
}

fn kibibytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .map_or(0, |amount: u64| amount * 1024)
}

fn disk_sync(folder: &Path) -> io::Result<Duration> {
    let path = folder.join("disk");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(DISK_WRITES);
    for _ in 0..DISK_WRITES {
        let began = Instant::now();
        file.rewind()?;
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[DISK_WRITES / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some_memory_and_a_missing_line_is_nothing() {
        assert!(resident(std::process::id()) > 100_000);
        assert_eq!(kibibytes("VmSize:\t  12 kB\nVmRSS:\t   34 kB\n", "VmRSS:"), 34 * 1024);
        assert_eq!(kibibytes("", "VmRSS:"), 0);
    }
}
