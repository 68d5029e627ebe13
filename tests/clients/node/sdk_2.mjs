// The TypeScript SDK, 2.x. The argument is how it finds the revision of the protocol: legacy, auto, or one to use.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { ENVIRONMENT, HEADERS, SERVER, SERVER_URL, TRANSPORT, complain, tell, walk } from "./here.mjs";

const transport =
  TRANSPORT === "stdio"
    ? new StdioClientTransport({ command: SERVER, args: [], env: ENVIRONMENT })
    : new StreamableHTTPClientTransport(new URL(SERVER_URL), { requestInit: { headers: HEADERS } });

const mode = process.argv[2];
const client = new Client(
  { name: "clients", version: "1.0.0" },
  { versionNegotiation: { mode: /^\d/.test(mode) ? { pin: mode } : mode } },
);
client.onerror = complain;
await client.connect(transport);
const { tools } = await client.listTools();
tell("list", { tools: tools.map((tool) => tool.name) });
await walk(async (name, args) => {
  const result = await client.callTool({ name, arguments: args });
  return { text: result.content[0].text, is_error: Boolean(result.isError) };
});
await client.close();
