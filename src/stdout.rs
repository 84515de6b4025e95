//! Standard output whose reader may close it early: `syncbench ... | head` is not an
//! error, and must neither panic nor change the exit code.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// Prints a line to standard output, as `println!` does.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::stdout::line(format_args!($($text)*))
    };
}
pub(crate) use say;

/// Prints `text` and ends the line. A closed pipe is ignored. Any other error is
/// reported on standard error, so that no result is lost silently.
pub fn line(text: Arguments<'_>) {
    match writeln!(stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => eprintln!("syncbench: cannot write to standard output: {error}"),
    }
}
