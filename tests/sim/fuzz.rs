//! Worlds that a fuzzer describes, byte by byte. It sees which code of the cores a world runs through,
//! and changes the bytes of what has reached something new.

use libfuzzer_sys::fuzz_target;

use crate::{generate::story_of_bytes, run::play};

fuzz_target!(|bytes: &[u8]| {
    let (_, result) = play(story_of_bytes(bytes), false);
    if let Err(wrong) = result {
        panic!("{wrong}");
    }
});
