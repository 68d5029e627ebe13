//! The only part that knows MCP: rmcp's protocol on one side, messages to the session actor on the other.

mod asking;
pub mod calls;
mod encoder;
pub mod http;
pub mod instructions;
pub mod methods;
mod progress;
pub mod server;
pub mod sessions;
pub mod standard_streams;
pub mod stdio;
mod tool_call;
