//! Telling a client how far its call has come, if it gave a token for that.

use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::progress::Progress;

/// How often the client is told.
const EVERY: Duration = Duration::from_secs(1);

/// What counts for a client that gave this token, or gave none.
pub(super) fn counted_for(token: Option<&ProgressToken>) -> Progress {
    if token.is_some() { Progress::counted() } else { Progress::default() }
}

/// Tell of `progress` by `send`. Never ends.
pub(super) async fn tell<F: Future<Output = ()>>(
    token: Option<ProgressToken>,
    progress: Progress,
    mut send: impl FnMut(ProgressNotificationParam) -> F,
) {
    let Some(token) = token else { return std::future::pending().await };
    let began = Instant::now();
    let mut next = interval_at(began + EVERY, EVERY);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        next.tick().await;
        // It must grow each time (spec, progress), which rows need not.
        let seconds = began.elapsed().as_secs_f64();
        let told = ProgressNotificationParam::new(token.clone(), seconds);
        send(told.with_message(format!("{progress}, {seconds:.1} s"))).await;
    }
}
