//! How many connections a pool may have while the server accepts fewer than the settings ask for: a role or a database
//! may have a CONNECTION LIMIT, and the server has max_connections. It is a state machine; the time of an event is an
//! argument.

use std::time::Duration;

use tokio::time::Instant;

/// The first and the longest pause before more connections are tried again.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What is known about the limit of the server.
#[derive(Debug)]
pub(super) struct Ceiling {
    /// The number of connections that the server accepts, if it is too small.
    lowered: Option<usize>,
    /// When more connections are tried, and the pause after the next refusal.
    try_at: Option<Instant>,
    pause: Duration,
}

impl Ceiling {
    pub(super) fn new() -> Self {
        Self { lowered: None, try_at: None, pause: TRY_AGAIN.0 }
    }

    /// The server has refused another connection while `open` were open. Returns how many are allowed from now on: at
    /// least one, which is tried again and again.
    pub(super) fn refused(&mut self, open: usize, now: Instant) -> usize {
        let allowed = open.max(1);
        if self.lowered.replace(allowed).is_none() {
            self.try_at = Some(now + self.pause);
            self.pause = (self.pause * 2).min(TRY_AGAIN.1);
        }
        allowed
    }

    /// Whether more connections are tried now, because it is time for that, or because the server is known to accept
    /// another one. They are allowed until the next refusal.
    pub(super) fn is_lifted(&mut self, now: Instant, takes_more: bool) -> bool {
        let is_time = self.try_at.is_some_and(|at| takes_more || now >= at);
        if is_time {
            (self.lowered, self.try_at) = (None, None);
        }
        is_time
    }

    /// The number of connections that the server accepts, if it is known to be too small.
    pub(super) fn lowered(&self) -> Option<usize> {
        self.lowered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_allows_is_kept_to_and_tried_again_ever_later() {
        let (mut ceiling, mut now) = (Ceiling::new(), Instant::now());
        assert!(!ceiling.is_lifted(now, true), "nothing was refused");
        for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
            assert_eq!(ceiling.refused(3, now), 3);
            // Several calls may be refused at once, and fewer connections may be left.
            assert_eq!(ceiling.refused(2, now), 2);
            assert_eq!(ceiling.lowered(), Some(2));
            assert!(!ceiling.is_lifted(now + Duration::from_secs(pause - 1), false));
            now += Duration::from_secs(pause);
            assert!(ceiling.is_lifted(now, false) && !ceiling.is_lifted(now, false));
            assert_eq!(ceiling.lowered(), None);
        }
        assert_eq!(ceiling.refused(0, now), 1, "one is always tried");
        assert!(ceiling.is_lifted(now, true), "at once, if the server takes more");
    }
}
