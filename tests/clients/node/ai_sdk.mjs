// The AI SDK: generateText with a model of an OpenAI-like API.

import { createMCPClient } from "@ai-sdk/mcp";
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount } from "ai";
import { ENVIRONMENT, HEADERS, MODEL, SERVER, SERVER_URL, TRANSPORT, complain } from "./here.mjs";

let transport = new StdioMCPTransport({ command: SERVER, args: [], env: ENVIRONMENT });
if (TRANSPORT !== "stdio") {
  transport = { type: "http", url: SERVER_URL, headers: HEADERS };
}

const client = await createMCPClient({ transport, onUncaughtError: complain });
const model = createOpenAICompatible({ name: "stand-in", baseURL: `${MODEL}/v1` })("gpt-5.2");
await generateText({ model, tools: await client.tools(), stopWhen: isStepCount(20), prompt: "What is in the shop?" });
await client.close();
