//! Commands and files inside a node.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Node, Output, PATIENCE};
use crate::command::capture;

impl Node {
    /// Runs a command inside and returns what came of it, whatever its exit status. It has 30 s.
    ///
    /// It runs as root in all namespaces of the node and in the cgroup `init.scope`, so that it
    /// dies with the node.
    ///
    /// # Errors
    ///
    /// When the node does not run, or the command does not end in time.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        self.run_within(args, PATIENCE)
    }

    /// As [`Node::run`], with another deadline.
    ///
    /// # Errors
    ///
    /// As [`Node::run`].
    pub fn run_within(&self, args: &[&str], timeout: Duration) -> Result<Output> {
        capture(&mut self.command(args)?, timeout)
            .with_context(|| format!("{}: {}", self.name, args.join(" ")))
    }

    /// Runs a command that must succeed, and returns its standard output, without the white space at
    /// its end.
    ///
    /// # Errors
    ///
    /// As [`Node::run`], and when the command fails.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        self.run(args)?
            .ok()
            .with_context(|| format!("{}: {}", self.name, args.join(" ")))
    }

    /// Runs a script with `sh -eu`, which must succeed.
    ///
    /// # Errors
    ///
    /// As [`Node::ok`].
    pub fn shell(&self, script: &str) -> Result<String> {
        self.ok(&["sh", "-euc", script])
    }

    /// Runs `systemctl`, which must succeed.
    ///
    /// # Errors
    ///
    /// As [`Node::ok`].
    pub fn systemctl(&self, args: &[&str]) -> Result<String> {
        let mut all = vec!["systemctl"];
        all.extend(args);
        self.ok(&all)
    }

    /// A command that is ready to run inside, for callers who want to handle its life and streams
    /// themselves. It ends when the process that starts it ends.
    ///
    /// # Errors
    ///
    /// When the node does not run.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        Ok(self.inside()?.command(args))
    }

    /// Writes a file, with the directories that lead to it; it is executable when it begins with
    /// `#!`. After a unit file, `systemctl daemon-reload` is the caller's business.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        self.tree()?
            .as_ref()
            .unwrap_or(&self.root)
            .write(path, content.as_bytes())
    }

    /// Reads a text file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not UTF-8.
    pub fn read(&self, path: &str) -> Result<String> {
        self.tree()?.as_ref().unwrap_or(&self.root).read(path)
    }

    /// Removes a file; that it was not there is a success.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<()> {
        self.tree()?.as_ref().unwrap_or(&self.root).remove(path)
    }

    /// Starts `unit` with `multi-user.target` from the next boot on.
    ///
    /// # Errors
    ///
    /// When the link cannot be made.
    pub fn enable(&self, unit: &str) -> Result<()> {
        let link = format!("/etc/systemd/system/multi-user.target.wants/{unit}");
        let target = format!("/usr/lib/systemd/system/{unit}");
        self.tree()?
            .as_ref()
            .unwrap_or(&self.root)
            .symlink(&target, &link)
    }

    /// Copies a directory of the host into the node; used before the first boot.
    pub(crate) fn copy_in(&self, from: &Path, to: &str) -> Result<()> {
        self.root.copy_in(from, to)
    }
}
