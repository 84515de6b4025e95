//! The updates that a room has seen lately, and what they hold: an update that
//! goes to a hundred light replicas is decoded once, or never where it was sent
//! from here and came back byte for byte the same.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use syncbench_engines::{Engine, EngineError, OpRange};

/// Updates kept.
const KEPT: usize = 64;

/// Updates and the operations they hold, the latest first.
#[derive(Default)]
pub struct Recent(VecDeque<(Bytes, Rc<[OpRange]>)>);

impl Recent {
    /// Keeps an update whose operations are known.
    pub fn keep(&mut self, update: Bytes, ranges: Vec<OpRange>) -> Rc<[OpRange]> {
        let ranges: Rc<[OpRange]> = ranges.into();
        self.0.truncate(KEPT - 1);
        self.0.push_front((update, Rc::clone(&ranges)));
        ranges
    }

    /// The operations of an update.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn ranges_of(
        &mut self,
        update: &Bytes,
        engine: &dyn Engine,
    ) -> Result<Rc<[OpRange]>, EngineError> {
        let known = self.0.iter().find(|(known, _)| known == update);
        if let Some((_, ranges)) = known {
            return Ok(Rc::clone(ranges));
        }
        let ranges = engine.ranges_of(update)?;
        Ok(self.keep(update.clone(), ranges))
    }
}
