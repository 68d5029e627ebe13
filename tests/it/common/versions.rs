//! Tests and lines of scripts for some versions of PostgreSQL only.

use tokio_postgres::Client;

/// The major version of the server.
pub async fn version(client: &Client) -> u32 {
    let row = client.query_one("select current_setting('server_version_num')::int / 10000", &[]).await.unwrap();
    row.get::<_, i32>(0) as u32
}

/// A range of major versions.
#[derive(Debug, Clone, Copy)]
pub struct Versions {
    pub since: u32,
    pub until: u32,
}

impl Versions {
    pub const ALL: Self = Self { since: 0, until: u32::MAX };

    pub fn contain(self, version: u32) -> bool {
        (self.since..=self.until).contains(&version)
    }

    /// Parses `since 15` or `until 16`, with or without a reason after it.
    pub fn of(text: &str) -> Option<Self> {
        let mut words = text.split([' ', ':']);
        let (word, number) = (words.next()?, words.next()?.parse().ok()?);
        match word {
            "since" => Some(Self { since: number, ..Self::ALL }),
            "until" => Some(Self { until: number, ..Self::ALL }),
            _ => None,
        }
    }
}

/// A script without those lines that end with `-- since VERSION` or `-- until VERSION` and do not apply to this
/// version.
pub fn lines_for(version: u32, script: &str) -> String {
    let is_for = |line: &&str| {
        let versions = line.rsplit_once("-- ").and_then(|(_, comment)| Versions::of(comment));
        versions.is_none_or(|versions| versions.contain(version))
    };
    script.lines().filter(is_for).map(|line| format!("{line}\n")).collect()
}
