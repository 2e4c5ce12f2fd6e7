//! The pure state machine of the fleet.
