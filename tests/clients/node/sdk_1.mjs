// The TypeScript SDK, 1.x: the one that the argument names.

import { ENVIRONMENT, HEADERS, SERVER, SERVER_URL, TRANSPORT, complain, tell, walk } from "./here.mjs";

const sdk = process.argv[2];
const { Client } = await import(`${sdk}/client/index.js`);
const { StdioClientTransport } = await import(`${sdk}/client/stdio.js`);
const { StreamableHTTPClientTransport } = await import(`${sdk}/client/streamableHttp.js`);

let transport = new StdioClientTransport({ command: SERVER, args: [], env: ENVIRONMENT });
if (TRANSPORT !== "stdio") {
  transport = new StreamableHTTPClientTransport(new URL(SERVER_URL), { requestInit: { headers: HEADERS } });
}

const client = new Client({ name: "clients", version: "1.0.0" });
client.onerror = complain;
await client.connect(transport);
const { tools } = await client.listTools();
tell("list", { tools: tools.map((tool) => tool.name) });
await walk(async (name, args) => {
  const result = await client.callTool({ name, arguments: args });
  return { text: result.content[0].text, is_error: Boolean(result.isError) };
});
await client.close();
