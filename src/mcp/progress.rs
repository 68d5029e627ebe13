//! Progress notifications, for a client that gave a token for them.

use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::progress::Progress;

/// How often the client gets one.
const EVERY: Duration = Duration::from_secs(1);

/// The counter for a client that gave this token, or none.
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

    /// The next notification, when its time has come. May be dropped and called again.
    pub(super) async fn next(&mut self) -> ProgressNotificationParam {
        self.ticks.tick().await;
        // The value must grow each time (spec, progress). The number of rows need not, so it is the time.
        let seconds = self.began.elapsed().as_secs_f64();
        let notification = ProgressNotificationParam::new(self.token.clone(), seconds);
        notification.with_message(format!("{}, {seconds:.1} s", self.progress))
    }
}
