//! Telling a client how far its call has come, if it gave a token for that.

use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::progress::Progress;

/// How often the client is told.
const EVERY: Duration = Duration::from_secs(1);

/// What counts for a client that gave this token, or gave none.
pub(super) fn counted_for(token: Option<&ProgressToken>) -> Progress {
    if token.is_some() { Progress::counted() } else { Progress::default() }
}

/// Makes the notifications of one call.
pub(super) struct Ticker {
    token: ProgressToken,
    progress: Progress,
    began: Instant,
    ticks: Interval,
}

impl Ticker {
    pub(super) fn new(token: ProgressToken, progress: Progress) -> Self {
        let began = Instant::now();
        let mut ticks = interval_at(began + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { token, progress, began, ticks }
    }

    /// The next notification, when it is time for it. May be dropped and called again.
    pub(super) async fn next(&mut self) -> ProgressNotificationParam {
        self.ticks.tick().await;
        // It must grow each time (spec, progress), which rows need not.
        let seconds = self.began.elapsed().as_secs_f64();
        let notification = ProgressNotificationParam::new(self.token.clone(), seconds);
        notification.with_message(format!("{}, {seconds:.1} s", self.progress))
    }
}
