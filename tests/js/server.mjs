// Starts the real server: $THALWEG_ENDPOINT if set, else the binary
// $THALWEG_BIN, else one built from this repository.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

function binary(directory) {
  if (process.env.THALWEG_BIN) return process.env.THALWEG_BIN;
  const path = join(directory, "thalweg");
  execFileSync("go", ["build", "-o", path, "./cmd/thalweg"], {
    cwd: root,
    env: { ...process.env, CGO_ENABLED: "0" },
    stdio: "inherit",
  });
  return path;
}

function readyAddress(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined; // not there yet, or not whole yet
  }
}

/**
 * Resolves to {endpoint, kafka, key(), stop()}; stop rejects if the server does not leave with exit code 0.
 * With flags it is always a server of its own.
 */
export async function start(...flags) {
  if (process.env.THALWEG_ENDPOINT && !flags.length) return { endpoint: process.env.THALWEG_ENDPOINT, stop: async () => {} };
  const directory = mkdtempSync(join(tmpdir(), "thalweg-js-"));
  const readyFile = join(directory, "ready.json");
  const program = binary(directory);
  const server = spawn(
    program,
    ["serve", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--listen-kafka", "127.0.0.1:0", "--ready-file", readyFile,
      "--data", join(directory, "data"), ...flags],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.on("data", (chunk) => (output = (output + chunk).slice(-65536)));
  }
  const exited = new Promise((resolve) => server.once("exit", (code, signal) => resolve({ code, signal })));
  const stop = async () => {
    server.kill("SIGTERM");
    const { code, signal } = await exited;
    rmSync(directory, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the server ended with ${code ?? signal}:\n${output}`);
  };
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
    const ready = readyAddress(readyFile);
    if (ready?.http) {
      const endpoint = ready.http.includes("://") ? ready.http : `http://${ready.http}`;
      // An access key of the account, made while the server runs.
      const key = () => {
        const made = execFileSync(program, ["keys", "create", "--data", join(directory, "data"), "-o", "json"], { encoding: "utf8" });
        const { access_key_id: accessKeyId, secret_access_key: secretAccessKey } = JSON.parse(made);
        return { accessKeyId, secretAccessKey };
      };
      return { endpoint, kafka: ready.kafka, key, stop };
    }
    if (server.exitCode !== null) break;
    await pause(5);
  }
  server.kill("SIGKILL");
  throw new Error(`the server did not become ready:\n${output}`);
}
