//! rmcp's `ServerHandler`: the protocol's requests in, messages to the session out.
//!
//! It serves every revision that rmcp knows, from 2024-11-05 to 2026-07-28, on one process. It holds no state but what
//! the databases show: the tools' annotations follow their modes, the names
//! of databases that a call may give follow the set of them, and a change of either is told to the client.

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
use crate::settings::AccessMode;
use crate::tools::{TOOLS, Tool};

/// The server as one client sees it.
#[derive(Clone)]
pub struct Server {
    calls: Calls,
    access: ClientAccess,
    /// Cancelled when the client or the process ends: what is in flight is dropped, and with it cancelled in PostgreSQL.
    ending: CancellationToken,
    /// Cancelled before that, when the process is to end: what would go on for as long as the client ends by itself.
    stopping: CancellationToken,
    /// Cancelled when the last clone of this server is gone, and with it its client.
    gone: CancellationToken,
    _here: Arc<DropGuard>,
}

impl Server {
    /// A server whose calls of tools go by `calls`, and that tells its client of `access`.
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
        let Offered { databases, access } = self.access.now();
        let databases: Vec<&str> = databases.iter().map(|name| &**name).collect();
        let tools = TOOLS.iter().map(|tool| listed(tool, access, &databases));
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // What is plain does not come here (`tool_call`): what does is rare, and has a tree of values both ways.
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
            // rmcp does not drop a handler whose request is cancelled; dropping the call is what cancels it.
            let event = tokio::select! {
                biased;
                () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled by the client", None)),
                () = self.ending.cancelled() => return Err(calls::ending()),
                event = call.next() => event,
            };
            match event {
                // A client that has gone is seen by the transport.
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
        Err(methods::misfit(&request.method, context.protocol_version().as_ref()).unwrap_or_else(unknown))
    }

    // The older revisions: a notification to whoever has opened the session.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (mut access, mut known) = (self.access.clone(), self.access.now());
        let peer: Peer<RoleServer> = context.peer;
        let (stopping, gone) = (self.stopping.clone(), self.gone.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    // Otherwise it would hold what rmcp keeps of a session for as long as nothing changes.
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

    // 2026-07-28: only to whoever has asked for it.
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

/// That a call is counted among those in flight, if it came by HTTP: whoever admitted its request has put that there.
fn permit(extensions: &Extensions) -> Option<InFlightPermit> {
    extensions.get::<Parts>()?.extensions.get().cloned()
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
