//! Reads the rows of a statement from its portal, a page at a time.
//!
//! A portal returns as many rows as requested and waits (manual, section 55.2.3), so reading a huge table costs one
//! page. Rows that a fetch has returned and the page did not take are kept for the next page: one extra row that showed
//! that there are more, or, if a row was too large, the rest of the fetch.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use pg_guard::sql::Operation;
use tokio_postgres::{Error, Portal, Row, RowStream};

use super::RunProgress;
use crate::postgres::connection::Connection;
use crate::postgres::error::{Phase, QueryError};
use crate::postgres::history::Size;
use crate::postgres::prepared::Prepared;
use crate::postgres::rows::page::Page;
use crate::postgres::rows::server_text;
use crate::postgres::statement::{Outcome, Reading};

/// How many rows the first fetch of a portal requests, if more are allowed: enough for most answers, and little if each
/// row is large.
const FIRST_FETCH_ROWS: usize = 128;

/// How many rows, and how many bytes of them, are kept while PostgreSQL is asked for texts that only it can produce.
/// One row is kept whatever its size.
const SERVER_TEXT_ROWS_MAX: usize = 128;
const SERVER_TEXT_BYTES_MAX: usize = 1 << 20;

/// The rest of a fetch is kept if it arrives within this time and is not larger than this.
const AT_ONCE: Duration = Duration::from_millis(20);
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// The row count that requests all rows.
const ALL_ROWS: usize = 0;

/// What is said if a reader that was released is read from: nothing does that.
const RELEASED: &str = "This statement was read to its end.";

/// A running statement in an open transaction.
pub struct Reader {
    sql: Arc<str>,
    operation: Operation,
    /// Whether the statement runs to its end at once, and not from a portal.
    runs_to_end: bool,
    /// The statement and its portal, until nothing more is read.
    source: Option<Source>,
    /// Rows that have arrived and are not on a page yet.
    ahead: VecDeque<Row>,
    /// The current fetch, if one is running.
    fetch: Option<Pin<Box<RowStream>>>,
    rows_read: u64,
    /// The size of the largest row so far, in bytes.
    row_bytes_max: usize,
    /// The row count of the command tag, after the statement has ended.
    ended: Option<u64>,
}

struct Source {
    prepared: Arc<Prepared>,
    /// None for a statement that runs to its end at once.
    portal: Option<Portal>,
}

impl Reader {
    /// A reader of a portal from which nothing was fetched yet.
    pub(super) fn new(prepared: Arc<Prepared>, portal: Portal) -> Self {
        Self::with(prepared, Some(portal), None)
    }

    /// A reader of a statement that runs to its end at once.
    pub(super) fn whole(prepared: Arc<Prepared>, rows: RowStream) -> Self {
        Self::with(prepared, None, Some(Box::pin(rows)))
    }

    fn with(prepared: Arc<Prepared>, portal: Option<Portal>, fetch: Option<Pin<Box<RowStream>>>) -> Self {
        let (sql, operation, runs_to_end) = (prepared.sql.clone(), prepared.operation, portal.is_none());
        let source = Some(Source { prepared, portal });
        let (ahead, rows_read, row_bytes_max, ended) = Default::default();
        Self { sql, operation, runs_to_end, source, ahead, fetch, rows_read, row_bytes_max, ended }
    }

    pub fn sql(&self) -> &Arc<str> {
        &self.sql
    }

    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether a page may follow. A statement that changes rows has changed all of them before the first is returned:
    /// its other rows are counted, not kept.
    pub(super) fn has_more(&self) -> bool {
        !self.operation().changes_rows() && (self.ended.is_none() || !self.ahead.is_empty())
    }

    /// Whether there are more rows that cannot be read: the statement runs to its end at once, because its earlier
    /// results were small.
    pub(super) fn has_outgrown(&self) -> bool {
        self.runs_to_end && self.has_more()
    }

    /// Reads the next page.
    ///
    /// # Errors
    /// See [`QueryError`]; the transaction cannot be used any more then.
    pub async fn page(
        &mut self,
        connection: &Connection,
        reading: Reading,
        target: &str,
        progress: &RunProgress,
    ) -> Result<Outcome, QueryError> {
        let sql = self.sql.clone();
        let Some(Source { prepared, .. }) = &self.source else { return Err(QueryError::refused(RELEASED)) };
        let prepared = prepared.clone();
        progress.rows_came.set(self.rows_read > 0);
        let to_error = |error: Error| {
            let phase = if progress.rows_came.get() { Phase::Fetch } else { Phase::Execute };
            QueryError::of(&error, &sql, phase, target)
        };
        let mut page = Page::new(
            prepared.columns.clone(),
            prepared.codecs.clone(),
            reading.format,
            reading.limits,
            reading.cell_offset,
        );
        let server_columns = page.server_text_columns();
        if server_columns.is_empty() {
            while let Some(row) = self.next(connection, &page).await.map_err(to_error)? {
                progress.rows_came.set(true);
                progress.call.rows(1, row.raw_size_bytes());
                page.push(&row, &[]).map_err(|error| QueryError::undecodable(&error))?;
                if page.is_cut() {
                    self.ahead.push_front(row);
                    break;
                }
            }
        } else {
            // Boxed: few statements have such columns; keeps the future of every call small.
            while !page.is_cut() && Box::pin(self.gather(connection, &page)).await.map_err(to_error)? {
                progress.rows_came.set(true);
                let group = self.server_text_group();
                let rows = &self.ahead.make_contiguous()[..group];
                let rendered =
                    Box::pin(server_text::texts(connection.client(), rows, &prepared, &server_columns)).await;
                let rendered =
                    rendered.map_err(|error| server_text::unanswered(&error).unwrap_or_else(|| to_error(error)));
                for rendered in rendered? {
                    let Some(row) = self.ahead.pop_front() else { break };
                    progress.call.rows(1, row.raw_size_bytes());
                    page.push(&row, &rendered).map_err(|error| QueryError::undecodable(&error))?;
                    if page.is_cut() {
                        self.ahead.push_front(row);
                        break;
                    }
                }
            }
        }
        if self.operation().changes_rows() {
            // How many rows it has changed is known when all are read.
            self.ahead.clear();
            while self.next(connection, &page).await.map_err(to_error)?.is_some() {}
        }
        let page = page.finish();
        let is_whole = page.cut.is_none() && self.rows_read == page.rows as u64 && server_columns.is_empty();
        let size = Size { rows: page.rows, bytes: page.json.len() };
        prepared.past_size.remember(is_whole.then_some(size));
        let counts =
            self.operation().changes_rows() || (self.operation().as_str() == "WITH" && prepared.types.is_empty());
        // With RETURNING, the tag counts only the rows of the last fetch.
        let count = self.ended.map(|tag| if prepared.types.is_empty() { tag } else { self.rows_read });
        Ok(Outcome { page, rows_affected: count.filter(|_| counts), ..Outcome::default() })
    }

