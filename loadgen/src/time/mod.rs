//! Time: the clock that both ends of a delivery share, and the timer that wakes
//! the generator when an edit is due.

pub mod clock;
pub mod timer;
