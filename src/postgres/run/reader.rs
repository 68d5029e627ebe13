//! A statement's rows, read from its portal a page at a time.
//!
//! A portal gives as many rows as it is asked for and waits (manual, section 55.2.3), so a huge table costs one page.
//! What a fetch brought and the page did not take is kept for the next: one row that showed that there is more, or,
//! where a row was too large, what is still on its way.

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

/// How many rows the first fetch of a portal asks for, when more are wanted: enough for most answers, and little
/// when each row is large.
const FIRST_FETCH_ROWS: usize = 128;

/// How many rows are held at a time while PostgreSQL is asked for what only it can show, and how large they may be; one
/// is, whatever its size.
const SERVER_TEXT_ROWS_MAX: usize = 128;
const SERVER_TEXT_BYTES_MAX: usize = 1 << 20;

/// How long the rest of a fetch may take, and how large it may be, to be kept.
const AT_ONCE: Duration = Duration::from_millis(20);
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// The row count that asks for all there are.
const ALL_ROWS: usize = 0;

/// A statement under way in an open transaction.
pub struct Reader {
    prepared: Arc<Prepared>,
    /// None for a statement that is run to its end at once.
    portal: Option<Portal>,
    /// Rows that came and were not shown.
    ahead: VecDeque<Row>,
    /// The fetch that brings more.
    fetch: Option<Pin<Box<RowStream>>>,
    rows_read: u64,
    /// The largest of them, in bytes.
    row_bytes_max: usize,
    /// The row count of the command's tag, once it has ended.
    ended: Option<u64>,
}

impl Reader {
    /// A reader of a portal that has given no row yet.
    pub(super) fn new(prepared: Arc<Prepared>, portal: Portal) -> Self {
        Self::with(prepared, Some(portal), None)
    }

    /// A reader of a statement that is run to its end at once.
    pub(super) fn whole(prepared: Arc<Prepared>, rows: RowStream) -> Self {
        Self::with(prepared, None, Some(Box::pin(rows)))
    }

    fn with(prepared: Arc<Prepared>, portal: Option<Portal>, fetch: Option<Pin<Box<RowStream>>>) -> Self {
        Self { prepared, portal, ahead: VecDeque::new(), fetch, rows_read: 0, row_bytes_max: 0, ended: None }
    }

    pub fn sql(&self) -> &Arc<str> {
        &self.prepared.sql
    }

    /// What kind of statement it is.
    pub fn operation(&self) -> Operation {
        self.prepared.operation
    }

    /// Whether a page may follow. What changes rows has changed them all before it gave the first: the rest of those
    /// is counted, not kept.
    pub(super) fn has_more(&self) -> bool {
        !self.operation().changes_rows() && (self.ended.is_none() || !self.ahead.is_empty())
    }

    /// Whether there is more that cannot be read on: it was run to its end at once, because it gave little before.
    pub(super) fn has_outgrown(&self) -> bool {
        self.portal.is_none() && self.has_more()
    }

