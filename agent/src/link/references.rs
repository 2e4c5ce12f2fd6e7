//! `ListReferences`: which unit files of this node name units of other nodes.

use std::{collections::BTreeSet, path::PathBuf};

use host::link;
use node::ManagerError;
use proto::dbus::{error, systemd};
use zbus::wire::OwnedVariant;

use super::pass::{Listed, from_systemd, get, of_manager};
use crate::{systemd::Manager, unit_file};

/// Unit, file, setting, word.
pub(super) type Row = (String, String, String, String);

/// All references, by unit.
///
/// # Errors
///
/// Fails when systemd does not say where unit files are, or there are too many.
pub(super) async fn all(manager: &Manager) -> Result<Vec<Row>, ManagerError> {
    let folders = folders(manager).await?;
    let loaded = loaded(manager).await?;
    // Files may be on a disk that is slow to answer; the agent goes on meanwhile.
    let scanned = tokio::task::spawn_blocking(move || unit_file::scan(&folders, &loaded));
    let scanned = scanned.await.map_err(|error| ManagerError {
        name: error::FAILED.to_owned(),
        text: error.to_string(),
    })?;
    let references = scanned.map_err(|full| ManagerError {
        name: error::LIMITS_EXCEEDED.to_owned(),
        text: full.to_string(),
    })?;
    let row = |it: unit_file::Reference| (it.unit, it.file, it.setting.to_owned(), it.name);
    Ok(references.into_iter().map(row).collect())
}

/// The folders that systemd reads, in its order.
async fn folders(manager: &Manager) -> Result<Vec<PathBuf>, ManagerError> {
    let (path, interface) = (systemd::MANAGER_PATH, systemd::MANAGER);
    let answer = get(
        manager,
        path.to_owned(),
        interface.to_owned(),
        "UnitPath".to_owned(),
    )
    .await?;
    let value: OwnedVariant = from_systemd(&answer.body())?;
    let folders = Vec::<String>::try_from(value).map_err(|error| ManagerError {
        name: error::FAILED.to_owned(),
        text: format!("the folders of unit files cannot be read: {error}"),
    })?;
    Ok(folders.into_iter().map(PathBuf::from).collect())
}

/// The names of the units that are loaded.
async fn loaded(manager: &Manager) -> Result<BTreeSet<String>, ManagerError> {
    let answer = manager
        .call(|serial, destination| link::call(serial, of_manager(destination, "ListUnits"), &()))
        .await?;
    let body = answer.body();
    let units: Vec<Listed<'_>> = from_systemd(&body)?;
    Ok(units.into_iter().map(|unit| unit.0.to_owned()).collect())
}
