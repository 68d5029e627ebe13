//! Figures of this process from the operating system (Linux, proc(5)). They are `None` on a system without `/proc`.

use std::fs;

/// The resident memory of this process in bytes, including pages that it shares with others.
#[cfg(target_os = "linux")]
pub fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Only Linux has `/proc/self/statm`.
#[cfg(not(target_os = "linux"))]
pub fn resident_bytes() -> Option<u64> {
    None
}

/// The number of open file descriptors.
pub fn descriptors() -> Option<u64> {
    // Without the one that is open for counting.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}
