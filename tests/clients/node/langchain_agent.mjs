// LangChain.js: an agent with an OpenAI model.

import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent } from "langchain";
import { ENVIRONMENT, HEADERS, SERVER, SERVER_URL, TRANSPORT } from "./here.mjs";

let postgres = { transport: "stdio", command: SERVER, args: [], env: ENVIRONMENT };
if (TRANSPORT !== "stdio") {
  postgres = { transport: "http", url: SERVER_URL, headers: HEADERS };
}

const client = new MultiServerMCPClient({ mcpServers: { postgres } });
const agent = createAgent({ model: new ChatOpenAI({ model: "gpt-5.2" }), tools: await client.getTools() });
await agent.invoke({ messages: [{ role: "user", content: "What is in the shop?" }] });
await client.close();
