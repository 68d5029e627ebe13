//! The expected answers of the server, as far as they are needed to know which ParseComplete belongs to which Parse.

use std::collections::VecDeque;

use tokio_util::bytes::Bytes;

/// The answers that are still to come, the next one first.
#[derive(Debug, Default)]
pub struct Expected(VecDeque<Answer>);

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// ParseComplete for the statement with this name in the driver, whose Parse came from the driver or was added
    /// here.
    ParseComplete { name: Bytes, was_put_in: bool },
    /// ReadyForQuery.
    Ready,
}

impl Expected {
    pub fn parse_complete(&mut self, name: Bytes, was_put_in: bool) {
        self.0.push_back(Answer::ParseComplete { name, was_put_in });
    }

    pub fn ready(&mut self) {
        self.0.push_back(Answer::Ready);
    }

    /// A ParseComplete has arrived. Returns whether the driver waits for it.
    pub fn parse_completed(&mut self) -> bool {
        match self.0.front() {
            Some(Answer::ParseComplete { was_put_in, .. }) => {
                let is_the_drivers = !was_put_in;
                self.0.pop_front();
                is_the_drivers
            }
            _ => true,
        }
    }

    /// A ReadyForQuery has arrived. Returns the statements whose Parse was not answered, because it or an earlier
    /// message has failed.
    pub fn is_ready(&mut self) -> Vec<Bytes> {
        let mut failed = Vec::new();
        while let Some(Answer::ParseComplete { name, was_put_in }) = self.0.pop_front() {
            if !was_put_in {
                failed.push(name);
            }
        }
        failed
    }
}
