//! The program: [`cli`](mcp_server_postgres::cli) does everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_server_postgres::cli::run()
}
