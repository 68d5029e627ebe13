//! The config watcher: by messages and paused time, and with the real file system.

mod files;
mod messages;
