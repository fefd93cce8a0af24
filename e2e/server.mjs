// The server under test: one that runs already, or one that this starts, kills and starts again.
import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * HEDDLE_URL is where the page is, by default http://127.0.0.1:8080/. HEDDLE_CMD is a
 * shell command that starts a server there, keeping its data between two starts. It
 * runs in a process group of its own, so that kill -9 reaches what it starts.
 */
export class Server {
  url = process.env.HEDDLE_URL ?? "http://127.0.0.1:8080/";
  command = process.env.HEDDLE_CMD;
  #child;

  /** Starts the server, if it is ours to start, and waits until it serves the page. */
  async start() {
    if (this.command) {
      this.#child = spawn(this.command, { shell: true, detached: true, stdio: ["ignore", "inherit", "inherit"] });
    }
    const deadline = Date.now() + 30_000;
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
