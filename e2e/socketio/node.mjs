// Nodes under test: the binary that E2E_BIN names, started on a port of its own with data of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const { E2E_BIN } = process.env;
const configs = fileURLToPath(new URL("../../configs/", import.meta.url));

export const config = (name) => readFile(join(configs, name), "utf8");

/**
 * A port that nobody listens on, outside the range from which the system gives ports to
 * those who dial: one of them could take it while a node is away.
 */
export async function freePort() {
  for (let tries = 0; tries < 100; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    const free = await new Promise((done) => probe.once("error", () => done(false)).listen(port, "127.0.0.1", () => done(true)));
    if (!free) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
  throw new Error("no free port");
}

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** Tries until fn neither throws nor gives something false, and returns what it gives. */
export async function eventually(fn, within = 15_000) {
  const deadline = Date.now() + within;
  for (;;) {
    try {
      const got = await fn();
      if (got) return got;
      if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${fn}`);
    } catch (err) {
      if (Date.now() > deadline) throw err;
    }
    await wait(20);
  }
}

// Whatever runs still when this process is over, by itself or by the test runner's will.
const running = new Set();
process.once("SIGTERM", () => process.exit(1));
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** A program that runs until it is stopped; what it says is shown if it ends by itself. */
export class Program {
  #child;
  #said = "";
  constructor(command, args, options) {
    Object.assign(this, { command, args, options });
  }

  /** Starts it, and waits until url answers anything at all. */
  async start(url) {
    const child = spawn(this.command, this.args, { ...this.options, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    running.add(child);
    child.once("exit", () => running.delete(child));
    this.#said = "";
    let failed;
    child.once("error", (err) => (failed = err));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.#said = (this.#said + text).slice(-20_000)));
    }
    const deadline = Date.now() + 30_000;
    for (;;) {
      if (failed || child.exitCode !== null) throw new Error(`${this.command} ${this.args.join(" ")} ended: ${failed ?? child.exitCode}\n${this.#said}`);
      try {
        return await fetch(url);
      } catch (err) {
        if (Date.now() > deadline) throw new Error(`nobody answers at ${url}\n${this.#said}`, { cause: err });
      }
      await wait(50);
    }
  }

  get running() {
    return running.has(this.#child);
  }

  /** Sends a signal and waits until it has ended. */
  async end(signal) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  /** Everything that it has said lately. */
  get said() {
    return this.#said;
  }
}

/** One node; all that it keeps is its own. */
export class Heddle extends Program {
  /** A node for development, whose tokens are to be had; those with the same secret take each other's. */
  static async dev({ name = "heddle-1", set = [], secret } = {}) {
    const port = await freePort();
    const data = await mkdtemp(join(tmpdir(), "heddle-e2e-"));
    if (secret) await writeFile(join(data, "dev.secret"), secret);
    const sets = [`node=${name}`, "admin.listen=127.0.0.1:0", "drain=1s", ...set].flatMap((s) => ["--set", s]);
    return new Heddle(["dev", "--listen", `127.0.0.1:${port}`, "--data", data, ...sets], { port, data, name }).up();
  }

  /** The node that the protocols' test suites talk to. */
  static async conformance({ set = [] } = {}) {
    const port = await freePort();
    const data = await mkdtemp(join(tmpdir(), "heddle-e2e-"));
    const sets = [`socket.listen=127.0.0.1:${port}`, "admin.listen=127.0.0.1:0", `storage.dir=${data}`, ...set].flatMap((s) => ["--set", s]);
    return new Heddle(["serve", "--config", join(configs, "conformance.yaml"), ...sets], { port, data }).up();
  }

  constructor(args, { port, data, name }) {
    if (!E2E_BIN) throw new Error("E2E_BIN must be the path of a heddle binary");
    super(E2E_BIN, args);
    Object.assign(this, { port, data, name, address: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}` });
  }

  async up() {
    await this.start(this.url);
    return this;
  }

  kill() {
    return this.end("SIGKILL");
  }

  /** Has it send its clients away and end. */
  drain() {
    return this.end("SIGTERM");
  }

  /** Ends it for good. */
  async stop() {
    await this.kill();
    await rm(this.data, { recursive: true, force: true });
  }

  async token(user) {
    const answer = await fetch(`${this.url}/dev/token`, { method: "POST", body: JSON.stringify({ user }) });
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.json()).token;
  }
}
