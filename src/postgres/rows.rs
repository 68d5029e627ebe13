//! From PostgreSQL's rows to the pages of an answer: [`page`] counts and collects, `cell` and `layout` write, and
//! [`server_text`] asks PostgreSQL for the texts that only it can write.

mod cell;
mod layout;
pub mod page;
pub mod server_text;

pub use layout::JSON_CELLS;
