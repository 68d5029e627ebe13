//! The config watcher: file events in, one checked [`ConfigChanged`] out.
//!
//! It follows the files that the settings come from until they have been quiet for a while, compares their text with
//! what it knows, loads and checks, and tells everybody whose work depends on the settings. What does not load
//! changes nothing. It watches folders, not files: an editor renames a new file over the old one, and Kubernetes
//! swaps a symbolic link beside it. A text is compared, never a time: a log file in the same folder is no reload.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use notify::{EventKind, RecursiveMode, Watcher};
use slog::Logger;
use tokio::time::Instant;

use super::executor::ConfigChanged;
use crate::log::{LogControl, debug, error, info, warn};
use crate::settings::{Loaded, Settings, SettingsError, WatchedFile};

/// Says that a file which the settings may come from was touched. Sent by the file system's watcher, as often as
/// there are events.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FilesTouched;

/// Reads the settings anew; called off the actor's thread.
pub type Load = Arc<dyn Fn() -> Result<Loaded, SettingsError> + Send + Sync>;

/// Files that are never quiet are looked at after this many times the wait.
const PATIENCE: u32 = 10;

/// The actor.
pub struct ConfigWatcher {
    load: Load,
    settings: Arc<Settings>,
    files: Vec<WatchedFile>,
    listeners: Vec<Recipient<ConfigChanged>>,
    /// A logger is no actor: its level and file are turned here.
    log_control: Option<LogControl>,
    /// When the first touch since the last look was, and the timer that the last one set.
    touched: Option<(Instant, SpawnHandle)>,
    /// Present while the file system is being watched.
    watcher: Option<notify::RecommendedWatcher>,
    watch_file_system: bool,
    log: Logger,
}

impl ConfigWatcher {
    /// A watcher that knows `loaded` and tells `listeners` of what comes after it.
    pub fn new(
        loaded: &Loaded,
        load: Load,
        listeners: Vec<Recipient<ConfigChanged>>,
        log_control: Option<LogControl>,
        log: &Logger,
    ) -> Self {
        Self {
            load,
            settings: Arc::new(loaded.settings.clone()),
            files: loaded.files.clone(),
            listeners,
            log_control,
            touched: None,
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

    fn watch(&mut self, context: &mut Context<Self>) {
        if !self.watch_file_system {
            return;
        }
        let names: BTreeSet<PathBuf> = self.files.iter().map(|file| file.path.clone()).collect();
        let address = context.address();
        let tell = move |event: notify::Result<notify::Event>| {
            // An error may mean that events were lost: looking costs nothing.
            if event.map_or(true, |event| concerns(&event, &names)) {
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
        for folder in folders(&self.files) {
            if let Err(why) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                warn!(self.log, "folder cannot be watched";
                    "folder" => folder.display().to_string(), "why" => why.to_string());
            }
        }
        self.watcher = Some(watcher);
    }

    fn look(&mut self, context: &mut Context<Self>) {
        self.touched = None;
        let load = self.load.clone();
        let loading = actix_rt::task::spawn_blocking(move || load());
        context.spawn(loading.into_actor(self).map(|loaded, watcher, context| match loaded {
            Ok(Ok(loaded)) => watcher.take_over(loaded, context),
            Ok(Err(why)) => error!(watcher.log, "settings not reloaded, the old ones stay"; "why" => why.to_string()),
            Err(why) => error!(watcher.log, "settings not reloaded: a bug"; "why" => why.to_string()),
        }));
    }

    fn take_over(&mut self, loaded: Loaded, context: &mut Context<Self>) {
        if loaded.files == self.files {
            return;
        }
        if let Some(gone) = vanished(&self.files, &loaded.files) {
            error!(self.log, "settings not reloaded, the old ones stay";
                "why" => format!("{} is gone", gone.display()));
            return;
        }
        let same_paths = loaded.files.iter().map(|file| &file.path).eq(self.files.iter().map(|file| &file.path));
        self.files = loaded.files;
        if !same_paths {
            self.watch(context);
        }
        for warning in &loaded.warnings {
            warn!(self.log, "settings"; "warning" => warning.as_str());
        }
        if loaded.settings == *self.settings {
            debug!(self.log, "settings are the same");
            return;
        }
        let old = std::mem::replace(&mut self.settings, Arc::new(loaded.settings));
        let new = self.settings.clone();
        info!(self.log, "settings reloaded"; "pool" => if old.postgres == new.postgres { "kept" } else { "rebuilt" });
        if let Some(Err(why)) = self.log_control.as_ref().map(|control| control.apply(&new.log)) {
            error!(self.log, "log file not changed"; "why" => why);
        }
        for listener in &self.listeners {
            listener.do_send(ConfigChanged { old: old.clone(), new: new.clone() });
        }
    }
}

impl Actor for ConfigWatcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.watch(context);
        // What was changed between the start's reading and now has no event.
        if self.watch_file_system {
            context.notify(FilesTouched);
        }
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

/// The folders in which something happens when one of the files changes: its own, and that of the file which a link
/// leads to.
fn folders(files: &[WatchedFile]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for file in files {
        for path in [Some(file.path.clone()), file.path.canonicalize().ok()].into_iter().flatten() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if folder.is_dir() {
                folders.insert(folder.to_owned());
            }
        }
    }
    folders
}

/// A file that was there and is no longer. Reading on without it would quietly fall back to other settings.
fn vanished<'a>(before: &'a [WatchedFile], now: &[WatchedFile]) -> Option<&'a Path> {
    let is_gone = |path: &Path| now.iter().any(|file| file.path == path && file.text.is_none());
    before.iter().find(|file| file.text.is_some() && is_gone(&file.path)).map(|file| file.path.as_path())
}
