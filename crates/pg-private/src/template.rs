//! Data folders are copies: `initdb` takes longer than all else of a start, and makes the same each time.
//! A template is made by the first cluster of a process that needs it, and is removed when the process has ended.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{ClusterError, at};
use crate::folder::Folder;
use crate::programs::{Installation, SUPERUSER, run};

/// A data folder as `initdb` has made it, with this password of the superuser.
struct Template {
    password: Option<String>,
    folder: Folder,
}

/// Never dropped. Each folder's keeper removes it when the process has ended.
static TEMPLATES: Mutex<Vec<Template>> = Mutex::new(Vec::new());

/// Makes the data folder of `folder`, which no server has used before.
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
    // A template stays as it is until the process ends: nobody need wait for this copy.
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

/// Copies folders and files, and gives the copies to PostgreSQL's user. Where the file system can share blocks, the
/// standard library's `copy` does.
fn copy(from: &Path, to: &Path, owned: &Folder) -> Result<(), ClusterError> {
    const WHAT: &str = "copy the data folder";
    DirBuilder::new().mode(0o700).create(to).map_err(at(WHAT))?;
    owned.hand_over(to)?;
    for entry in fs::read_dir(from).map_err(at(WHAT))? {
        let entry = entry.map_err(at(WHAT))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(at(WHAT))?.is_dir() {
            copy(&entry.path(), &target, owned)?;
        } else {
            fs::copy(entry.path(), &target).map_err(at(WHAT))?;
            owned.hand_over(&target)?;
        }
    }
    Ok(())
}
