//! How long many pieces of like work take, by a sample: for so small a piece as a row, reading the clock twice would be
//! a good part of the work.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The first so many pieces are measured, and of those after them one in so many, which stands for all of these.
const EVERY: u32 = 16;

/// The time that pieces of work have taken together.
#[derive(Debug, Default)]
pub struct Sampled {
    pieces: Cell<u32>,
    total: Cell<Duration>,
}

impl Sampled {
    /// Do a piece of work.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let piece = self.pieces.get();
        self.pieces.set(piece.wrapping_add(1));
        let stands_for = if piece < EVERY { 1 } else { EVERY };
        if !piece.is_multiple_of(stands_for) {
            return work();
        }
        let began = Instant::now();
        let done = work();
        self.total.set(self.total.get() + began.elapsed() * stands_for);
        done
    }

    /// All pieces since this was asked last; exact up to 16.
    pub fn take(&self) -> Duration {
        self.pieces.take();
        self.total.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_pieces_are_measured_each_and_many_by_a_sample() {
        let spin = |time: Duration| {
            let until = Instant::now() + time;
            while Instant::now() < until {}
        };
        let (few, many) = (Sampled::default(), Sampled::default());
        (0..10).for_each(|_| few.time(|| spin(Duration::from_micros(100))));
        assert!(few.take() >= Duration::from_millis(1));
        assert_eq!(few.take(), Duration::ZERO);
        // Of these, only the one that is measured takes any time.
        (0..32).for_each(|piece| many.time(|| spin(Duration::from_micros(if piece == 16 { 100 } else { 0 }))));
        assert!(many.take() >= Duration::from_micros(1600));
    }
}
