//! The pure state machine of one node.
