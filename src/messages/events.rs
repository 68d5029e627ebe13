//! The events: each goes to its subscribers, and nobody replies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use pg_guard::Rule;
use pg_guard::sql::Operation;

use crate::settings::Settings;

/// The subscribers of an event, in this order.
pub struct Subscribers<M: Message + Send>(Arc<[Recipient<M>]>)
where
    M::Result: Send;

impl<M> Subscribers<M>
where
    M: Message + Send + Clone + 'static,
    M::Result: Send,
{
    pub fn publish(&self, event: M) {
        let Some((last, others)) = self.0.split_last() else { return };
        others.iter().for_each(|subscriber| subscriber.do_send(event.clone()));
        last.do_send(event);
    }

    /// The same, but the event is made only if there is a subscriber.
    pub fn publish_with(&self, event: impl FnOnce() -> M) {
        if !self.0.is_empty() {
            self.publish(event());
        }
    }
}

impl<M: Message + Send> Clone for Subscribers<M>
where
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message + Send> Default for Subscribers<M>
where
    M::Result: Send,
{
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl<M: Message + Send> FromIterator<Recipient<M>> for Subscribers<M>
where
    M::Result: Send,
{
    fn from_iter<I: IntoIterator<Item = Recipient<M>>>(subscribers: I) -> Self {
        Self(subscribers.into_iter().collect())
    }
}

impl<M: Message + Send> From<Recipient<M>> for Subscribers<M>
where
    M::Result: Send,
{
    fn from(only: Recipient<M>) -> Self {
        Self(Arc::new([only]))
    }
}

/// The subscribers of each event, except for changes of the settings, whose subscribers come and go.
#[derive(Clone, Default)]
pub struct Events {
    /// A statement has its connection.
    pub statement_began: Subscribers<StatementBegan>,
    /// The guard has refused a statement.
    pub statement_refused: Subscribers<StatementRefused>,
    pub statement_ended: Subscribers<StatementEnded>,
    pub call_ended: Subscribers<CallEnded>,
    /// A pool was rebuilt, or could not be.
    pub pool_rebuilt: Subscribers<PoolRebuilt>,
    /// The settings' files were read again.
    pub reload_finished: Subscribers<ReloadFinished>,
}

/// Says that a statement has its connection; once for each statement, however often it is sent. What the guard refuses by
/// its text alone never begins; what it refuses by what the catalogs say has a connection then, to ask them on.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct StatementBegan {
    pub tool: &'static str,
    pub client: Arc<str>,
    pub database: Arc<str>,
    /// The text of the statement.
    pub sql: Arc<str>,
    pub operation: Operation,
    /// The generation of the pool that it runs on.
    pub generation: u64,
}

/// Says that the guard has refused a statement by one of its rules. Sent by the executor, once for each refused statement
/// and before its [`StatementEnded`]. A batch that is refused has one refused statement and the end of its first.
///
/// A call whose arguments show that no statement can be run does not come to the executor and is no such event.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct StatementRefused {
    pub tool: &'static str,
    pub client: Arc<str>,
    pub database: Arc<str>,
    /// The text of the statement.
    pub sql: Arc<str>,
    pub operation: Operation,
    pub rule: Rule,
    /// The sentence that the model gets.
    pub why: String,
}

/// Says that a statement has ended, in whatever way. Sent by the executor, once for each statement.
#[derive(Debug, Clone, PartialEq, Message)]
#[rtype(result = "()")]
pub struct StatementEnded {
    pub tool: &'static str,
    pub client: Arc<str>,
    pub database: Arc<str>,
    /// The text of the statement.
    pub sql: Arc<str>,
    pub operation: Operation,
    /// When it was asked for; in a batch, when it was the next.
    pub began: Instant,
    /// The time before it had a connection: the guard's look at its text, waiting for a connection, and opening it.
    pub waited: Duration,
    /// The time of opening the connection, which is part of the wait; `None` if one was open.
    pub connected: Option<Duration>,
    /// From having the connection to the end.
    pub executed: Duration,
    /// Rows read, or changed.
    pub rows: u64,
    /// Bytes of the answer's rows, as JSON.
    pub bytes: u64,
    /// How many times it was sent again because its connection was lost.
    pub retries: u32,
    pub outcome: StatementOutcome,
    /// The generation of the pool that it ran on.
    pub generation: u64,
}

/// The outcome of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementOutcome {
    /// It was answered.
    Done,
    /// It failed.
    Failed {
        /// PostgreSQL's code, if it gave one.
        sqlstate: Option<String>,
        /// The whole reason, for the log.
        why: String,
    },
    /// It was refused: by the guard, or because its parameters do not fit or the role may do too much.
    Refused {
        /// The guard's rule, if it was the guard.
        rule: Option<Rule>,
        /// The whole reason, for the log.
        why: String,
    },
    /// Nobody waited for the answer any more.
    Cancelled,
    /// An earlier statement of its batch ended the batch. It is not counted.
    NeverBegan,
}

/// Says that a call of a tool has ended, in whatever way. Sent by the session, once for each call.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CallEnded {
    /// Which tool; `unknown` if there is none of that name.
    pub tool: &'static str,
    pub outcome: CallOutcome,
    /// From the call to its answer, or to its end without one.
    pub took: Duration,
}

macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$what])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

outcomes! {
    /// The outcome of a call.
    CallOutcome {
        /// It was answered.
        Successful => "successful",
        /// It ran and failed.
        Failed => "failed",
        /// The guard refused its statement.
        Refused => "refused",
        /// There were too many calls already, of the client or for the database.
        Busy => "busy",
        /// Its arguments do not fit.
        InvalidArguments => "invalid_arguments",
        /// There is no such tool.
        UnknownTool => "unknown_tool",
        /// Nobody waited for the answer any more.
        Cancelled => "cancelled",
    }
}

impl CallOutcome {
    /// Whether its time says something about how long calls take.
    pub fn came_to_run(self) -> bool {
        !matches!(self, Self::Busy | Self::InvalidArguments | Self::UnknownTool)
    }
}

/// Says how a change of the settings' files has ended. Sent by the config watcher.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ReloadFinished {
    pub outcome: ReloadOutcome,
    /// The keys that were changed, or why nothing was. Never a secret.
    pub what: String,
}

outcomes! {
    /// How a change of the settings' files has ended.
    ReloadOutcome {
        /// It is in force.
        Applied => "applied",
        /// It changes nothing.
        Unchanged => "unchanged",
        /// It cannot be used, and the old settings stay in force.
        Rejected => "rejected",
    }
}

/// Says that a changed setting has made a new pool, or that the old pool had to stay. Sent by the executor.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct PoolRebuilt {
    /// The name of its database.
    pub database: Arc<str>,
    /// The new generation, or why there is none.
    pub result: Result<u64, String>,
}

/// Says that the settings have changed. Sent by the config watcher to all actors that depend on them.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SettingsChanged {
    /// The old settings.
    pub old: Arc<Settings>,
    /// The new settings.
    pub new: Arc<Settings>,
}
