//! The suite's own program: run, and its findings read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::excused::Part;

/// Where things are.
pub struct Suite<'a> {
    /// Node, of version 22 or newer.
    pub node: &'a Path,
    /// The suite's script.
    pub suite: &'a Path,
    /// A folder for what it finds.
    pub results: &'a Path,
}

/// A finding of the suite: its name, and what was wrong, if anything was.
pub struct Check {
    pub name: String,
    pub verdict: Verdict,
}

pub enum Verdict {
    Passed,
    /// Looked at, or passed over: nothing was asked.
    Nothing,
    /// A failure or a warning; here the two are one.
    Failed(String),
}

/// The checks of each scenario that a revision asks for.
pub type Results = BTreeMap<String, Vec<Check>>;

impl Suite<'_> {
    /// Run all that `revision` asks for.
    pub fn run(&self, url: &str, part: Part, revision: &str) -> Result<Results, String> {
        let folder = self.results.join(format!("{}-{revision}", part.name()));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let said = File::create(folder.join("log")).map_err(|error| error.to_string())?;
        // Its status says less than its findings: it knows nothing of what is excused here.
        Command::new(self.node)
            .arg(self.suite)
            .args(["server", "--url", url, "--requirements", revision, "--output-dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone().map_err(|error| error.to_string())?)
            .stderr(said)
            .status()
            .map_err(|error| format!("{}: {error}", self.node.display()))?;
        let results = read(&folder)?;
        match results.is_empty() {
            true => Err(format!("the suite has found nothing; see {}", folder.join("log").display())),
            false => Ok(results),
        }
    }
}

/// A folder a scenario, `server-NAME-TIME`, with its checks.
fn read(folder: &Path) -> Result<Results, String> {
    let mut results = Results::new();
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let file = path.join("checks.json");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let checks: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let folder = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = folder.strip_prefix("server-").unwrap_or(&folder);
        // The time is the last that has the form -YYYY-MM-DDTHH-MM-SS-mmmZ.
        let name = name.len().checked_sub("-2026-07-28T00-00-00-000Z".len()).map_or(name, |end| &name[..end]);
        results.insert(name.to_owned(), checks.iter().map(check).collect());
    }
    Ok(results)
}

fn check(check: &Value) -> Check {
    let text = |member: &str| check[member].as_str().unwrap_or_default().to_owned();
    let verdict = match check["status"].as_str() {
        Some("SUCCESS") => Verdict::Passed,
        Some("INFO" | "SKIPPED") => Verdict::Nothing,
        _ => Verdict::Failed(text("errorMessage")),
    };
    Check { name: text("id"), verdict }
}

/// What became of one run, or of several.
#[derive(Default)]
pub struct Judgement {
    pub passed: usize,
    pub excused: usize,
    pub failed: usize,
    /// Checks that passed, of all scenarios.
    pub checks: usize,
    /// Excused scenarios, or `scenario:check`s, that did fail.
    pub used: Vec<&'static str>,
    /// What should not be.
    pub complaints: Vec<String>,
}

impl Judgement {
    pub const HEAD: &'static str = "scenarios  passed  not applicable  failed   checks passed";

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.excused += other.excused;
        self.failed += other.failed;
        self.checks += other.checks;
        self.used.extend(other.used);
        self.complaints.extend(other.complaints);
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, excused, failed, checks, .. } = self;
        write!(f, "{:>9}{passed:>8}{excused:>16}{failed:>8}{checks:>16}", passed + excused + failed)
    }
}
