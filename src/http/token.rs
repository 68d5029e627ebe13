//! Making a token: 256 random bits, of which only a hash is kept. So many bits cannot be guessed, and need no slow hash.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What every token begins with, so that whoever finds one knows what it is of.
const PREFIX: &str = "mcp-postgres-";

/// A new token, and the table for MCP_TOKENS_FILE that lets it in.
pub struct NewToken {
    /// The token, which is kept nowhere.
    pub token: String,
    /// The table, TOML.
    pub table: String,
}

/// Make a token with that name, mode and databases.
///
/// # Errors
/// The system has no random numbers.
pub fn make(name: &str, mode: &str, databases: &[&str], is_operator: bool) -> Result<NewToken, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system has no random numbers: {error}"))?;
    let token = format!("{PREFIX}{}", hex(&bytes));
    let databases: Vec<String> = databases.iter().map(|name| format!("{name:?}")).collect();
    let mut table = format!(
        "[tokens.{name:?}]\nsha256 = \"{}\"\nmode = \"{mode}\"\ndatabases = [{}]\n",
        hex(&Sha256::digest(&token)),
        databases.join(", "),
    );
    if is_operator {
        table.push_str("operator = true\n");
    }
    Ok(NewToken { token, table })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
