use std::path::PathBuf;

use clap::Parser;

/// The controller of a fleet of systemd nodes: knows the nodes, runs jobs on them, and settles
/// which node needs which unit of which other.
#[derive(Debug, Parser)]
#[command(name = "unitlink-controller", version)]
pub(crate) struct Cli {
    /// Read this file in place of /usr/lib/unitlink/controller.toml.d/*.toml,
    /// /etc/unitlink/controller.toml and /etc/unitlink/controller.toml.d/*.toml (with --user, those of
    /// the user)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Run for the user who runs this: serve the public interface on the session bus instead of the
    /// system bus, with sockets below $XDG_RUNTIME_DIR
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
