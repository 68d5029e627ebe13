//! From PostgreSQL's rows to the pages of an answer: [`page`] counts and collects, `cell` and `layout` write, and
//! [`server_text`] gets the texts that only PostgreSQL can produce.

mod cell;
mod layout;
pub mod page;
pub mod server_text;

pub use layout::JSON_CELLS;
