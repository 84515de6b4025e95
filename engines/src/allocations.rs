//! Counts what the calling thread allocates, on demand.
//!
//! A cell reports how often, how much and how much at a time the engine
//! allocates. Those figures repeat exactly where times do not. While nothing
//! is counted, the allocator costs one relaxed load per call, so that the same
//! executable can also be timed.

#![allow(unsafe_code)] // a global allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator with counters. Has an effect where the program makes
/// it its own: `#[global_allocator] static A: CountingAllocator = CountingAllocator;`
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

/// What was allocated during [`count`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocations {
    /// Allocations and reallocations.
    pub count: u64,
    /// Bytes that those asked for; a reallocation asks for what it adds.
    pub bytes: u64,
    /// Most bytes held at a time, above those held before.
    pub peak: u64,
    /// Bytes held at the end, less those held before.
    pub live: i64,
}

/// Whether any thread counts: spares all others the thread-local look-up.
static COUNTING: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Set while this thread counts. Constant and without a destructor, so
    /// that its own use never allocates.
    static CURRENT: Cell<Option<Allocations>> = const { Cell::new(None) };
}

/// Runs `work` and counts what this thread allocates in it. `None` where the
/// program has another allocator. One thread of a program may count at a time.
pub fn count<R>(work: impl FnOnce() -> R) -> (R, Option<Allocations>) {
    let installed = counted(|| drop(black_box(Box::new(0_u64)))).1.count > 0;
    let (result, allocations) = counted(work);
    (result, installed.then_some(allocations))
}

fn counted<R>(work: impl FnOnce() -> R) -> (R, Allocations) {
    CURRENT.set(Some(Allocations::default()));
    COUNTING.store(true, Ordering::Relaxed);
    let result = work();
    COUNTING.store(false, Ordering::Relaxed);
    (result, CURRENT.take().unwrap_or_default())
}

/// Notes that a block changed from `old` to `new` bytes; 0 where there is none.
fn note(old: usize, new: usize) {
    if !COUNTING.load(Ordering::Relaxed) {
        return;
    }
    // Without access the thread is ending; it counts nothing any more.
    let _ = CURRENT.try_with(|current| {
        let Some(mut a) = current.get() else { return };
        a.count += u64::from(new > 0);
        a.bytes += new.saturating_sub(old) as u64;
        a.live += new as i64 - old as i64;
        a.peak = a.peak.max(u64::try_from(a.live).unwrap_or(0));
        current.set(Some(a));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged; what is
// added reads and writes counters and never allocates.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(0, layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(0, layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(layout.size(), new_size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}
