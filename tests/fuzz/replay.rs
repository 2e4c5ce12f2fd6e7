//! What the fuzzers have found, once more, with the toolchain that everybody has: inputs that reached
//! something new, and every input that was ever wrong.

use std::{fs, io, path::Path};

use test_case::test_case;
use tests::fuzz;

#[test_case("names", fuzz::names)]
#[test_case("lines", fuzz::lines)]
#[test_case("wire", fuzz::wire)]
#[test_case("link", fuzz::link)]
#[test_case("config", fuzz::config)]
fn what_a_fuzzer_found_is_right(target: &str, run: fn(&[u8])) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files = 0;
    for entry in fs::read_dir(&folder)? {
        run(&fs::read(entry?.path())?);
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
    Ok(())
}
