// The server under test: one that runs already, or one that this starts, kills and starts again.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { E2E_BIN, E2E_COMMAND, E2E_URL } = process.env;

/**
 * A port that nobody listens on, outside the range from which the system gives ports to
 * those who dial: one of them could take it while the server is away.
 */
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

/**
 * E2E_BIN is a heddle binary, started on a free port with data of its own.
 * E2E_COMMAND is a shell command that starts a server at E2E_URL instead, keeping
 * its data between two starts. With neither, a server runs at E2E_URL already.
 */
export class Server {
  url = E2E_URL ?? "http://127.0.0.1:8080/";
  /** Whether the server can be killed and started again. */
  ours = Boolean(E2E_BIN || E2E_COMMAND);
  #command = E2E_COMMAND;
  /** The folder of its data, if the binary was given. */
  data;
  #child;

  /** Starts the server, if it is ours to start, and waits until it serves the page. */
  async start() {
    if (E2E_BIN && !this.#command) await this.#prepare();
    if (this.#command) {
      // A process group of its own, so that kill -9 reaches whatever the command starts.
      this.#child = spawn(this.#command, { shell: true, detached: true, stdio: ["ignore", "inherit", "inherit"] });
    }
    const deadline = Date.now() + 60_000;
    for (;;) {
      try {
        const answer = await fetch(this.url);
        if (answer.ok) return;
      } catch {
        // Not there yet.
      }
      if (this.#child && this.#child.exitCode !== null) throw new Error(`the server ended with ${this.#child.exitCode}`);
      if (Date.now() > deadline) throw new Error(`no server at ${this.url}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async #prepare() {
    const port = await freePort();
    this.data = await mkdtemp(join(tmpdir(), "heddle-e2e-"));
    this.url = `http://127.0.0.1:${port}/`;
    this.#command = `exec "${E2E_BIN}" dev --listen 127.0.0.1:${port} --data "${this.data}" --set admin.listen=127.0.0.1:0`;
  }

  /** Ends the server for good. */
  async stop() {
    await this.kill();
    if (this.data) await rm(this.data, { recursive: true, force: true });
  }

  /** kill -9, and waits until it is dead. */
  async kill() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    process.kill(-child.pid, "SIGKILL");
    await gone;
    this.#child = undefined;
  }
}
