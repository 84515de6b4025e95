//! Standard output: the one place that prints results, and knows whether all of
//! them were written.
//!
//! A reader that goes away, as in `syncbench ... | head`, has what it wanted: that
//! is no error. What else keeps a result from being written makes the command
//! fail.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::stderr::complain;

/// Whether something could not be written.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Prints a line to standard output, as `println!` does.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::stdout::line(format_args!($($text)*))
    };
}
pub(crate) use say;

/// Prints `text` and ends the line.
pub fn line(text: Arguments<'_>) {
    let mut stdout = stdout().lock();
    note(writeln!(stdout, "{text}").and_then(|()| stdout.flush()));
}

/// Notes whether something could be written; the first failure is reported.
pub fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !FAILED.swap(true, Ordering::Relaxed)
    {
        complain!("syncbench: cannot write to standard output: {error}");
    }
}

/// Whether something could not be written.
pub fn has_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}
