//! MCP: rmcp's protocol on one side, messages to the session actors on the other. No other part knows MCP.

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
mod unread;
