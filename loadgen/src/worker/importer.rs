//! Importing what the clients of a worker have received.

use std::rc::Rc;

use tokio::task::yield_now;

use crate::room::rooms::Rooms;

/// Imports received updates in the order of their arrival, for as long as it is
/// polled. Edits that are due come first, reading second, and imports last:
/// after each import, every other task that can run has its turn, and every
/// socket that has something is read. So an edit is late, and the time of an
/// arrival uncertain, by one import at most.
pub async fn import_updates(rooms: Rc<Rooms>) {
    loop {
        match rooms.import_next() {
            // The runtime asks the system for events before it goes on here.
            true => yield_now().await,
            false => rooms.update_waits().await,
        }
    }
}
