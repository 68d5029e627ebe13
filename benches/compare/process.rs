//! Memory and processor time of a server's process. `None` on a system without `/proc`.

use std::fs;
use std::time::Duration;

use crate::common::{Host, processor_time};

impl Host {
    pub fn resident_bytes(&self) -> Option<u64> {
        Some(self.status_kib("VmRSS")? * 1024)
    }

    /// The largest resident memory since the last [`reset_peak`](Self::reset_peak).
    pub fn resident_peak_bytes(&self) -> Option<u64> {
        Some(self.status_kib("VmHWM")? * 1024)
    }

    /// If the system forbids it, the peak is the one since the start, which is the same for a new process.
    pub fn reset_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    pub fn processor_time(&self) -> Option<Duration> {
        processor_time(self.pid())
    }
}
