//! Files of a node, reached from outside it. Every path is resolved inside the node's own root, so
//! a symbolic link there can never lead to a file of the host.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, mkdirat, open, openat2, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// The root directory of a node.
#[derive(Debug)]
pub(crate) struct Tree(OwnedFd);

impl Tree {
    /// Opens the directory `root` of the host as a tree.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(root, flags, Mode::empty())
            .with_context(|| format!("cannot open {}", root.display()))?;
        Ok(Self(fd))
    }

    /// Writes a file (mode 0644, or 0755 when its content begins with `#!`), with the directories
    /// that lead to it. What was there is replaced, also when it was a symbolic link.
    pub(crate) fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let mode = if content.starts_with(b"#!") {
            0o755
        } else {
            0o644
        };
        self.write_with_mode(path, content, mode)
    }

    fn write_with_mode(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        self.remove(path)?;
        let (dir, name) = self.parent_of(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat2(
            &dir,
            name,
            flags,
            Mode::from_raw_mode(mode),
            ResolveFlags::IN_ROOT,
        )
        .with_context(|| format!("cannot create {path}"))?;
        let mut file = File::from(file);
        file.write_all(content)
            .with_context(|| format!("cannot write {path}"))?;
        // Past the umask of the tests.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(())
    }

    /// Reads a text file.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        let fd = openat2(
            &self.0,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
        .with_context(|| format!("cannot open {path}"))?;
        let mut text = String::new();
        File::from(fd)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {path}"))?;
        Ok(text)
    }

    /// Makes the symbolic link `path`, replacing what was there.
    pub(crate) fn symlink(&self, target: &str, path: &str) -> Result<()> {
        self.remove(path)?;
        let (dir, name) = self.parent_of(path)?;
        symlinkat(target, &dir, name).with_context(|| format!("cannot link {path}"))
    }

    /// Removes a file or a symbolic link; that it was not there is a success.
    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        let (dir, name) = self.parent_of(path)?;
        match unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot remove {path}")),
        }
    }

    /// Makes a directory with those that lead to it.
    pub(crate) fn create_dir_all(&self, path: &str) -> Result<()> {
        self.directory(Path::new(path)).map(drop)
    }

    /// Copies what is in the directory `from` of the host into `to`; modes are kept, owners are not.
    pub(crate) fn copy_in(&self, from: &Path, to: &str) -> Result<()> {
        for entry in
            fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?
        {
            let entry = entry?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .with_context(|| format!("not UTF-8: {}", entry.path().display()))?;
            let (source, path) = (entry.path(), format!("{to}/{name}"));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.create_dir_all(&path)?;
                self.copy_in(&source, &path)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&source)?;
                self.symlink(target.to_str().context("a link that is not UTF-8")?, &path)?;
            } else {
                use std::os::unix::fs::PermissionsExt;
                let mode = entry.metadata()?.permissions().mode() & 0o7777;
                self.write_with_mode(&path, &fs::read(&source)?, mode)?;
            }
        }
        Ok(())
    }

    fn parent_of<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str)> {
        let (parent, name) = path
            .rsplit_once('/')
            .with_context(|| format!("not an absolute path: {path}"))?;
        if name.is_empty() || name == "." || name == ".." {
            bail!("not the path of a file: {path}");
        }
        Ok((self.directory(Path::new(parent))?, name))
    }

    /// Opens a directory, and makes what is missing on the way.
    fn directory(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut here = rustix::io::fcntl_dupfd_cloexec(&self.0, 0)?;
        let mut walked = String::new();
        for component in path.components() {
            let name = match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => name.to_str().context("a path that is not UTF-8")?,
                Component::ParentDir | Component::Prefix(_) => {
                    bail!("not a plain path: {}", path.display())
                }
            };
            match mkdirat(here.as_fd(), name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot make {}", path.display()));
                }
            }
            walked = format!("{walked}/{name}");
            // From the root again, so that links on the way mean what they mean inside.
            here = openat2(
                &self.0,
                walked.as_str(),
                flags,
                Mode::empty(),
                ResolveFlags::IN_ROOT,
            )
            .with_context(|| format!("cannot open {walked}"))?;
        }
        Ok(here)
    }
}
