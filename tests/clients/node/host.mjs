// Runs a host's program to its end, and passes on what it writes.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const file = (name) => fileURLToPath(new URL(`node_modules/${name}`, import.meta.url));

export function run(program, args, { environment = {}, ...how } = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file(program), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
      ...how,
    });
    const told = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) {
      child[name].on("data", (data) => {
        told[name] += data;
        process[name].write(data);
      });
    }
    child.on("close", (status) => resolve({ status, ...told }));
  });
}
