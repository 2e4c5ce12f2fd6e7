//! Why proxies are stopped, left for their helpers. A helper that had to ask for it would wait for an agent that is
//! dead, and systemd would not start the next one before: it stops what comes after something first.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use node::HelperAnswer;
use proto::{
    helper::{REASONS, reason_file},
    model::{Reason, Token},
};

use crate::{limits::REASONS_MAX, local::line, replace::replace};

/// The folder of reasons. A helper takes its own away as it reads it.
#[derive(Debug)]
pub(crate) struct Reasons {
    sockets: PathBuf,
    /// Those that were left, from the oldest; most of them have been taken.
    left: VecDeque<Token>,
}

impl Reasons {
    /// The empty folder of reasons in the folder of our sockets. Where an agent starts no proxy is being stopped, so
    /// what is in it is for nobody.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be made.
    pub(crate) fn in_folder(sockets: &Path) -> io::Result<Self> {
        let folder = sockets.join(REASONS);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        for entry in fs::read_dir(&folder)? {
            match fs::remove_file(entry?.path()) {
                Ok(()) => {}
                // A helper has taken it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            sockets: sockets.to_owned(),
            left: VecDeque::new(),
        })
    }

    /// Leaves why the proxy of this run is stopped.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub(crate) fn keep(&mut self, token: Token, reason: &Reason) -> io::Result<()> {
        if self.left.len() >= REASONS_MAX
            && let Some(old) = self.left.pop_front()
        {
            // It was taken, as a rule.
            let _ = fs::remove_file(reason_file(&self.sockets, old));
        }
        self.left.push_back(token);
        let line = line::write(&HelperAnswer::Failed(reason.clone()));
        replace(&reason_file(&self.sockets, token), &line)
    }
}

#[cfg(test)]
mod tests {
    use proto::model::Cause;

    use super::*;

    #[test]
    fn reasons_are_few_and_gone_with_the_agent_that_had_them() {
        let random = host::clock::random_u64().expect("random");
        let sockets = std::env::temp_dir().join(format!("unitlink-reasons-{random}"));
        let mut reasons = Reasons::in_folder(&sockets).expect("folder");
        let token = |number: usize| Token((number as u128).to_be_bytes());
        let reason = Reason::new(Cause::UnitDied, "unit t.service\nhas died");
        for number in 0..=REASONS_MAX {
            reasons.keep(token(number), &reason).expect("written");
        }
        let file = |number| fs::read_to_string(reason_file(&sockets, token(number)));
        assert_eq!(
            file(REASONS_MAX).expect("there"),
            "failed unit-died unit t.service has died\n"
        );
        assert!(file(0).is_err(), "the oldest has made room");
        assert!(file(1).is_ok());
        Reasons::in_folder(&sockets).expect("folder");
        assert!(file(1).is_err());
        fs::remove_dir_all(sockets).expect("removed");
    }
}