    /// Read the rest of the current fetch into `ahead`, if it arrives soon. Returns whether it did.
    ///
    /// # Errors
    /// The error of the driver, as a failure of the statement.
    pub(super) async fn rest_of_fetch(&mut self, target: &str) -> Result<bool, QueryError> {
        let rest = async {
            let mut bytes = 0;
            while let Some(row) = self.pull().await? {
                bytes += row.raw_size_bytes();
                self.ahead.push_back(row);
                if bytes > AHEAD_BYTES_MAX {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let came = tokio::time::timeout(AT_ONCE, rest).await.unwrap_or(Ok(false));
        came.map_err(|error| QueryError::of(&error, self.sql(), Phase::Fetch, target))
    }

    /// Stop reading, and close portal and statement: the driver discards the rows that still arrive.
    pub(super) fn release(&mut self) {
        self.fetch = None;
        self.source = None;
    }

    async fn next(&mut self, connection: &Connection, page: &Page) -> Result<Option<Row>, Error> {
        match self.ahead.pop_front() {
            Some(row) => Ok(Some(row)),
            None => self.fetch(connection, page).await,
        }
    }

    /// The next row from the portal.
    async fn fetch(&mut self, connection: &Connection, page: &Page) -> Result<Option<Row>, Error> {
        while self.begin_fetch(connection, page).await? {
            if let Some(row) = self.pull().await? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Start a fetch of as many rows as the page has space for, unless one is running or there are no more rows.
    /// Returns whether a fetch is running.
    async fn begin_fetch(&mut self, connection: &Connection, page: &Page) -> Result<bool, Error> {
        if self.fetch.is_none()
            && self.ended.is_none()
            && let Some(Source { portal: Some(portal), .. }) = &self.source
        {
            let rows = if self.operation().changes_rows() && page.is_cut() {
                ALL_ROWS
            } else if self.rows_read == 0 {
                FIRST_FETCH_ROWS.min(page.rows_left() + 1)
            } else {
                // One row more than the page has space for shows whether there are more.
                page.rows_left_by_bytes().unwrap_or(FIRST_FETCH_ROWS).min(page.rows_left()) + 1
            };
            let rows =
                if page.server_text_columns().is_empty() { rows } else { rows.min(self.server_text_fetch_rows()) };
            self.fetch = Some(Box::pin(connection.fetch(portal, rows).await?));
        }
        Ok(self.fetch.is_some())
    }

    /// The next row of the current fetch; `None` at its end, and then no fetch is running.
    async fn pull(&mut self) -> Result<Option<Row>, Error> {
        let Some(fetch) = &mut self.fetch else { return Ok(None) };
        if let Some(row) = fetch.try_next().await? {
            self.rows_read += 1;
            self.row_bytes_max = self.row_bytes_max.max(row.raw_size_bytes());
            return Ok(Some(row));
        }
        self.ended = fetch.rows_affected();
        self.fetch = None;
        Ok(None)
    }

    /// The row limit of a fetch whose rows are all kept. It is not more than have come before: the size of the next
    /// rows is not known.
    fn server_text_fetch_rows(&self) -> usize {
        let fitting = SERVER_TEXT_BYTES_MAX / self.row_bytes_max.max(1);
        let so_far = usize::try_from(self.rows_read).unwrap_or(usize::MAX);
        so_far.min(fitting).clamp(1, SERVER_TEXT_ROWS_MAX)
    }

    /// How many of the rows in `ahead` are sent to PostgreSQL together: it gets their values and returns their texts.
    fn server_text_group(&self) -> usize {
        let mut bytes = 0;
        let fitting = self.ahead.iter().take_while(|row| {
            bytes += row.raw_size_bytes();
            bytes <= SERVER_TEXT_BYTES_MAX
        });
        fitting.count().clamp(1, self.ahead.len().max(1))
    }

    /// Read all rows of a fetch into `ahead`; returns whether there are any. While rows arrive on a connection, nothing
    /// else can be asked on it.
    async fn gather(&mut self, connection: &Connection, page: &Page) -> Result<bool, Error> {
        while self.ahead.is_empty() && self.begin_fetch(connection, page).await? {
            while let Some(row) = self.pull().await? {
                self.ahead.push_back(row);
            }
        }
        Ok(!self.ahead.is_empty())
    }
}
