//! What the settings come to for one generation: which program, where, with which environment. It is
//! made when a generation begins, so that one that is started again next week in the same generation
//! is still the same release, whatever a symbolic link says by then.

use std::{
    env, fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    environment::{self, Variables},
    limits::MUTABLE_BYTES_MAX,
    settings::{Ready, Settings},
};

/// How the workers of one generation are run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The program, and what it is called with.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) chdir: Option<PathBuf>,
    pub(crate) environment: Variables,
    pub(crate) probe: Option<Probe>,
    pub(crate) publish: Option<(PathBuf, String)>,
    pub(crate) fdstore: bool,
    pub(crate) forward_signals: Vec<i32>,
    pub(crate) watchdog_micros: Option<u64>,
    /// What is changed by whatever asks for a new generation …
    pub(crate) fixed: String,
    /// … and by what may change while workers run.
    pub(crate) mutable: String,
}

/// How a worker is asked whether it is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Probe {
    Exec { command: String, times: u32 },
    Connect { target: String, times: u32 },
}

impl Plan {
    /// Looks everything up as it is now. Without `chdir` workers run in `directory`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the settings that only the file system can tell.
    pub(crate) fn resolve(settings: &Settings, directory: Option<PathBuf>) -> Result<Self, String> {
        let environment =
            environment::of_generation(&settings.environment_files, &settings.environment)?;
        let chdir = match settings.chdir.clone().or(directory) {
            Some(path) => Some(fs::canonicalize(&path).map_err(|error| {
                format!(
                    "chdir: found {:?}, expected a directory: {error}",
                    path.display()
                )
            })?),
            None => None,
        };
        let name = settings
            .command
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        let program = resolve_program(name, chdir.as_deref(), &environment);
        let times = settings.ready_times;
        let probe = match &settings.ready {
            Ready::Exec(command) => Some(Probe::Exec {
                command: command.clone(),
                times,
            }),
            Ready::Connect(target) => Some(Probe::Connect {
                target: target.clone(),
                times,
            }),
            Ready::Auto | Ready::Notify | Ready::Time(_) => None,
        };
        let publish = settings.publish.as_ref();
        let (mut fixed, mutable) = (
            format!("{settings:?} {environment:?} {chdir:?}"),
            mutable(settings),
        );
        fixed.push_str(&identity(&program));
        Ok(Self {
            // What it is called shows in the list of processes which release it is of.
            arguments: [program.display().to_string()]
                .into_iter()
                .chain(settings.command.iter().skip(1).cloned())
                .collect(),
            program,
            chdir,
            environment,
            probe,
            publish: publish.map(|it| (it.link.clone(), it.path.clone())),
            fdstore: settings.fdstore,
            forward_signals: settings
                .forward_signals
                .iter()
                .map(|it| *it as i32)
                .collect(),
            watchdog_micros: settings
                .core
                .watchdog
                .map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX)),
            fixed,
            mutable,
        })
    }

    /// Whether only what may change while workers run is different from `before`.
    pub(crate) fn is_mutable_change(&self, before: &Self) -> bool {
        self.fixed == before.fixed && self.mutable != before.mutable
    }

    /// A text with the number of the generation in it, where something is published.
    pub(crate) fn expand(&self, text: &str, generation: generations::GenerationId) -> String {
        if self.publish.is_none() {
            return text.to_owned();
        }
        text.replace("%G", &generation.0.to_string())
    }
}

/// The directory that the launcher was started in by its name, where the shell has told it: the
/// directory itself stays that of an old release when a link on the way to it is switched. For the
/// start: later the name may lead elsewhere, which is the point of it.
pub(crate) fn logical_directory() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("PWD")?);
    let (named, own) = (fs::metadata(&path).ok()?, fs::metadata(".").ok()?);
    ((own.dev(), own.ino()) == (named.dev(), named.ino())).then_some(path)
}

/// Where the program is. Links on the way to it are followed; if it is one itself it is left alone,
/// since many programs look at the name they are called by. One that is not there is told when it is
/// run.
fn resolve_program(name: &str, chdir: Option<&Path>, environment: &Variables) -> PathBuf {
    if name.contains('/') {
        let path = chdir.map_or_else(|| PathBuf::from(name), |it| it.join(name));
        let (folder, file) = (path.parent(), path.file_name());
        return match (folder.map(fs::canonicalize), file) {
            (Some(Ok(folder)), Some(file)) => folder.join(file),
            _ => path,
        };
    }
    let default = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let path = environment.get("PATH").map_or(default, String::as_str);
    let folders = path.split(':').filter(|it| !it.is_empty());
    let found = folders
        .map(|it| Path::new(it).join(name))
        .find(|it| fs::metadata(it).is_ok_and(|it| it.is_file() && it.mode() & 0o111 != 0));
    found.unwrap_or_else(|| PathBuf::from(name))
}

/// What tells one program from another in the same place.
fn identity(program: &Path) -> String {
    match fs::metadata(program) {
        Ok(it) => format!(
            "{program:?} {} {} {} {}",
            it.dev(),
            it.ino(),
            it.mtime(),
            it.mtime_nsec()
        ),
        Err(_) => format!("{program:?}"),
    }
}

/// What is in the files that may change while workers run.
fn mutable(settings: &Settings) -> String {
    use std::hash::{Hash as _, Hasher as _};
    let mut all = String::new();
    for path in &settings.mutable_files {
        let mut bytes = Vec::new();
        let read = fs::File::open(path)
            .and_then(|file| file.take(MUTABLE_BYTES_MAX).read_to_end(&mut bytes));
        // The same for the same bytes within one program, which is all that is compared.
        let mut hash = std::hash::DefaultHasher::new();
        bytes.hash(&mut hash);
        all.push_str(&format!("{path:?} {} {:x}\n", read.is_ok(), hash.finish()));
    }
    all
}
