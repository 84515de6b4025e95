//! The latest updates of a room with the operations that they hold. An update
//! that goes to a hundred version-only replicas is decoded once, or never where
//! it was sent from here and came back byte for byte the same.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use syncbench_engines::{Engine, EngineError, OpRange};

/// The largest number of bytes of updates kept.
const KEPT_BYTES: usize = 256 * 1024;

/// The operations that an update holds.
struct Known {
    ranges: Rc<[OpRange]>,
    /// The number of replicas that it has yet to reach, if each gets it once.
    to_come: usize,
}

/// The latest updates and the operations that they hold.
#[derive(Default)]
pub struct Recent {
    known: HashMap<Bytes, Known>,
    /// Updates in the order of their arrival; some have reached all replicas.
    order: VecDeque<Bytes>,
    bytes: usize,
}

impl Recent {
    /// Keeps an update whose operations are known until it has reached `to_come`
    /// replicas, or too many bytes have arrived since.
    pub fn keep(&mut self, update: Bytes, ranges: Rc<[OpRange]>, to_come: usize) {
        if to_come == 0 {
            return;
        }
        self.bytes += update.len();
        self.order.push_back(update.clone());
        self.known.insert(update, Known { ranges, to_come });
        self.forget();
    }

    /// Drops the oldest updates: those that have reached all replicas, and those
    /// beyond the limit.
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

    /// Returns the operations of an update that has reached one of `receivers`
    /// replicas.
    ///
    /// # Errors
    /// When the update is damaged.
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
