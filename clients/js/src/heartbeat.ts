/**
 * Finds a server that is silently gone. Ping frames are invisible to scripts, so
 * silence alone proves nothing: after 1.5 heartbeats of it the probe is sent, and
 * if nothing at all comes back in time the connection is given up.
 */
export class Heartbeat {
  readonly #probe: () => void;
  readonly #dead: () => void;
  readonly #answerMs: number;
  #silenceMs = 0;
  #heard = 0;
  #probed = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(probe: () => void, dead: () => void, answerMs: number) {
    this.#probe = probe;
    this.#dead = dead;
    this.#answerMs = answerMs;
  }

  start(heartbeatMs: number): void {
    this.stop();
    this.#silenceMs = 1.5 * heartbeatMs;
    this.heard();
    this.#wait(this.#silenceMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#silenceMs = 0;
    this.#probed = 0;
  }

  /** Something came from the server. Called for every envelope, so it only notes the time. */
  heard(): void {
    this.#heard = Date.now();
  }

  /** There is a reason to doubt the connection: probe it now. */
  check(): void {
    if (this.#silenceMs === 0 || this.#probed > 0) return;
    clearTimeout(this.#timer);
    this.#probed = Date.now();
    this.#probe();
    this.#wait(this.#answerMs);
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#tick(), ms);
  }

  #tick(): void {
    if (this.#probed > 0) {
      if (this.#heard < this.#probed) {
        this.stop();
        this.#dead();
        return;
      }
      this.#probed = 0;
    }
    const left = this.#heard + this.#silenceMs - Date.now();
    if (left > 0) this.#wait(left);
    else this.check();
  }
}
