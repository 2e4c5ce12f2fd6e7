//! What every daemon needs of its machine.
