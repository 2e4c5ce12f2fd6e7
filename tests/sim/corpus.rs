//! Worlds that a fuzzer has found, once more: each of them reached something that none before it had.

use std::{fs, path::Path};

use crate::{generate::story_of_bytes, run::play};

/// All of them, or those of one file: `SIM_BYTES=FILE`, which tells everything that happens.
#[test]
fn the_worlds_of_the_fuzzer_are_safe_and_converge() {
    if let Some(file) = std::env::var_os("SIM_BYTES") {
        let bytes = fs::read(&file).expect("SIM_BYTES is a file that can be read");
        let (world, result) = play(story_of_bytes(&bytes), true);
        for line in world.trace.iter().flatten() {
            println!("{line}");
        }
        return result.unwrap_or_else(|wrong| panic!("{}: {wrong}", file.display()));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/world");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    // Without optimisation a world takes a hundred times as long: then every so manyeth.
    let step = if cfg!(debug_assertions) { 8 } else { 1 };
    for file in files.iter().step_by(step) {
        let bytes = fs::read(file).expect("a file of the corpus");
        let (_, result) = play(story_of_bytes(&bytes), false);
        if let Err(wrong) = result {
            panic!(
                "{}: {wrong}\nthe whole story: SIM_BYTES={0} cargo test -p tests --test sim fuzzer -- --nocapture",
                file.display()
            );
        }
    }
}
