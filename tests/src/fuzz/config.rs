use std::{fs, process};

use host::{
    config::{Sources, load},
    scope::Scope,
};

use super::{agent, controller};

/// Any file is a configuration, or is refused with the place and the reason; what is read twice is
/// read the same.
pub fn config(bytes: &[u8]) {
    let file = std::env::temp_dir().join(format!("unitlink-fuzz-{}.toml", process::id()));
    if fs::write(&file, bytes).is_err() {
        return;
    }
    let sources = Sources::file(&file, &Scope::System);
    match (
        load(&sources, agent::settings::prove_here),
        load(&sources, agent::settings::prove_here),
    ) {
        (Ok(first), Ok(second)) => assert_eq!(first.settings, second.settings),
        (Err(first), Err(second)) => refused(&first.to_string(), &second.to_string()),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => unreachable!("the same file"),
    }
    match (
        load(&sources, controller::settings::prove_here),
        load(&sources, controller::settings::prove_here),
    ) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.settings, second.settings);
            assert!(
                first.settings.fleet.heartbeat.interval < first.settings.fleet.heartbeat.threshold
            );
        }
        (Err(first), Err(second)) => refused(&first.to_string(), &second.to_string()),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => unreachable!("the same file"),
    }
    let _ = fs::remove_file(&file);
}

fn refused(first: &str, second: &str) {
    assert_eq!(first, second);
    assert!(first.contains("unitlink-fuzz"), "no place: {first}");
}
