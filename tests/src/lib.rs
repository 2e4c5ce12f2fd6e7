//! Tests beyond one crate.
