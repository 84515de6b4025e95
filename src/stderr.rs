//! Standard error that may be full or closed: a message that nobody reads must
//! not end the program, as `eprintln!` does.

use std::fmt::Arguments;
use std::io::{Write, stderr};

/// Prints a line to standard error, if that can be written.
macro_rules! complain {
    ($($text:tt)*) => {
        $crate::stderr::line(format_args!($($text)*))
    };
}
pub(crate) use complain;

/// Prints `text` and ends the line.
pub fn line(text: Arguments<'_>) {
    let _ = writeln!(stderr().lock(), "{text}");
}
