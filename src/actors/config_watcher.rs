//! The config watcher: it turns events of the file system into one checked [`SettingsChanged`].
//!
//! It waits until the files of the settings have not changed for a while. If their text differs from the last one, it
//! loads and checks the settings, and sends them to everyone who depends on them. Settings that cannot be loaded change
//! nothing. It watches folders and not files, because an editor renames a new file over the old one, and Kubernetes
//! replaces a symbolic link in the folder. It compares the text and not the time, so a log file in the same folder does
//! not cause a reload.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use notify::{EventKind, RecursiveMode, Watcher};
use slog::Logger;
use tokio::time::Instant;

use crate::log::{LogControl, debug, error, info, warn};
use crate::messages::events::{ReloadFinished, ReloadOutcome, SettingsChanged, Subscribers};
use crate::settings::{self, Effective, Loaded, Settings, SettingsError, WatchedFile};

/// A file that the settings may come from was touched. Sent by the watcher of the file system, once for each event.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FilesTouched;

/// Loads the settings. It blocks, so it runs on another thread.
pub type Load = Arc<dyn Fn() -> Result<Loaded, SettingsError> + Send + Sync>;

/// If the files change all the time, they are loaded after this many times the debounce.
const DEBOUNCES_MAX: u32 = 10;

pub struct ConfigWatcher {
    load: Load,
    settings: Arc<Settings>,
    /// The source of each setting.
    origins: Vec<Effective>,
    files: Vec<WatchedFile>,
    /// The warnings of the last load. A pipe in the place of a file changes these and no text.
    warnings: Vec<String>,
    /// The files that a failed load has named, such as a password file that does not exist yet.
    missing: Vec<PathBuf>,
    changed: Subscribers<SettingsChanged>,
    /// Who counts the results of reloads.
    finished: Subscribers<ReloadFinished>,
    /// Changes the level and the file of the log. The logger is not an actor, so it is changed from here.
    log_control: Option<LogControl>,
    /// When the first event since the last load came, and the timer that starts the next load.
    touched: Option<(Instant, SpawnHandle)>,
    /// Whether the settings are being loaded. There is only one load at a time, so that no older text replaces a newer
    /// one.
    loading: bool,
    /// The watcher of the file system, with the files and the folders that it watches.
    watcher: Option<(notify::RecommendedWatcher, BTreeSet<PathBuf>, BTreeSet<PathBuf>)>,
    watch_file_system: bool,
    log: Logger,
}

impl ConfigWatcher {
    /// A watcher that starts with `loaded`. It reports new settings to `changed`, and the result of each reload to
    /// `finished`.
    pub fn new(
        loaded: &Loaded,
        load: Load,
        changed: Subscribers<SettingsChanged>,
        finished: Subscribers<ReloadFinished>,
        log_control: Option<LogControl>,
        log: &Logger,
    ) -> Self {
        Self {
            load,
            settings: Arc::new(loaded.settings.clone()),
            origins: loaded.origins.clone(),
            files: loaded.files.clone(),
            warnings: loaded.warnings.clone(),
            missing: Vec::new(),
            changed,
            finished,
            log_control,
            touched: None,
            loading: false,
            watcher: None,
            watch_file_system: true,
            log: log.new(slog::o!("logger" => "config_watcher")),
        }
    }

    /// The same watcher without the file system: it loads only when it receives a message.
    pub fn without_file_system(mut self) -> Self {
        self.watch_file_system = false;
        self
    }

    /// Watches the current folders of the files: a symbolic link may lead to another folder than before.
    fn watch(&mut self, context: &mut Context<Self>) {
        if !self.watch_file_system {
            return;
        }
        let mut names = paths(&self.files);
        names.extend(self.missing.iter().cloned());
        let folders = folders(&names);
        if self.watcher.as_ref().is_some_and(|(_, known, watched)| (known, watched) == (&names, &folders)) {
            return;
        }
        let address = context.address();
        let known = names.clone();
        let on_event = move |event: notify::Result<notify::Event>| {
            // An error may mean that events were lost. Loading once too often does no harm.
            if event.map_or(true, |event| concerns(&event, &known)) {
                address.do_send(FilesTouched);
            }
        };
        let mut watcher = match notify::recommended_watcher(on_event) {
            Ok(watcher) => watcher,
            Err(why) => {
                warn!(self.log, "files cannot be watched: a change needs a restart"; "why" => why.to_string());
                return;
            }
        };
        for folder in &folders {
            if let Err(why) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                warn!(self.log, "folder cannot be watched";
                    "folder" => folder.display().to_string(), "why" => why.to_string());
            }
        }
        self.watcher = Some((watcher, names, folders));
        // A change between the last load and now has caused no event.
        context.notify(FilesTouched);
    }

    fn reload(&mut self, context: &mut Context<Self>) {
        if self.loading {
            self.touched = Some((Instant::now(), context.run_later(self.settings.reload.debounce, Self::reload)));
            return;
        }
        self.touched = None;
        self.loading = true;
        let load = self.load.clone();
        let loading = actix_rt::task::spawn_blocking(move || load());
        context.spawn(loading.into_actor(self).map(|loaded, watcher, context| {
            watcher.loading = false;
            match loaded {
                Ok(Ok(loaded)) => {
                    watcher.missing.clear();
                    watcher.take_over(loaded);
                }
                Ok(Err(why)) => {
                    watcher.reject(why.to_string());
                    watcher.missing = why.files;
                }
                Err(why) => {
                    error!(watcher.log, "settings not reloaded: a bug"; "why" => why.to_string());
                    watcher.report(ReloadOutcome::Rejected, "a bug".to_owned());
                }
            }
            watcher.watch(context);
        }));
    }

    fn take_over(&mut self, loaded: Loaded) {
        if loaded.files == self.files && loaded.warnings == self.warnings {
            return;
        }
        if let Some(why) = disappeared(&self.files, &loaded.files) {
            self.reject(why);
            return;
        }
        self.files = loaded.files;
        self.warnings = loaded.warnings;
        for warning in &self.warnings {
            warn!(self.log, "settings"; "warning" => warning.as_str());
        }
        if loaded.settings == *self.settings {
            debug!(self.log, "settings are the same");
            self.report(ReloadOutcome::Unchanged, "files were changed, the settings are the same".to_owned());
            return;
        }
        let old = std::mem::replace(&mut self.settings, Arc::new(loaded.settings));
        let new = self.settings.clone();
        let what = settings::changed((&old, &self.origins), (&new, &loaded.origins)).join(", ");
        self.origins = loaded.origins;
        info!(self.log, "settings reloaded"; "pool" => if old.postgres == new.postgres { "kept" } else { "rebuilt" });
        if let Some(Err(why)) = self.log_control.as_ref().map(|control| control.apply(&new.log)) {
            error!(self.log, "log file not changed"; "why" => why);
        }
        self.changed.publish(SettingsChanged { old, new });
        self.report(ReloadOutcome::Applied, what);
    }

    /// Reports settings that cannot be used. The old ones stay.
    fn reject(&self, why: String) {
        error!(self.log, "settings not reloaded, the old ones stay"; "why" => &why);
        self.report(ReloadOutcome::Rejected, why);
    }

    fn report(&self, outcome: ReloadOutcome, what: String) {
        self.finished.publish(ReloadFinished { outcome, what });
    }
}

