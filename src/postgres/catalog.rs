//! What we ask PostgreSQL's catalogs for ourselves. Each question is a file `*.sql` beside the code that reads its answer.

pub mod nearest;
pub mod role;
