mod random;
mod reloads;
mod stops;
mod walk;
mod workers;
mod world;
