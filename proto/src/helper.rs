//! What an agent and its helper (`unitlink-proxy`) agree on beside the lines that they speak.

use std::path::{Path, PathBuf};

use crate::model::Token;

/// The folder in which an agent leaves why proxies are stopped, in the folder of its socket.
pub const REASONS: &str = "agent/reasons";

/// The file of one reason, in the folder of the agent's socket. It is of one run of a proxy, so that no later run is
/// taken for it, and has the line `failed CAUSE TEXT` of the helper's protocol.
pub fn reason_file(sockets: &Path, token: Token) -> PathBuf {
    sockets.join(REASONS).join(token.to_string())
}
