//! What the operating system knows of this process, where it tells (Linux, proc(5)).

use std::fs;

/// How much of a page there is in memory, in bytes: on every system that has `/proc/self/statm` and that this is built
/// for.
const PAGE_BYTES: u64 = 4096;

/// Memory in use by this process, in bytes; what it shares with others counts too.
pub fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

/// Files, sockets and the like that are open.
pub fn descriptors() -> Option<u64> {
    // Less the one by which they are counted.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}
