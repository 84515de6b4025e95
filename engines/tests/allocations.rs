//! The counting allocator, in a separate program that installs it.

use std::hint::black_box;

use syncbench_engines::allocations::{Allocations, CountingAllocator, count};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// All checks are in one test, since only one thread of a program may count at a time.
#[test]
fn allocations_are_counted_exactly_and_only_while_asked_for() {
    let ((), nothing) = count(|| {});
    assert_eq!(nothing, Some(Allocations::default()));

    let (kept, counted) = count(|| {
        drop(black_box(vec![0_u8; 1_000]));
        let mut kept = black_box(Vec::<u8>::with_capacity(100));
        kept.reserve_exact(300);
        kept
    });
    let expected = Allocations {
        count: 3,
        bytes: 1_300,
        peak: 1_000,
        live: 300,
    };
    assert_eq!(counted, Some(expected));

    let ((), freed) = count(|| drop(kept));
    assert_eq!(
        freed,
        Some(Allocations {
            live: -300,
            ..Allocations::default()
        })
    );

    let (elsewhere, counted) = count(|| {
        let thread = std::thread::spawn(|| black_box(vec![0_u8; 1 << 20]));
        thread.join()
    });
    assert!(elsewhere.is_ok());
    let bytes = counted.map_or(u64::MAX, |counted| counted.bytes);
    assert!(
        bytes < 1 << 20,
        "another thread's {bytes} bytes were counted"
    );
}
