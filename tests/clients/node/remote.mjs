// mcp-remote, which makes a stdio server of the daemon, with the TypeScript SDK as its client.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { HEADERS, SERVER_URL, complain, tell, walk } from "./here.mjs";
import { file } from "./host.mjs";

const headers = Object.entries(HEADERS).flatMap(([name, value]) => ["--header", `${name}:${value}`]);
const transport = new StdioClientTransport({
  command: process.execPath,
  args: [file("mcp-remote/dist/proxy.js"), SERVER_URL, "--allow-http", ...headers],
  env: { HOME: process.env.HOME, PATH: process.env.PATH },
});
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
