// The inspector: lists with --strict, which judges every schema, and makes each call that needs none before it.

import { ENVIRONMENT, HEADERS, SERVER, SERVER_URL, TRANSPORT, tell, walk } from "./here.mjs";
import { run } from "./host.mjs";

const headers = Object.entries(HEADERS).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
const variables = Object.entries(ENVIRONMENT).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
const target = TRANSPORT === "stdio" ? [SERVER, ...variables] : [SERVER_URL, "--transport", "http", ...headers];
const inspect = (...args) => run("@modelcontextprotocol/inspector/clients/launcher/build/index.js", ["--cli", ...target, ...args]);

const listed = await inspect("--method", "tools/list", "--strict");
tell("list", { tools: JSON.parse(listed.stdout).tools.map((tool) => tool.name) });
const problems = [...listed.stderr.matchAll(/^(?:Warning|Error): tool "(.*)"\n\s*Path: (.*)\n\s*Issue: (.*)$/gm)];
tell("convert", { tools: problems.map(([, tool, path, issue]) => `${tool}: ${path}: ${issue}`) });

await walk(async (name, args) => {
  const pairs = Object.entries(args).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const { stdout, stderr } = await inspect("--method", "tools/call", "--tool-name", name, "--tool-arg", ...pairs);
  const result = JSON.parse(stdout);
  return { text: result.content[0].text, is_error: Boolean(result.isError), stderr };
});
