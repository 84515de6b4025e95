//! What a run leaves behind: the record and everything made from it.

pub mod record;
