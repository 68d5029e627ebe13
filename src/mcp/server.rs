//! rmcp's `ServerHandler`: the protocol's requests in, messages to the session out.
//!
//! It serves every revision that rmcp knows, from 2024-11-05 to 2026-07-28. It has no state but what the databases show: the
//! annotations of the tools follow the access modes, the names that a call may give follow the set of databases, and the
//! client is notified when either changes.

use std::sync::Arc;

use hyper::http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
    Extensions, Implementation, JsonObject, ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion,
    ServerCapabilities, ServerConfig, SubscriptionFilter, Tool as Listed, ToolAnnotations,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::asking::{self, AskedPeer, Rounds, SessionClient};
use super::calls::{self, CallEvent, Calls};
use super::{encoder, instructions, methods, progress};
use crate::actors::clients::access::{ClientAccess, Offered};
use crate::messages::answer::{InputRequired, Reply};
use crate::messages::call::Call;
use crate::messages::in_flight::InFlightPermit;
use crate::messages::trace::TraceId;
use crate::tools::{TOOLS, Tool};

/// The server as one client sees it.
#[derive(Clone)]
pub struct Server {
    calls: Calls,
    access: ClientAccess,
    /// Cancelled when the client or the process ends. Calls in flight are dropped, which cancels them in PostgreSQL.
    ending: CancellationToken,
    /// Cancelled before that, when the process is about to end. What lasts as long as the client then ends.
    stopping: CancellationToken,
    /// Cancelled when the last clone of this server is dropped: its client has gone.
    gone: CancellationToken,
    _here: Arc<DropGuard>,
}

impl Server {
    /// A server that sends calls of tools by `calls`, and tells its client about `access`.
    pub fn new(calls: Calls, access: ClientAccess, ending: CancellationToken, stopping: CancellationToken) -> Self {
        let gone = CancellationToken::new();
        let here = Arc::new(gone.clone().drop_guard());
        Self { calls, access, ending, stopping, gone, _here: here }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        let mut server = Implementation::new("mcp-server-postgres", env!("CARGO_PKG_VERSION"));
        server.title = Some("PostgreSQL".to_owned());
        let mut config = ServerConfig::new(capabilities);
        config.server_info = server;
        config.instructions = Some(instructions::for_client(&self.access));
        config
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let offered = self.access.now();
        let tools = TOOLS.iter().map(|tool| listed(tool, &offered));
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // Plain calls do not come here (`tool_call`). What comes is rare, so it may go through trees of values.
        let token = context.meta.get_progress_token();
        let revision = context.protocol_version().unwrap_or(ProtocolVersion::V_2025_03_26);
        let takes_forms = context.client_capabilities().is_some_and(|declared| asking::takes_forms(&declared));
        let rounds = Rounds::new(request.input_responses.map(Map::from_iter), request.request_state);
        let pending = Arc::default();
        let session = SessionClient { takes_forms, pending: &pending };
        let (client, questions) = asking::client(&revision, &context.id, Some(&context.meta), Some(session), rounds);
        let mut peer = AskedPeer::new(context.peer.clone(), pending);
        let call = Call {
            tool: request.name.into_owned(),
            arguments: request.arguments.unwrap_or_default().into(),
            progress: progress::counted_for(token.as_ref()),
            trace: context.meta.get_traceparent().and_then(TraceId::of),
            permit: permit(&context.extensions),
            client,
        };
        let mut call = self.calls.call(call, token, questions);
        loop {
            // rmcp does not drop the handler of a cancelled request. Dropping the call cancels it.
            let event = tokio::select! {
                biased;
                () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled by the client", None)),
                () = self.ending.cancelled() => return Err(calls::ending()),
                event = call.next() => event,
            };
            match event {
                // The transport notices a client that has gone.
                CallEvent::Progress(progress) => drop(context.peer.notify_progress(progress).await),
                CallEvent::Question(question) => peer.ask(question),
                CallEvent::Ended(reply) => return response(reply?),
            }
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let unknown =
            || ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {}", request.method), None);
        Err(methods::parameters_error(&request.method, context.protocol_version().as_ref()).unwrap_or_else(unknown))
    }

    // The older revisions: a notification to each client that has opened a session.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (mut access, mut known) = (self.access.clone(), self.access.now());
        let peer: Peer<RoleServer> = context.peer;
        let (stopping, gone) = (self.stopping.clone(), self.gone.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    // Without this, the task would keep rmcp's part of the session until something changes.
                    () = gone.cancelled() => return,
                    changed = access.changed(&mut known) => {
                        if changed.is_none() || peer.notify_tool_list_changed().await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
    }

    // 2026-07-28: only for clients that have asked for it.
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let (mut access, mut known) = (self.access.clone(), self.access.now());
        let wanted = subscription.accepted().tools_list_changed == Some(true);
        loop {
            tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = self.stopping.cancelled() => return Ok(()),
                changed = access.changed(&mut known), if wanted => {
                    if changed.is_none() || subscription.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// The permit of a call that came by HTTP, which is counted already: the admission of requests has put it there.
fn permit(extensions: &Extensions) -> Option<InFlightPermit> {
    extensions.get::<Parts>()?.extensions.get().cloned()
}

fn listed(tool: &Tool, offered: &Offered) -> Listed {
    let databases: Vec<&str> = offered.databases.iter().map(|name| &**name).collect();
    let mut listed = Listed::new(tool.name, tool.description, Arc::new(object(tool.input_of(&databases))));
    listed.title = Some(tool.title.to_owned());
    // Where there is an output schema, an answer must have structured content (specification, Tools, Output Schema).
    listed.output_schema = offered.is_structured.then(|| Arc::new(object((tool.output)())));
    listed.meta = tool.meta().map(|meta| MetaObject(object(meta)));
    let read_only = tool.is_read_only(offered.access);
    listed.annotations = Some(
        ToolAnnotations::new()
            .read_only(read_only)
            .destructive(!read_only)
            // The same read gives the same answer as long as nobody writes. A write need not.
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

fn response(reply: Reply) -> Result<CallToolResponse, ErrorData> {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::InputRequired(InputRequired { requests, state }) => {
            let json = json!({"resultType": "input_required", "inputRequests": requests, "requestState": state});
            let input = serde_json::from_value(json).map_err(|why| ErrorData::internal_error(why.to_string(), None))?;
            return Ok(CallToolResponse::InputRequired(input));
        }
    };
    let content = vec![ContentBlock::text(answer.whole_text())];
    let mut result = if answer.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    let (name, value) = encoder::meta(answer.failure);
    result.meta = Some(MetaObject(JsonObject::from_iter([(name.to_owned(), value)])));
    result.structured_content = answer.structured.and_then(|json| serde_json::from_str(&json.to_string()).ok());
    Ok(CallToolResponse::Complete(result))
}
