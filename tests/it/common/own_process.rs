//! A test that has a process of its own, because what it changes is there once in a process.

use std::env;
use std::process::Command;

/// Set in that process.
const IS_OWN: &str = "TEST_HAS_ITS_OWN_PROCESS";

/// Ends the test that begins with it, unless it runs in a process of its own: then it goes on. Before it ends it runs
/// the same test in such a process, and fails if it failed there.
macro_rules! in_own_process {
    () => {
        fn here() {}
        if $crate::common::own_process::has_run(std::any::type_name_of_val(&here)) {
            return;
        }
    };
}
pub(crate) use in_own_process;

/// False in a test's own process. Otherwise the test runs there, and that was successful. The test's name is the path
/// of a function inside of it.
pub fn has_run(inside: &str) -> bool {
    if is_own() {
        return false;
    }
    let name = inside.split_once("::").unwrap().1;
    let name = name.trim_end_matches("::here").trim_end_matches("::{{closure}}");
    let output = command(name).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{name} in a process of its own: {said}");
    true
}

/// Whether this process runs one test alone.
pub fn is_own() -> bool {
    env::var_os(IS_OWN).is_some()
}

/// This program, to run one test as a test that has its own process.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(IS_OWN, "1");
    command
}
