//! The messages of a backend that answer no request: NOTICE, WARNING and INFO (manual, section 55.8, NoticeResponse),
//! and the message with which it ends an idle connection.
//!
//! The task that drives a connection adds them in the order of the protocol. So all messages of a statement are here
//! before its call gets the response. The call takes them out.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slog::Logger;
use tokio_postgres::error::{DbError, Severity};

use crate::log::{debug, info};

/// The largest number of messages for one call, and their largest size in bytes. Further messages are only counted.
const NOTICES_MAX: usize = 50;
const NOTICES_BYTES_MAX: usize = 8 << 10;

/// The largest size of a message, of its detail and of its hint, in bytes.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// The notices of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notices {
    /// In the order in which they came.
    pub shown: Vec<Notice>,
    /// How many more there were.
    pub omitted: usize,
}

/// A message of the severity NOTICE, WARNING or INFO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING` or `INFO`, in every language of the server's messages.
    pub severity: &'static str,
    /// Five characters, manual appendix A; `00000` for most.
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

/// The messages of one connection that no call has taken yet.
#[derive(Debug, Default)]
pub struct Inbox(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    notices: Notices,
    /// How many messages and bytes the call has received so far.
    count: usize,
    bytes: usize,
    last_words: Option<DbError>,
}

impl Inbox {
    /// A call begins. Earlier messages are not for it.
    pub fn begin(&self) {
        let mut contents = self.lock();
        *contents = Contents { last_words: contents.last_words.take(), ..Contents::default() };
    }

    /// The message with which the backend has ended the connection while no statement was running.
    pub fn last_words(&self) -> Option<DbError> {
        self.lock().last_words.clone()
    }

    /// The connection has ended with this error.
    pub(super) fn ended(&self, error: &tokio_postgres::Error) {
        self.lock().last_words = error.as_db_error().cloned();
    }

    /// The messages since the call began, or since this was called last. The limits apply to the whole call.
    pub fn take(&self) -> Notices {
        std::mem::take(&mut self.lock().notices)
    }

    /// A message has arrived.
    pub(super) fn put(&self, message: &DbError, log: &Logger) {
        let (sqlstate, text) = (message.code().code().to_owned(), cut(message.message()));
        let severity = match message.parsed_severity() {
            Some(Severity::Warning) => "WARNING",
            Some(Severity::Notice) => "NOTICE",
            Some(Severity::Info) => "INFO",
            // LOG and DEBUG are sent only if client_min_messages requests them; they are for the people who have set
            // it.
            _ => {
                debug!(log, "message from PostgreSQL"; "severity" => message.severity().to_owned(), "text" => text);
                return;
            }
        };
        match severity {
            "WARNING" => info!(log, "warning from PostgreSQL"; "sqlstate" => &*sqlstate, "text" => &*text),
            _ => {
                debug!(log, "notice from PostgreSQL"; "severity" => severity, "sqlstate" => &*sqlstate, "text" => &*text)
            }
        }
        let (detail, hint) = (message.detail().map(cut), message.hint().map(cut));
        self.lock().add(Notice { severity, sqlstate, message: text, detail, hint });
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // No code panics while it has the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn add(&mut self, notice: Notice) {
        let bytes = notice.bytes();
        if self.count == NOTICES_MAX || self.bytes + bytes > NOTICES_BYTES_MAX {
            self.notices.omitted += 1;
            return;
        }
        (self.count, self.bytes) = (self.count + 1, self.bytes + bytes);
        self.notices.shown.push(notice);
    }
}

impl Notices {
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.omitted == 0
    }

    /// Adds the messages that came after these.
    pub fn append(&mut self, mut later: Self) {
        self.shown.append(&mut later.shown);
        self.omitted += later.omitted;
    }
}

impl Notice {
    fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.message.len() + length(&self.detail) + length(&self.hint)
    }
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Each message as psql shows it, on lines of its own. The SQLSTATE is included if it means anything.
impl fmt::Display for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Notice { severity, sqlstate, message, detail, hint } in &self.shown {
            let code = if sqlstate == "00000" { String::new() } else { format!(" {sqlstate}") };
            writeln!(f, "{severity}{code}: {message}")?;
            for (label, text) in [("DETAIL", detail), ("HINT", hint)] {
                if let Some(text) = text {
                    writeln!(f, "{label}: {text}")?;
                }
            }
        }
        match self.omitted {
            0 => Ok(()),
            1 => writeln!(f, "1 more message of PostgreSQL is not shown."),
            more => writeln!(f, "{more} more messages of PostgreSQL are not shown."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(message: &str) -> Notice {
        let (detail, hint) = Default::default();
        Notice { severity: "NOTICE", sqlstate: "00000".to_owned(), message: message.to_owned(), detail, hint }
    }

    #[test]
    fn what_is_too_much_for_a_call_is_counted() {
        let inbox = Inbox::default();
        inbox.begin();
        for n in 0..NOTICES_MAX + 7 {
            inbox.lock().add(notice(&n.to_string()));
        }
        let taken = inbox.take();
        assert_eq!((taken.shown.len(), taken.omitted), (NOTICES_MAX, 7));
        assert_eq!(taken.shown[0], notice("0"));
        // The statements of a batch share the limits.
        inbox.lock().add(notice("later"));
        assert_eq!(inbox.take(), Notices { shown: vec![], omitted: 1 });
        assert!(inbox.take().is_empty());

        inbox.begin();
        for _ in 0..9 {
            inbox.lock().add(notice(&"é".repeat(500)));
        }
        let taken = inbox.take();
        assert_eq!((taken.shown.len(), taken.omitted), (8, 1));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(cut("short"), "short");
        let text = cut(&format!("x{}", "é".repeat(TEXT_BYTES_MAX)));
        assert!(text.ends_with("é…") && text.len() <= TEXT_BYTES_MAX + '…'.len_utf8(), "{}", text.len());
    }

    #[test]
    fn they_are_shown_as_psql_shows_them() {
        let mut notices = Notices { shown: vec![notice("first")], omitted: 0 };
        notices.append(Notices {
            shown: vec![Notice {
                severity: "WARNING",
                sqlstate: "01007".to_owned(),
                detail: Some("why".to_owned()),
                hint: Some("how".to_owned()),
                ..notice("second")
            }],
            omitted: 2,
        });
        assert_eq!(
            notices.to_string(),
            "NOTICE: first\nWARNING 01007: second\nDETAIL: why\nHINT: how\n2 more messages of PostgreSQL are not shown.\n"
        );
        assert_eq!(Notices::default().to_string(), "");
    }
}
