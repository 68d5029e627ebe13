//! Data folders are copies of a template: `initdb` takes most of the time of a start and always makes the same. The
//! first cluster of a process makes the template, and it is removed after the process has ended.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{ClusterError, at};
use crate::folder::Folder;
use crate::programs::{Installation, SUPERUSER, run};

/// A data folder from `initdb`, for one password of the superuser.
struct Template {
    password: Option<String>,
    folder: Folder,
}

/// They are never dropped. The keeper of each folder removes it when the process has ended.
static TEMPLATES: Mutex<Vec<Template>> = Mutex::new(Vec::new());

/// Makes a data folder in `folder`, which no server has used before.
pub(crate) fn make_data(
    folder: &Folder,
    installation: &Installation,
    password: Option<&str>,
) -> Result<(), ClusterError> {
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = templates.iter().position(|template| template.password.as_deref() == password);
    let index = match known {
        Some(index) => index,
        None => {
            let folder = Folder::new(installation)?;
            initialize(&folder, installation, password)?;
            templates.push(Template { password: password.map(str::to_owned), folder });
            templates.len() - 1
        }
    };
    // A template does not change, so the copy needs no lock.
    let from = templates[index].folder.data();
    drop(templates);
    copy(&from, &folder.data(), folder)
}

fn initialize(folder: &Folder, installation: &Installation, password: Option<&str>) -> Result<(), ClusterError> {
    let mut initdb = installation.program("initdb", &folder.path);
    initdb.arg("-D").arg(folder.data()).args(["-U", SUPERUSER]);
    initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C"]);
    let password_file = folder.path.join("password");
    match password {
        Some(password) => {
            folder.write(&password_file, password.as_bytes())?;
            initdb.args(["-A", "scram-sha-256"]).arg("--pwfile").arg(&password_file);
        }
        None => {
            initdb.args(["-A", "trust"]);
        }
    }
    run(initdb, "initdb")?;
    if password.is_some() {
        fs::remove_file(&password_file).map_err(at("remove the password file"))?;
    }
    Ok(())
}

/// Copies folders and files and gives the copies to the user of PostgreSQL. `fs::copy` shares blocks if the file system
/// can.
fn copy(from: &Path, to: &Path, owned: &Folder) -> Result<(), ClusterError> {
    const WHAT: &str = "copy the data folder";
    DirBuilder::new().mode(0o700).create(to).map_err(at(WHAT))?;
    owned.set_owner(to)?;
    for entry in fs::read_dir(from).map_err(at(WHAT))? {
        let entry = entry.map_err(at(WHAT))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(at(WHAT))?.is_dir() {
            copy(&entry.path(), &target, owned)?;
        } else {
            fs::copy(entry.path(), &target).map_err(at(WHAT))?;
            owned.set_owner(&target)?;
        }
    }
    Ok(())
}
