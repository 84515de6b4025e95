//! Standard output that outlives its reader: `syncbench ... | head` is no error,
//! and must neither panic nor change the exit code.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// Prints a line to standard output, as `println!` does.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::stdout::line(format_args!($($text)*))
    };
}
pub(crate) use say;

/// Prints `text` and ends the line. A reader that has gone is passed over; what
/// else keeps the text from being written is told, as results are not lost.
pub fn line(text: Arguments<'_>) {
    match writeln!(stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => eprintln!("syncbench: cannot write to standard output: {error}"),
    }
}
