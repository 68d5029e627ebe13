//! The config watcher: file events in, one checked [`SettingsChanged`] out.
//!
//! It follows the files that the settings come from until they have been quiet for a while, compares their text with
//! what it knows, loads and checks, and tells everybody whose work depends on the settings. What does not load
//! changes nothing. It watches folders, not files: an editor renames a new file over the old one, and Kubernetes
//! swaps a symbolic link beside it. A text is compared, never a time: a log file in the same folder is no reload.

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

/// Says that a file which the settings may come from was touched. Sent by the file system's watcher, as often as
/// there are events.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FilesTouched;

/// Reads the settings anew; called off the actor's thread.
pub type Load = Arc<dyn Fn() -> Result<Loaded, SettingsError> + Send + Sync>;

/// Files that are never quiet are looked at after this many times the wait.
const PATIENCE: u32 = 10;

pub struct ConfigWatcher {
    load: Load,
    settings: Arc<Settings>,
    /// Where they come from.
    origins: Vec<Effective>,
    files: Vec<WatchedFile>,
    /// What was warned of in them: a pipe in the place of a file changes this and no text.
    warnings: Vec<String>,
    /// Files that a load named which did not succeed: a password file, say, that is yet to come.
    awaited: Vec<PathBuf>,
    changed: Subscribers<SettingsChanged>,
    /// Who counts what becomes of a change.
    finished: Subscribers<ReloadFinished>,
    /// A logger is no actor: its level and file are turned here.
    log_control: Option<LogControl>,
    /// When the first touch since the last look was, and the timer that the last one set.
    touched: Option<(Instant, SpawnHandle)>,
    /// Whether a load is under way. There is never a second one: an older text could arrive after a newer.
    loading: bool,
    /// Present while the file system is being watched, with the files and the folders that it was told of.
    watcher: Option<(notify::RecommendedWatcher, BTreeSet<PathBuf>, BTreeSet<PathBuf>)>,
    watch_file_system: bool,
    log: Logger,
}

impl ConfigWatcher {
    /// A watcher that knows `loaded` and tells the subscribers of `changed` of what comes after it, and those of `finished` of what became of it.
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
            awaited: Vec::new(),
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

    /// The same, but it hears of files only by messages.
    pub fn without_file_system(mut self) -> Self {
        self.watch_file_system = false;
        self
    }

    /// Watch where the files are now: a link may lead to another folder than before.
    fn watch(&mut self, context: &mut Context<Self>) {
        if !self.watch_file_system {
            return;
        }
        let mut names = paths(&self.files);
        names.extend(self.awaited.iter().cloned());
        let folders = folders(&names);
        if self.watcher.as_ref().is_some_and(|(_, known, watched)| (known, watched) == (&names, &folders)) {
            return;
        }
        let address = context.address();
        let known = names.clone();
        let tell = move |event: notify::Result<notify::Event>| {
            // An error may mean that events were lost: looking costs nothing.
            if event.map_or(true, |event| concerns(&event, &known)) {
                address.do_send(FilesTouched);
            }
        };
        let mut watcher = match notify::recommended_watcher(tell) {
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
        // What was changed between the last reading and now has no event.
        context.notify(FilesTouched);
    }

    fn look(&mut self, context: &mut Context<Self>) {
        if self.loading {
            self.touched = Some((Instant::now(), context.run_later(self.settings.reload.debounce, Self::look)));
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
                    watcher.awaited.clear();
                    watcher.take_over(loaded);
                }
                Ok(Err(why)) => {
                    watcher.reject(why.to_string());
                    watcher.awaited = why.files;
                }
                Err(why) => {
                    error!(watcher.log, "settings not reloaded: a bug"; "why" => why.to_string());
                    watcher.tell(ReloadOutcome::Rejected, "a bug".to_owned());
                }
            }
            watcher.watch(context);
        }));
    }

    fn take_over(&mut self, loaded: Loaded) {
        if loaded.files == self.files && loaded.warnings == self.warnings {
            return;
        }
        if let Some(why) = vanished(&self.files, &loaded.files) {
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
            self.tell(ReloadOutcome::Unchanged, "files were changed, the settings are the same".to_owned());
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
        self.changed.tell(SettingsChanged { old, new });
        self.tell(ReloadOutcome::Applied, what);
    }

    /// What cannot be used changes nothing.
    fn reject(&self, why: String) {
        error!(self.log, "settings not reloaded, the old ones stay"; "why" => &why);
        self.tell(ReloadOutcome::Rejected, why);
    }

    fn tell(&self, outcome: ReloadOutcome, what: String) {
        self.finished.tell(ReloadFinished { outcome, what });
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
        let patience = (debounce * PATIENCE).saturating_sub(first.elapsed());
        let timer = context.run_later(debounce.min(patience).max(Duration::from_millis(1)), Self::look);
        self.touched = Some((first, timer));
    }
}

/// Whether an event may change what is read from one of `files`.
fn concerns(event: &notify::Event, files: &BTreeSet<PathBuf>) -> bool {
    match event.kind {
        EventKind::Access(_) => false,
        // Another file's content is none of ours; another file's coming and going may be a link on our path.
        EventKind::Modify(notify::event::ModifyKind::Data(_) | notify::event::ModifyKind::Metadata(_)) => {
            event.paths.iter().any(|path| files.iter().any(|file| file.file_name() == path.file_name()))
        }
        _ => true,
    }
}

/// The files' own paths, and those of the files which links lead to.
fn paths(files: &[WatchedFile]) -> BTreeSet<PathBuf> {
    files.iter().flat_map(|file| [Some(file.path.clone()), file.path.canonicalize().ok()]).flatten().collect()
}

/// The folders in which something happens when what stands at one of the paths changes.
fn folders(paths: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let folders = paths.iter().filter_map(|path| path.parent()).map(|folder| match folder.as_os_str() {
        here if here.is_empty() => PathBuf::from("."),
        _ => folder.to_owned(),
    });
    folders.filter(|folder| folder.is_dir()).collect()
}

/// Which file was there and is no longer, or had something in it and has nothing now: for a moment, that is how a file
/// looks that is being written anew. Reading on without it would quietly fall back to other settings. A file that nobody has
/// named is another matter: what it has set goes with it.
fn vanished(before: &[WatchedFile], now: &[WatchedFile]) -> Option<String> {
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
    fn what_is_written_into_another_file_or_only_read_is_no_event_of_ours() {
        let files = BTreeSet::from([PathBuf::from("app/.env"), PathBuf::from("secrets/password")]);
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let metadata = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        for (kind, path, ours) in [
            (data, "app/.env", true),
            (data, "app/server.log", false),
            // What a link on our path leads to has another folder.
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
            assert_eq!(concerns(&notify::Event::new(kind).add_path(path.into()), &files), ours, "{kind:?} {path}");
        }
    }
}
