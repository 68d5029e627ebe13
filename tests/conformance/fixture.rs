//! The suite's own tools, resources and prompts, behind the product's daemon: its gate, its sessions, its streams.
//!
//! What each is to answer is told by the suite's descriptions of its scenarios; most of it is data.

#![allow(deprecated, reason = "log, sampling and roots are, and the suite asks for them")]

use std::path::PathBuf;
use std::sync::Arc;

use mcp_server_postgres::log;
use mcp_server_postgres::settings::{self, Inputs};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

mod asking;
mod reading;
mod rounds;
mod serving;
mod tools;

/// Serve until the process is killed.
pub fn serve() -> Result<bool, String> {
    let inputs = Inputs {
        environment: std::env::vars().collect(),
        folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        ..Inputs::default()
    };
    let loaded = settings::load(&inputs).map_err(|error| error.to_string())?;
    let (logger, _control, _guard) = log::root(&loaded.settings.log)?;
    let (lists, stopping) = (Arc::new(Lists::default()), CancellationToken::new());
    let fixture = Fixture { lists, stopping: stopping.clone() };
    let make = move |_: &_| fixture.clone();
    actix_rt::System::new().block_on(serving::serve(&loaded.settings, make, stopping, &logger))?;
    Ok(true)
}

/// How often each list has changed, or has been said to: for all clients together, as the suite changes it in one
/// request and hears of it in another.
#[derive(Default)]
struct Lists {
    tools: watch::Sender<u64>,
    prompts: watch::Sender<u64>,
}

/// The server as one client sees it.
#[derive(Clone)]
struct Fixture {
    lists: Arc<Lists>,
    stopping: CancellationToken,
}

/// What that JSON is to the library. It is written here, so it fits, or the suite will say so.
fn data<T: DeserializeOwned>(json: Value) -> Result<T, ErrorData> {
    serde_json::from_value(json)
        .map_err(|error| ErrorData::internal_error(format!("the fixture is wrong: {error}"), None))
}

/// The same of a whole result, which says that it is one; to the older revisions rmcp does not pass that on.
fn complete<T: DeserializeOwned>(mut json: Value) -> Result<T, ErrorData> {
    json["resultType"] = "complete".into();
    data(json)
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_tool_list_changed()
                .enable_prompts()
                .enable_prompts_list_changed()
                .enable_resources()
                .enable_resources_subscribe()
                .enable_completions()
                .enable_logging()
                .build(),
        )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(data(tools::list())?))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        data::<Vec<Tool>>(tools::list()).ok()?.into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match &*request.name {
            "test_trigger_tool_change" => self.lists.tools.send_modify(|changes| *changes += 1),
            "test_trigger_prompt_change" => self.lists.prompts.send_modify(|changes| *changes += 1),
            _ => {}
        }
        if let Some(result) = tools::answer(&request) {
            return Ok(CallToolResponse::Complete(complete(result)?));
        }
        if let Some(response) = rounds::answer(&request, &context)? {
            return Ok(response);
        }
        asking::answer(&request, &context).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(data(reading::resources())?))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(data(reading::templates())?))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(ReadResourceResponse::Complete(complete(reading::resource(&request.uri)?)?))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(data(reading::prompts())?))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match rounds::prompt(&request)? {
            Some(response) => Ok(response),
            None => Ok(GetPromptResponse::Complete(complete(reading::prompt(&request)?)?)),
        }
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let (mut tools, mut prompts) = (self.lists.tools.subscribe(), self.lists.prompts.subscribe());
        let (accepted, sink) = (subscription.accepted().clone(), subscription.sink());
        loop {
            let told = tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = self.stopping.cancelled() => return Ok(()),
                _ = tools.changed(), if accepted.tools_list_changed == Some(true) => sink.notify_tool_list_changed().await,
                _ = prompts.changed(), if accepted.prompts_list_changed == Some(true) => {
                    sink.notify_prompt_list_changed().await
                }
            };
            if told.is_err() {
                return Ok(());
            }
        }
    }
}
