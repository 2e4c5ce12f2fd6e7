//! What both sides of a wire must agree on.
