// A real node for tests, and why there is none.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = join(import.meta.dirname, "../../../..");

/** A port outside the range from which the system gives ports to those who dial. */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    const free = await new Promise((done) => probe.once("error", () => done(false)).listen(port, "127.0.0.1", () => done(true)));
    if (!free) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
}

export class Node {
  #folder;
  #binary;
  #child;

  /** Undefined where there is no binary (E2E_BIN) and no Go to build one. */
  static async start() {
    const node = new Node();
    node.#folder = await mkdtemp(join(tmpdir(), "heddle-js-"));
    node.#binary = process.env.E2E_BIN ?? join(node.#folder, "heddle");
    if (!process.env.E2E_BIN) {
      try {
        await run("go", ["build", "-o", node.#binary, "./cmd/heddle"], { cwd: repository });
      } catch (error) {
        await rm(node.#folder, { recursive: true, force: true });
        if (error.code === "ENOENT") return undefined;
        throw error;
      }
    }
    node.port = await freePort();
    await node.run();
    return node;
  }

  /** Runs the binary, again with the data of the time before. */
  async run() {
    const args = ["dev", "--listen", `127.0.0.1:${this.port}`, "--data", join(this.#folder, "data"), "--set", "admin.listen=127.0.0.1:0",
      "--set", "engineio.ping_interval=500ms"];
    this.#child = spawn(this.#binary, args, { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, HEDDLE_LOG_LEVEL: "error" } });
    for (const deadline = Date.now() + 60_000; ; ) {
      const there = await fetch(`http://127.0.0.1:${this.port}/`).then(() => true, () => false);
      if (there) return;
      if (this.#child.exitCode !== null || Date.now() > deadline) throw new Error(`the node does not serve: exit ${this.#child.exitCode}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  /** kill -9. */
  async kill() {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  async stop() {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async token(user) {
    const answer = await fetch(`http://127.0.0.1:${this.port}/dev/token`, { method: "POST", body: JSON.stringify({ user }) });
    return (await answer.json()).token;
  }
}
