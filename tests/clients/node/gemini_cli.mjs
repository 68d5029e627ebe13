// Gemini CLI, with a prompt and the settings file of docs/hosts.md.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ENVIRONMENT, HEADERS, MODEL, SERVER, SERVER_URL, TRANSPORT } from "./here.mjs";
import { run } from "./host.mjs";

let postgres = { command: SERVER, args: [], env: ENVIRONMENT };
if (TRANSPORT !== "stdio") {
  postgres = { httpUrl: SERVER_URL, headers: HEADERS };
}
const settings = {
  mcpServers: { postgres },
  security: { auth: { selectedType: "gemini-api-key" } },
  privacy: { usageStatisticsEnabled: false },
  telemetry: { enabled: false },
  general: { disableAutoUpdate: true, disableUpdateNag: true, enableAutoUpdate: false },
};
const folder = join(process.env.HOME, ".gemini");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "settings.json"), JSON.stringify(settings));

const args = ["--model", "gemini-2.5-flash", "--approval-mode", "yolo", "--skip-trust", "--prompt", "What is in the shop?"];
const environment = { GOOGLE_GEMINI_BASE_URL: MODEL, GEMINI_API_KEY: "none", GEMINI_CLI_NO_RELAUNCH: "true" };
const { status } = await run("@google/gemini-cli/bundle/gemini.js", args, { environment });
process.exitCode = status;
