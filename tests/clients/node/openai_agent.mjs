// OpenAI's agents in TypeScript. With the argument `strict` the tools' schemas are made strict.

import { Agent, MCPServerStdio, MCPServerStreamableHttp, run, setOpenAIAPI } from "@openai/agents";
import { ENVIRONMENT, HEADERS, SERVER, SERVER_URL, TRANSPORT } from "./here.mjs";

setOpenAIAPI("chat_completions");
let server = new MCPServerStdio({ command: SERVER, args: [], env: ENVIRONMENT });
if (TRANSPORT !== "stdio") {
  server = new MCPServerStreamableHttp({ url: SERVER_URL, requestInit: { headers: HEADERS } });
}

await server.connect();
const mcpConfig = { convertSchemasToStrict: process.argv[2] === "strict" };
const agent = new Agent({ name: "Analyst", mcpServers: [server], mcpConfig });
await run(agent, "What is in the shop?");
await server.close();
