//! Scenarios, step by step, with the exact outputs as lines of text.

mod adopted;
mod circles;
mod claims;
mod conflicts;
mod cost;
mod differs;
mod graces;
mod jobs;
mod monitors;
mod nodes;
mod orders;
mod random;
mod repeats;
mod resume;
mod views;
mod world;
