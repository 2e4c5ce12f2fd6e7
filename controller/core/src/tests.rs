//! Scenarios, step by step, with the exact outputs as lines of text.

mod claims;
mod jobs;
mod monitors;
mod nodes;
mod random;
mod world;
