// The TypeScript SDK, 2.x. The argument is how it finds the revision of the protocol: legacy, auto, or one to use.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { ENVIRONMENT, HEADERS, SERVER, SERVER_URL, TRANSPORT, complain, tell, walk } from "./here.mjs";

let transport = new StdioClientTransport({ command: SERVER, args: [], env: ENVIRONMENT });
if (TRANSPORT !== "stdio") {
  transport = new StreamableHTTPClientTransport(new URL(SERVER_URL), { requestInit: { headers: HEADERS } });
}

let mode = process.argv[2];
if (/^\d/.test(mode)) mode = { pin: mode };
const client = new Client({ name: "analyst", version: "1.0.0" }, { versionNegotiation: { mode } });
client.onerror = complain;
await client.connect(transport);
const { tools } = await client.listTools();
tell("list", { tools: tools.map((tool) => tool.name) });
await walk(async (name, args) => {
  const result = await client.callTool({ name, arguments: args });
  return { text: result.content[0].text, is_error: Boolean(result.isError) };
});
await client.close();
