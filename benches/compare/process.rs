//! What a server's process has used: memory and processor time, as Linux tells it. `None` where there is no `/proc`.

use std::fs;
use std::time::Duration;

use crate::common::{Host, processor_time};

impl Host {
    pub fn resident_bytes(&self) -> Option<u64> {
        Some(self.status_kib("VmRSS")? * 1024)
    }

    /// The most that was resident since the last [`forget_peak`](Self::forget_peak).
    pub fn resident_peak_bytes(&self) -> Option<u64> {
        Some(self.status_kib("VmHWM")? * 1024)
    }

    /// Where the system forbids it the peak is that since the start, which for a fresh server is the same.
    pub fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    /// User's and system's time of all its threads.
    pub fn processor_time(&self) -> Option<Duration> {
        processor_time(self.pid())
    }
}
