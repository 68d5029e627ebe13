//! rmcp's `ServerHandler`: the protocol's requests in, messages to the session out.
//!
//! It serves every revision that rmcp knows, from 2024-11-05 to 2026-07-28, on one process. It holds no state but what
//! the databases show: the tools' annotations follow their modes, and a change of those is told to the client.

use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
    Implementation, JsonObject, ListToolsResult, MetaObject, PaginatedRequestParams, ProgressNotificationParam,
    ProgressToken, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool as Listed, ToolAnnotations,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::encoded;
use super::methods;
use super::offer::Offer;
use crate::actors::session::{Call, CallError};
use crate::progress::Progress;
use crate::settings::AccessMode;
use crate::tools::{Answer, Rows, TOOLS, Tool};

/// The member of `_meta` that tells programs of a failure (spec, General fields: a prefix, a slash, a name).
const FAILURE: &str = "mcp-server-postgres/failure";

/// The member of `_meta` that tells programs what an answer is: data, never instructions to a model.
const CONTENT: &str = "mcp-server-postgres/content";

/// How often the client is told of a call's progress, if it asks for that.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The server as one client sees it.
#[derive(Clone)]
pub struct Server {
    session: Recipient<Call>,
    offer: Offer,
    /// Cancelled when the client or the process ends: what is in flight is dropped, and with it cancelled in PostgreSQL.
    ending: CancellationToken,
    /// Cancelled before that, when the process is to end: what would go on for as long as the client ends by itself.
    stopping: CancellationToken,
    results: Results,
    /// Cancelled when the last clone of this server is gone, and with it its client.
    gone: CancellationToken,
    _here: Arc<DropGuard>,
}

/// What a result is made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results {
    /// For our own transport, which takes what is encoded already.
    Encoded,
    /// For rmcp's, which encodes by itself.
    Plain,
}

impl Server {
    /// A server that brings calls to `session`, and tells its client of `offer`.
    pub fn new(
        session: Recipient<Call>,
        offer: Offer,
        ending: CancellationToken,
        stopping: CancellationToken,
        results: Results,
    ) -> Self {
        let gone = CancellationToken::new();
        let here = Arc::new(gone.clone().drop_guard());
        Self { session, offer, ending, stopping, results, gone, _here: here }
    }

    fn result(&self, answer: Answer) -> CallToolResult {
        match self.results {
            Results::Encoded => result(answer, encoded::pack),
            Results::Plain => {
                let answer = Answer { text: answer.whole_text(), ..answer };
                result(answer, |structured, _| encoded::members(&structured))
            }
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        let mut server = Implementation::new("mcp-server-postgres", env!("CARGO_PKG_VERSION"));
        server.title = Some("PostgreSQL".to_owned());
        let mut config = ServerConfig::new(capabilities);
        config.server_info = server;
        config.instructions = Some(self.offer.instructions());
        config
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (access, databases) = (self.offer.access(), self.offer.databases());
        let tools = TOOLS.iter().map(|tool| listed(tool, access, &databases));
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let token = context.meta.get_progress_token();
        let progress = if token.is_some() { Progress::counted() } else { Progress::default() };
        let (tool, arguments) = (request.name.into_owned(), request.arguments.unwrap_or_default());
        let reply = self.session.send(Call { tool, arguments, progress: progress.clone() });
        // rmcp does not drop a handler whose request is cancelled; dropping the call is what cancels it.
        let reply = tokio::select! {
            biased;
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled by the client", None)),
            () = self.ending.cancelled() => return Err(ErrorData::internal_error("the server is ending", None)),
            reply = reply => reply,
            // It ends with the answer, so nothing is told after that.
            () = tell(&context.peer, token, progress) => unreachable!("it goes on for as long as the call"),
        };
        match reply {
            Ok(Ok(answer)) => Ok(CallToolResponse::Complete(self.result(answer))),
            Ok(Err(CallError::UnknownTool { name })) => {
                let names: Vec<_> = TOOLS.iter().map(|tool| tool.name).collect();
                Err(ErrorData::invalid_params(
                    format!("there is no tool {name:?}; there are {}", names.join(", ")),
                    None,
                ))
            }
            Ok(Err(CallError::Busy { in_flight_max })) => {
                Ok(CallToolResponse::Complete(self.result(Answer::error(format!(
                    "Busy: {in_flight_max} calls of this session are in flight already (MCP_MAX_IN_FLIGHT). \
                 Try again when one of them is answered."
                )))))
            }
            Err(error) => Err(ErrorData::internal_error(format!("the server is ending: {error}"), None)),
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let unknown =
            || ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {}", request.method), None);
        Err(methods::misfit(&request.method).unwrap_or_else(unknown))
    }

    // The older revisions: a notification to whoever has opened the session.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (mut offer, mut known) = (self.offer.clone(), self.offer.access());
        let peer: Peer<RoleServer> = context.peer;
        let (stopping, gone) = (self.stopping.clone(), self.gone.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    // Otherwise it would hold what rmcp keeps of a session for as long as the mode does not change.
                    () = gone.cancelled() => return,
                    changed = offer.mode_changed(&mut known) => {
                        if changed.is_none() || peer.notify_tool_list_changed().await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
    }

    // 2026-07-28: only to whoever has asked for it.
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let (mut offer, mut known) = (self.offer.clone(), self.offer.access());
        let wanted = subscription.accepted().tools_list_changed == Some(true);
        loop {
            tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = self.stopping.cancelled() => return Ok(()),
                changed = offer.mode_changed(&mut known), if wanted => {
                    if changed.is_none() || subscription.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Tell the client of a call's progress, if it gave a token for that. Never ends.
async fn tell(peer: &Peer<RoleServer>, token: Option<ProgressToken>, progress: Progress) {
    let Some(token) = token else { return std::future::pending().await };
    let began = Instant::now();
    let mut next = interval_at(began + PROGRESS_EVERY, PROGRESS_EVERY);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        next.tick().await;
        // It must grow each time (spec, progress), which rows need not.
        let seconds = began.elapsed().as_secs_f64();
        let told = ProgressNotificationParam::new(token.clone(), seconds);
        // A client that has gone is seen by the transport.
        let _ = peer.notify_progress(told.with_message(format!("{progress}, {seconds:.1} s"))).await;
    }
}

fn listed(tool: &Tool, access: AccessMode, databases: &[&str]) -> Listed {
    let mut listed = Listed::new(tool.name, tool.description, Arc::new(object(tool.input_of(databases))));
    listed.title = Some(tool.title.to_owned());
    listed.output_schema = Some(Arc::new(object((tool.output)())));
    let read_only = tool.is_read_only(access);
    listed.annotations = Some(
        ToolAnnotations::new()
            .read_only(read_only)
            .destructive(!read_only)
            // The same read gives the same answer as long as nobody else writes; a write need not.
            .idempotent(read_only)
            .open_world(false),
    );
    listed
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(members) => members,
        _ => JsonObject::new(),
    }
}

fn result(answer: Answer, structured: impl FnOnce(String, Option<Rows>) -> Value) -> CallToolResult {
    let content = vec![ContentBlock::text(answer.text)];
    let mut result = if answer.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    let (name, value) = match answer.failure {
        Some(facts) => (FAILURE, *facts),
        None => (CONTENT, Value::from("data")),
    };
    result.meta = Some(MetaObject(JsonObject::from_iter([(name.to_owned(), value)])));
    result.structured_content = answer.structured.map(|text| structured(text, answer.rows));
    result
}
