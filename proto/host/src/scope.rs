//! For whom a daemon runs: for the machine, or for one of its users. Every place follows from it, as
//! systemd's own do: sockets, files of configuration, the bus and the service manager.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// For whom a daemon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// For the machine: systemd's system manager, and the system bus.
    #[default]
    System,
    /// For a user: the manager of that user, and the session bus.
    User(User),
}

/// The folders of a user, as the XDG Base Directory Specification names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `$XDG_RUNTIME_DIR`: sockets, and what is forgotten when the user's manager ends.
    runtime: String,
    /// `$XDG_CONFIG_HOME`; nothing where nobody knows the user's home.
    config: Option<PathBuf>,
}

/// There can be no sockets where `$XDG_RUNTIME_DIR` says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "XDG_RUNTIME_DIR is {0:?}; expected an absolute path of letters, digits, '/', '.', '_' and '-', such as \
     \"/run/user/1000\""
)]
pub struct RuntimeError(OsString);

impl Scope {
    /// That of the machine, or that of the user who runs this process, by its environment.
    ///
    /// # Errors
    ///
    /// Fails when `$XDG_RUNTIME_DIR` is no path that can be used.
    pub fn of(is_user: bool) -> Result<Self, RuntimeError> {
        if !is_user {
            return Ok(Self::System);
        }
        let uid = rustix::process::geteuid().as_raw();
        User::read(uid, |name| env::var_os(name)).map(Self::User)
    }

    /// Whether it is that of a user.
    pub fn is_user(&self) -> bool {
        matches!(self, Self::User(_))
    }

    /// Where sockets and records are, `%t/unitlink` in unit files.
    pub fn runtime(&self) -> PathBuf {
        Path::new(self.run()).join("unitlink")
    }

    /// systemd's own socket, for the user who it runs as and for root.
    pub fn manager(&self) -> PathBuf {
        Path::new(self.run()).join("systemd/private")
    }

    /// The bus, where the environment says nothing else.
    pub(crate) fn bus(&self) -> String {
        match self {
            Self::System => "unix:path=/run/dbus/system_bus_socket".to_owned(),
            Self::User(user) => format!("unix:path={}/bus", user.runtime),
        }
    }

    /// Folders with configuration, from the weak to the strong: that of the distribution, which has
    /// only drop-ins, then those of the administrator and of the user.
    pub fn config_folders(&self) -> Vec<PathBuf> {
        let of_machine = ["/usr/lib/unitlink", "/etc/unitlink"].map(PathBuf::from);
        match self {
            Self::System => of_machine.into(),
            Self::User(user) => {
                let mut folders: Vec<_> = of_machine.iter().map(|it| it.join("user")).collect();
                folders.extend(user.config.iter().map(|it| it.join("unitlink")));
                folders
            }
        }
    }

    /// A text with the specifier that systemd.unit(5) has for it: `%t` is `/run`, or the user's folder.
    pub fn expand(&self, text: &str) -> String {
        text.replace("%t", self.run())
    }

    fn run(&self) -> &str {
        match self {
            Self::System => "/run",
            Self::User(user) => &user.runtime,
        }
    }
}

impl User {
    fn read(uid: u32, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, RuntimeError> {
        let runtime = variable("XDG_RUNTIME_DIR").filter(|it| !it.is_empty());
        // Where systemd has it, pam_systemd(8).
        let runtime = runtime.unwrap_or_else(|| format!("/run/user/{uid}").into());
        // It becomes a part of addresses and of values of keys, where other characters mean something.
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
        let text = runtime.to_str().filter(|it| it.starts_with('/'));
        let text = text.filter(|it| it.bytes().all(is_plain));
        let Some(text) = text else {
            return Err(RuntimeError(runtime));
        };
        // The specification has a relative path ignored.
        let folder = |name| {
            variable(name)
                .map(PathBuf::from)
                .filter(|it| it.is_absolute())
        };
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        Ok(Self {
            runtime: text.trim_end_matches('/').to_owned(),
            config,
        })
    }

    /// A user with these folders.
    #[cfg(test)]
    pub(crate) fn with(runtime: &str, config: &Path) -> Self {
        Self {
            runtime: runtime.to_owned(),
            config: Some(config.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn read(variables: &[(&str, &str)]) -> Result<User, RuntimeError> {
        User::read(8, |name| {
            let found = variables.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test_case(&[("HOME", "/home/a")], "/home/a/.config"; "at home")]
    #[test_case(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/c")], "/c"; "elsewhere")]
    #[test_case(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "c")], "/home/a/.config"; "a relative path is none")]
    #[test_case(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "")], "/home/a/.config"; "an empty path is none")]
    fn configuration_is_where_the_user_has_it(variables: &[(&str, &str)], config: &str) {
        let mut variables = variables.to_vec();
        variables.push(("XDG_RUNTIME_DIR", "/run/user/7/"));
        let user = read(&variables).expect("valid");
        assert_eq!(user, User::with("/run/user/7", Path::new(config)));
    }

    #[test_case(&[]; "not set")]
    #[test_case(&[("XDG_RUNTIME_DIR", "")]; "empty")]
    fn sockets_are_where_systemd_has_them(variables: &[(&str, &str)]) {
        let user = read(variables).expect("valid");
        assert_eq!((user.runtime.as_str(), user.config), ("/run/user/8", None));
    }

    #[test_case("run", "XDG_RUNTIME_DIR is \"run\""; "relative")]
    #[test_case("/r,guid=1", "letters, digits"; "another part of an address")]
    fn sockets_cannot_be_just_anywhere(runtime: &str, why: &str) {
        let error = read(&[("XDG_RUNTIME_DIR", runtime)]).expect_err("not valid");
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn every_place_follows_from_the_scope() {
        let user = Scope::User(User::with("/run/user/7", Path::new("/home/a/.config")));
        let places = |scope: &Scope| {
            let folders = scope.config_folders();
            let folders = folders.iter().map(|it| it.display().to_string());
            format!(
                "{} {} {} {}",
                scope.runtime().display(),
                scope.manager().display(),
                scope.bus(),
                folders.collect::<Vec<_>>().join(" ")
            )
        };
        assert_eq!(
            places(&Scope::System),
            "/run/unitlink /run/systemd/private unix:path=/run/dbus/system_bus_socket \
             /usr/lib/unitlink /etc/unitlink"
        );
        assert_eq!(
            places(&user),
            "/run/user/7/unitlink /run/user/7/systemd/private unix:path=/run/user/7/bus \
             /usr/lib/unitlink/user /etc/unitlink/user /home/a/.config/unitlink"
        );
        assert_eq!(user.expand("%t/x"), "/run/user/7/x");
    }
}