impl Actor for ConfigWatcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.watch(context);
    }
}

impl Handler<FilesTouched> for ConfigWatcher {
    type Result = ();

    fn handle(&mut self, _: FilesTouched, context: &mut Context<Self>) {
        let debounce = self.settings.reload.debounce;
        let first = match self.touched.take() {
            Some((first, timer)) => {
                context.cancel_future(timer);
                first
            }
            None => Instant::now(),
        };
        let rest = (debounce * DEBOUNCES_MAX).saturating_sub(first.elapsed());
        let timer = context.run_later(debounce.min(rest).max(Duration::from_millis(1)), Self::reload);
        self.touched = Some((first, timer));
    }
}

/// Whether an event may change the text of one of `files`.
fn concerns(event: &notify::Event, files: &BTreeSet<PathBuf>) -> bool {
    match event.kind {
        EventKind::Access(_) => false,
        // The content of other files does not matter. But another file that appears or disappears may be a symbolic
        // link in the path of ours.
        EventKind::Modify(notify::event::ModifyKind::Data(_) | notify::event::ModifyKind::Metadata(_)) => {
            event.paths.iter().any(|path| files.iter().any(|file| file.file_name() == path.file_name()))
        }
        _ => true,
    }
}

/// The paths of the files, and the paths of the files that symbolic links lead to.
fn paths(files: &[WatchedFile]) -> BTreeSet<PathBuf> {
    files.iter().flat_map(|file| [Some(file.path.clone()), file.path.canonicalize().ok()]).flatten().collect()
}

/// The folders with an entry for one of the paths.
fn folders(paths: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let folders = paths.iter().filter_map(|path| path.parent()).map(|folder| match folder.as_os_str() {
        here if here.is_empty() => PathBuf::from("."),
        _ => folder.to_owned(),
    });
    folders.filter(|folder| folder.is_dir()).collect()
}

/// Which named file has disappeared or has become empty. A file looks so for a moment while it is being written. Loading
/// the settings without it would silently fall back to other values. A file that no setting or flag names may disappear:
/// its settings disappear with it.
fn disappeared(before: &[WatchedFile], now: &[WatchedFile]) -> Option<String> {
    before.iter().filter(|file| file.is_named).find_map(|file| {
        let text = file.text.as_deref()?;
        let now = now.iter().find(|now| now.path == file.path)?;
        let path = file.path.display();
        match now.text.as_deref() {
            None => Some(format!("{path} is gone")),
            Some(now) if now.trim().is_empty() && !text.trim().is_empty() => Some(format!("{path} is empty")),
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use notify::event::{
        AccessKind, AccessMode, CreateKind, DataChange, MetadataKind, ModifyKind, RemoveKind, RenameMode,
    };

    use super::*;

    #[test]
    fn only_events_that_may_change_the_files_of_the_settings_count() {
        let files = BTreeSet::from([PathBuf::from("app/.env"), PathBuf::from("secrets/password")]);
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let metadata = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        for (kind, path, expected) in [
            (data, "app/.env", true),
            (data, "app/server.log", false),
            // The target of a symbolic link is in another folder.
            (data, "app/..data/.env", true),
            (data, "secrets/password", true),
            (metadata, "app/.env", true),
            (metadata, "app/server.log", false),
            (renamed, "app/..data", true),
            (EventKind::Create(CreateKind::File), "app/.env", true),
            (EventKind::Create(CreateKind::Any), "app/..data", true),
            (EventKind::Remove(RemoveKind::File), "app/.env", true),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), "app/.env", false),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "app/.env", false),
            (EventKind::Any, "app", true),
        ] {
            assert_eq!(concerns(&notify::Event::new(kind).add_path(path.into()), &files), expected, "{kind:?} {path}");
        }
    }
}
