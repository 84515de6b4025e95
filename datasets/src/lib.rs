//! Editing traces.
