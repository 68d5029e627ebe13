//! The log file: who may read it, and what becomes of it when it is rotated.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::*;
use crate::common::PATIENCE;

impl World {
    /// Wait until that file has that text.
    fn until_written(&self, name: &str, text: &str) {
        let began = Instant::now();
        while !fs::read_to_string(self.path(name)).is_ok_and(|written| written.contains(text)) {
            assert!(began.elapsed() < PATIENCE, "{name} never has {text}");
            std::thread::yield_now();
        }
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }
}

#[test]
fn the_file_is_its_owners_alone_unless_its_group_may_read_it_too() {
    in_own_process!();
    let world = World::new(Level::Info);
    assert_eq!(world.mode("server.log"), 0o600);
    // One that an earlier version has made.
    fs::write(world.path("old.log"), "").unwrap();
    fs::set_permissions(world.path("old.log"), fs::Permissions::from_mode(0o644)).unwrap();
    world.control.apply(&to(Level::Info, world.path("old.log"))).unwrap();
    assert_eq!(world.mode("old.log"), 0o600);
    let for_group = LogSettings { file_mode: LogFileMode::Group, ..to(Level::Info, world.path("old.log")) };
    world.control.apply(&for_group).unwrap();
    assert_eq!(world.mode("old.log"), 0o640);
    fs::remove_file(world.path("old.log")).unwrap();
    slog::info!(world.log, "in a new file");
    world.until_written("old.log", "in a new file");
    assert_eq!(world.mode("old.log"), 0o640);
}

#[test]
fn a_file_that_was_moved_removed_or_replaced_is_opened_anew_with_the_next_line() {
    in_own_process!();
    let world = World::new(Level::Info);
    slog::info!(world.log, "first");
    world.until_written("server.log", "first");
    fs::rename(world.path("server.log"), world.path("server.log.1")).unwrap();
    slog::info!(world.log, "second");
    world.until_written("server.log", "second");
    assert_eq!(world.mode("server.log"), 0o600);
    fs::remove_file(world.path("server.log")).unwrap();
    slog::info!(world.log, "third");
    world.until_written("server.log", "third");
    fs::rename(world.path("server.log"), world.path("server.log.2")).unwrap();
    fs::write(world.path("server.log"), "{\"message\":\"of the rotation\"}\n").unwrap();
    slog::info!(world.log, "fourth");
    let [one, two, now] = world.end(["server.log.1", "server.log.2", "server.log"]);
    assert_eq!(messages(&one), ["first"]);
    assert_eq!(messages(&two), ["third"]);
    assert_eq!(messages(&now), ["of the rotation", "fourth"]);
}
