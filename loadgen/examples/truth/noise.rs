//! A machine that others use too, such as one that runs CI jobs.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// The time for which a neighbour computes, milliseconds, before it pauses.
const BURST_MS: Range<u64> = 1..20;

/// The time for which it then pauses, milliseconds.
const PAUSE_MS: Range<u64> = 1..60;

/// Threads that compute in bursts of random length until this is dropped.
pub struct Noise {
    is_over: Arc<AtomicBool>,
}

impl Noise {
    /// Starts `neighbours` threads.
    pub fn start(neighbours: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        for seed in 0..neighbours {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
                while !is_over.load(Ordering::Relaxed) {
                    let end = Instant::now() + Duration::from_millis(rng.random_range(BURST_MS));
                    while Instant::now() < end {
                        std::hint::spin_loop();
                    }
                    thread::sleep(Duration::from_millis(rng.random_range(PAUSE_MS)));
                }
            });
        }
        Self { is_over }
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
