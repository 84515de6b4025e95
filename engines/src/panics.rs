//! Panics as values. A library that panics ends the work that it was called for,
//! and not the program; the user gets a sentence and not a backtrace.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

thread_local! {
    /// The number of calls of [`catch`] that this thread is in.
    static CATCHING: Cell<u32> = const { Cell::new(0) };

    /// The first panic since this thread entered its innermost [`catch`]. A
    /// library may catch it, and then panic again at its own poisoned locks, which
    /// says nothing.
    static FIRST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    message: String,
    place: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

impl Panic {
    fn new(payload: &(dyn Any + Send), place: Option<String>) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self {
            message: text.unwrap_or_else(|| "no message".to_owned()),
            place,
        }
    }
}

/// Does `work`, and returns the panic that ended it, if one did. Nothing is
/// printed then. What `work` was changing may be left half done: whoever catches
/// a panic must not use it any more, nor drop documents of the library.
///
/// # Errors
/// When `work` panics.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    keep_first_panics();
    FIRST.take();
    CATCHING.set(CATCHING.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(CATCHING.get() - 1);
    // One that was resumed has not come by the hook.
    result.map_err(|payload| {
        FIRST
            .take()
            .unwrap_or_else(|| Panic::new(payload.as_ref(), None))
    })
}

/// Completes `work`, or returns the panic that ended it, as [`catch`] does.
///
/// # Errors
/// When `work` panics.
pub async fn catch_in<F: Future>(work: F) -> Result<F::Output, Panic> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match catch(|| work.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Keeps the panics that are caught here, instead of printing them. Other panics
/// are left to the hook that there was before.
fn keep_first_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match CATCHING.get() {
            0 => before(info),
            _ => FIRST.with_borrow_mut(|first| {
                let place = info.location().map(shortened);
                first.get_or_insert_with(|| Panic::new(info.payload(), place));
            }),
        }));
    });
}

/// A place as `loro-internal-1.17.1/src/oplog/change_store.rs:1374`.
fn shortened(place: &Location<'_>) -> String {
    format!("{}:{}", from_crate(place.file()), place.line())
}

/// The path of a source file from the name of its crate on: where it was compiled
/// is nobody's business.
fn from_crate(file: &str) -> &str {
    let source = file.rfind("/src/").unwrap_or(0);
    let crate_starts = file[..source].rfind('/').map_or(0, |slash| slash + 1);
    &file[crate_starts..]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_its_place() {
        assert_eq!(catch(|| 7), Ok(7));
        let panic = catch(|| panic!("{} is odd", 3)).unwrap_err();
        let text = panic.to_string();
        assert!(
            text.starts_with("3 is odd (engines/src/panics.rs:"),
            "{text}"
        );
    }

    #[test]
    fn a_panic_within_another_catch_ends_the_inner_work_alone() {
        let outer = catch(|| catch(|| panic!("inner")).unwrap_err().message);
        assert_eq!(outer.unwrap(), "inner");
        assert_eq!(CATCHING.get(), 0);
    }

    #[test]
    fn the_first_panic_counts_and_not_those_that_follow_from_it() {
        let library = || {
            let _ = catch_unwind(|| panic!("cause"));
            panic!("poisoned lock");
        };
        assert_eq!(catch(library).unwrap_err().message, "cause");
        let harmless = || drop(catch_unwind(|| panic!("caught")));
        assert_eq!(catch(harmless), Ok(()));
        assert_eq!(catch(|| panic!("later")).unwrap_err().message, "later");
    }

    #[test]
    fn a_place_begins_with_the_crate() {
        let registry = "/home/u/.cargo/registry/src/index-1949/loro-internal-1.17.1/src/oplog.rs";
        assert_eq!(from_crate(registry), "loro-internal-1.17.1/src/oplog.rs");
        assert_eq!(from_crate("engines/src/lib.rs"), "engines/src/lib.rs");
        assert_eq!(
            from_crate("engines/tests/it/main.rs"),
            "engines/tests/it/main.rs"
        );
    }

    #[test]
    fn the_place_is_that_of_the_panic_that_was_caught() {
        let first = catch(|| panic!("first")).unwrap_err();
        let second = catch(|| panic!("second")).unwrap_err();
        assert_ne!(first.place, second.place);
    }
}