    /// The next page.
    ///
    /// # Errors
    /// See [`QueryError`]; the transaction is of no more use then.
    pub async fn page(
        &mut self,
        connection: &Connection,
        reading: Reading,
        target: &str,
        progress: &RunProgress,
    ) -> Result<Outcome, QueryError> {
        let sql = self.prepared.sql.clone();
        progress.rows_came.set(self.rows_read > 0);
        let wrong = |error: Error| {
            let phase = if progress.rows_came.get() { Phase::Fetch } else { Phase::Execute };
            QueryError::of(&error, &sql, phase, target)
        };
        let mut page = Page::new(
            self.prepared.columns.clone(),
            self.prepared.codecs.clone(),
            reading.format,
            reading.limits,
            reading.cell_offset,
        );
        let server_columns = page.server_text_columns();
        if server_columns.is_empty() {
            while let Some(row) = self.next(connection, &page).await.map_err(wrong)? {
                progress.rows_came.set(true);
                progress.call.rows(1, row.raw_size_bytes());
                page.push(&row, &[]).map_err(|error| QueryError::undecodable(&error))?;
                if page.is_cut() {
                    self.ahead.push_front(row);
                    break;
                }
            }
        } else {
            // Boxed, for few statements have such columns, and the future of every call would have room for it.
            while !page.is_cut() && Box::pin(self.gather(connection, &page)).await.map_err(wrong)? {
                progress.rows_came.set(true);
                let group = self.server_text_group();
                let rows = &self.ahead.make_contiguous()[..group];
                let shown =
                    Box::pin(server_text::texts(connection.client(), rows, &self.prepared, &server_columns)).await;
                for shown in shown.map_err(wrong)? {
                    let Some(row) = self.ahead.pop_front() else { break };
                    progress.call.rows(1, row.raw_size_bytes());
                    page.push(&row, &shown).map_err(|error| QueryError::undecodable(&error))?;
                    if page.is_cut() {
                        self.ahead.push_front(row);
                        break;
                    }
                }
            }
        }
        if self.operation().changes_rows() {
            // How many it has changed is known when all are read.
            self.ahead.clear();
            while self.next(connection, &page).await.map_err(wrong)?.is_some() {}
        }
        let shown = page.finish();
        let is_whole = shown.cut.is_none() && self.rows_read == shown.rows as u64 && server_columns.is_empty();
        let size = Size { rows: shown.rows, bytes: shown.json.len() };
        self.prepared.past.remember(is_whole.then_some(size));
        let counts =
            self.operation().changes_rows() || (self.operation().as_str() == "WITH" && self.prepared.types.is_empty());
        // Of RETURNING the tag counts the rows of its last fetch alone.
        let count = self.ended.map(|tag| if self.prepared.types.is_empty() { tag } else { self.rows_read });
        Ok(Outcome { page: shown, rows_affected: count.filter(|_| counts) })
    }

    /// Have the rest of the fetch under way ahead, if it comes at once; whether it did.
    ///
    /// # Errors
    /// The driver's, as a failure of the statement.
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

    /// Read no more of it: what is on its way is thrown away as it comes.
    pub(super) fn abandon(&mut self) {
        self.fetch = None;
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

    /// Have a fetch under way of as many rows as the page has room for, unless there are no more.
    async fn begin_fetch(&mut self, connection: &Connection, page: &Page) -> Result<bool, Error> {
        if self.fetch.is_none()
            && self.ended.is_none()
            && let Some(portal) = &self.portal
        {
            let rows = if self.operation().changes_rows() && page.is_cut() {
                ALL_ROWS
            } else if self.rows_read == 0 {
                FIRST_FETCH_ROWS.min(page.rows_left() + 1)
            } else {
                // One row more than there is room for shows whether there is more.
                page.rows_left_by_bytes().unwrap_or(FIRST_FETCH_ROWS).min(page.rows_left()) + 1
            };
            let rows =
                if page.server_text_columns().is_empty() { rows } else { rows.min(self.server_text_fetch_rows()) };
            self.fetch = Some(Box::pin(connection.fetch(portal, rows).await?));
        }
        Ok(self.fetch.is_some())
    }

    /// The next row of the fetch under way; at its end it is none any more.
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

    /// How many rows a fetch brings at most that is held whole. No more than have come before it: nothing is known of the
    /// size of the next.
    fn server_text_fetch_rows(&self) -> usize {
        let fitting = SERVER_TEXT_BYTES_MAX / self.row_bytes_max.max(1);
        let so_far = usize::try_from(self.rows_read).unwrap_or(usize::MAX);
        so_far.min(fitting).clamp(1, SERVER_TEXT_ROWS_MAX)
    }

    /// How many of the rows ahead PostgreSQL is asked about together: it is sent their values, and sends their texts.
    fn server_text_group(&self) -> usize {
        let mut bytes = 0;
        let fitting = self.ahead.iter().take_while(|row| {
            bytes += row.raw_size_bytes();
            bytes <= SERVER_TEXT_BYTES_MAX
        });
        fitting.count().clamp(1, self.ahead.len().max(1))
    }

    /// Have the rows of a whole fetch ahead, if there are any. Nothing else can be asked on a connection while rows
    /// are on their way.
    async fn gather(&mut self, connection: &Connection, page: &Page) -> Result<bool, Error> {
        while self.ahead.is_empty() && self.begin_fetch(connection, page).await? {
            while let Some(row) = self.pull().await? {
                self.ahead.push_back(row);
            }
        }
        Ok(!self.ahead.is_empty())
    }
}
