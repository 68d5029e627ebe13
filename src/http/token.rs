//! Makes a token: 256 random bits, of which only a hash is stored. They cannot be guessed, so a slow hash is not
//! needed.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The prefix of every token, so that a token that is found somewhere can be recognised.
const PREFIX: &str = "mcp-postgres-";

/// A new token, and its table for MCP_TOKENS_FILE.
pub struct NewToken {
    /// The token. It is stored nowhere.
    pub token: String,
    /// The table, in TOML.
    pub table: String,
}

/// Makes a token with this name, mode and databases.
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
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
