use std::path::PathBuf;

use clap::Parser;

/// The agent of one systemd node: drives the local service manager for the controller of a fleet,
/// and keeps what the units of this node need of other nodes.
#[derive(Debug, Parser)]
#[command(name = "unitlink-agent", version)]
pub(crate) struct Cli {
    /// Read this file in place of /usr/lib/unitlink/agent.toml.d/*.toml, /etc/unitlink/agent.toml
    /// and /etc/unitlink/agent.toml.d/*.toml (with --user, those of the user)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Drive the service manager of the user who runs this instead of the system's, and serve the
    /// interface on the session bus; sockets are below $XDG_RUNTIME_DIR
    #[arg(long)]
    pub(crate) user: bool,

    /// Check the configuration, say what is wrong with it, and leave
    #[arg(long)]
    pub(crate) check: bool,

    /// Print every option with its default, commented, or only those of these sections, and leave
    #[arg(long, value_name = "SECTION", num_args = 0.., value_delimiter = ',')]
    pub(crate) print_config: Option<Vec<String>>,

    /// Print what the configuration sets, in columns for programs: key, value, where it is from, and
    /// what a change does; then leave
    #[arg(long)]
    pub(crate) show_config: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_options_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
