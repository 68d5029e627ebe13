// Where the server is for this run, and how a program tells what it has seen. tests/clients/run.py sets the environment.

import { readFileSync } from "node:fs";

const { env } = process;

export const TRANSPORT = env.CLIENT_TRANSPORT; // stdio, http, or token: http with a token
export const SERVER = env.CLIENT_SERVER; // the program, for stdio
export const ENVIRONMENT = JSON.parse(env.CLIENT_SERVER_ENVIRONMENT); // its environment
export const MODEL = env.CLIENT_MODEL; // where the stand-in for a model is
export const SERVER_URL = env.CLIENT_URL;
export const HEADERS = TRANSPORT === "token" ? { Authorization: `Bearer ${env.CLIENT_TOKEN}` } : {};

export const tell = (check, fact) => process.stdout.write(`${JSON.stringify({ check, ...fact })}\n`);

// Makes the calls of the plan. `call` gives what the client shows of an answer, and whether it is an error.
export async function walk(call) {
  let seen = "";
  for (const step of JSON.parse(readFileSync(env.CLIENT_PLAN, "utf8"))) {
    if (step.after_hang_up) {
      if (TRANSPORT === "stdio") continue;
      await fetch(env.CLIENT_HANG_UP, { method: "POST" });
    }
    const cursor = [...seen.matchAll(/cursor\W+([0-9a-f]{32})/g)].at(-1)?.[1] ?? "none was shown";
    const filled = Object.entries(step.arguments).map(([name, value]) => [name, value === "$cursor" ? cursor : value]);
    let fact;
    try {
      fact = await call(step.tool, Object.fromEntries(filled));
    } catch (error) {
      fact = { text: String(error), is_error: true };
    }
    tell(step.check, fact);
    seen += fact.text;
  }
}

// What goes wrong beside a call, such as an event that cannot be read.
export const complain = (error) => process.stderr.write(`${error?.stack ?? error}\n`);
