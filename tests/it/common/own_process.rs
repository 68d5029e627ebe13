//! Tests that need a process of their own, because they change something that exists once in a process.

use std::env;
use std::process::Command;

/// This environment variable is set in such a process.
const IS_OWN: &str = "TEST_HAS_ITS_OWN_PROCESS";

/// At the start of a test: runs the same test in a process of its own and returns. In that process the test continues.
/// It fails if the test fails there.
macro_rules! in_own_process {
    () => {
        fn here() {}
        if $crate::common::own_process::has_run(std::any::type_name_of_val(&here)) {
            return;
        }
    };
}
pub(crate) use in_own_process;

/// Whether the test has been run in a process of its own. It panics if the test failed there. The name of the test is
/// the path of a function inside it.
pub fn has_run(inside: &str) -> bool {
    if is_own() {
        return false;
    }
    let name = inside.split_once("::").unwrap().1;
    let name = name.trim_end_matches("::here").trim_end_matches("::{{closure}}");
    let output = command(name).output().unwrap();
    let output_text = [output.stdout, output.stderr].concat();
    let output_text = String::from_utf8_lossy(&output_text);
    assert!(
        output.status.success() && output_text.contains("1 passed"),
        "{name} in a process of its own: {output_text}"
    );
    true
}

/// Whether this process runs a single test.
pub fn is_own() -> bool {
    env::var_os(IS_OWN).is_some()
}

/// A command that runs a single test in a process of its own.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(IS_OWN, "1");
    command
}
