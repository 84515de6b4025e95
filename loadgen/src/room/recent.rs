//! The updates that a room has seen lately, and what they hold: an update that
//! goes to a hundred light replicas is decoded once, or never where it was sent
//! from here and came back byte for byte the same.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use syncbench_engines::{Engine, EngineError, OpRange};

/// Most bytes of updates kept.
const KEPT_BYTES: usize = 256 * 1024;

/// What an update holds.
struct Known {
    ranges: Rc<[OpRange]>,
    /// Replicas that it will still come to, if each gets it once.
    to_come: usize,
}

/// Updates and the operations they hold.
#[derive(Default)]
pub struct Recent {
    known: HashMap<Bytes, Known>,
    /// In the order in which they came; some have come everywhere by now.
    order: VecDeque<Bytes>,
    bytes: usize,
}

impl Recent {
    /// Keeps an update whose operations are known, until it has come to so many
    /// replicas, or too much has come since.
    pub fn keep(&mut self, update: Bytes, ranges: Rc<[OpRange]>, to_come: usize) {
        if to_come == 0 {
            return;
        }
        self.bytes += update.len();
        self.order.push_back(update.clone());
        self.known.insert(update, Known { ranges, to_come });
        self.forget();
    }

    /// Lets go of the oldest: those that have come everywhere, and what is too
    /// much.
    fn forget(&mut self) {
        while let Some(oldest) = self.order.front() {
            if self.bytes <= KEPT_BYTES && self.known.contains_key(oldest) {
                return;
            }
            self.bytes -= oldest.len();
            self.known.remove(oldest);
            self.order.pop_front();
        }
    }

    /// The operations of an update that has come to one of `receivers`.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn ranges_of(
        &mut self,
        update: &Bytes,
        receivers: usize,
        engine: &dyn Engine,
    ) -> Result<Rc<[OpRange]>, EngineError> {
        if let Some(known) = self.known.get_mut(update) {
            let ranges = Rc::clone(&known.ranges);
            known.to_come -= 1;
            if known.to_come == 0 {
                self.known.remove(update);
                self.forget();
            }
            return Ok(ranges);
        }
        let ranges: Rc<[OpRange]> = engine.ranges_of(update)?.into();
        let to_come = receivers.saturating_sub(1);
        self.keep(update.clone(), Rc::clone(&ranges), to_come);
        Ok(ranges)
    }
}
