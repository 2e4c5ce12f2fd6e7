//! A name that leads to the newest generation, for servers that bind their own socket: each generation
//! has a path of its own, and the public name is a symbolic link that is switched in one step, so that
//! there is no moment in which nobody is behind it.

use std::{fs, io, os::unix::fs::symlink, path::Path};

/// Has `link` lead to `path`, whatever it led to before.
pub(crate) fn switch(link: &Path, path: &str) -> io::Result<()> {
    if fs::symlink_metadata(link).is_ok_and(|it| !it.is_symlink()) {
        return Err(io::Error::other(
            "there is something else than a symbolic link",
        ));
    }
    let mut beside = link.as_os_str().to_owned();
    beside.push(".next");
    if fs::symlink_metadata(&beside).is_ok() {
        fs::remove_file(&beside)?;
    }
    symlink(path, &beside)?;
    fs::rename(&beside, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_leads_to_one_or_the_other() {
        let folder = std::env::temp_dir().join(format!("launcher-publish-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("made");
        let link = folder.join("web.sock");
        for path in ["/run/a.1", "/run/a.2"] {
            switch(&link, path).expect("switched");
            assert_eq!(fs::read_link(&link).expect("a link"), Path::new(path));
        }
        fs::remove_file(&link).expect("removed");
        fs::write(&link, "mine").expect("written");
        assert!(
            switch(&link, "/run/a.3").is_err(),
            "a file of somebody is left alone"
        );
        assert_eq!(fs::read(&link).expect("there"), b"mine");
        fs::remove_dir_all(folder).expect("removed");
    }
}
