//! Counts the allocations of the calling thread, on demand.
//!
//! A cell reports the number of the engine's allocations, their bytes, and the peak.
//! Unlike times, those figures are exactly the same in every run. While nothing is
//! counted, the allocator costs one relaxed load per call, so that the same executable
//! can also be timed.

#![allow(unsafe_code)] // a global allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator with counters. It has an effect if the program installs it:
/// `#[global_allocator] static A: CountingAllocator = CountingAllocator;`
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

/// The allocations during [`count`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocations {
    /// The number of allocations and reallocations.
    pub count: u64,
    /// The bytes that they requested; a reallocation counts what it adds.
    pub bytes: u64,
    /// The peak of the bytes held, above those held before.
    pub peak: u64,
    /// The bytes held at the end, less those held before.
    pub live: i64,
}

/// True while any thread counts. It spares all others the thread-local look-up.
static COUNTING: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Set while this thread counts. It is constant and without a destructor, so that
    /// its own use never allocates.
    static CURRENT: Cell<Option<Allocations>> = const { Cell::new(None) };
}

/// Runs `work` and counts what this thread allocates in it; `None` if the program has
/// another allocator. Only one thread of a program may count at a time.
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

/// Notes that a block changed from `old` to `new` bytes; 0 stands for no block.
fn note(old: usize, new: usize) {
    if !COUNTING.load(Ordering::Relaxed) {
        return;
    }
    // Access fails while the thread is ending; it does not count any more.
    let _ = CURRENT.try_with(|current| {
        let Some(mut a) = current.get() else { return };
        a.count += u64::from(new > 0);
        a.bytes += new.saturating_sub(old) as u64;
        a.live += new as i64 - old as i64;
        a.peak = a.peak.max(u64::try_from(a.live).unwrap_or(0));
        current.set(Some(a));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged. The added code
// reads and writes counters and never allocates.
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
