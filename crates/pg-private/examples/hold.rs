//! A private server for a script: its URL is the one line on stdout, and it lives until stdin ends.
//! `cargo run -p pg-private --example hold`

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use pg_private::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Options::new().setting("max_connections", "200").start()?;
    writeln!(io::stdout(), "{}", cluster.url())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
