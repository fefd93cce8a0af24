import type { Envelope, Position } from "./protocol.ts";

/** Cumulative acknowledgements: notes which rooms moved, and sends one ack a room after a pause. */
export class Acks {
  readonly #delayMs: number;
  readonly #send: (ack: Envelope) => void;
  readonly #position: (room: string) => Position | undefined;
  #dirty = new Set<string>();
  #due = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(delayMs: number, position: (room: string) => Position | undefined, send: (ack: Envelope) => void) {
    this.#delayMs = delayMs;
    this.#position = position;
    this.#send = send;
  }

  mark(room: string): void {
    this.#dirty.add(room);
    if (this.#timer === undefined) {
      this.#due = Date.now() + this.#delayMs;
      this.#timer = setTimeout(() => this.flush(), this.#delayMs);
    } else if (Date.now() > this.#due) {
      // Browsers hold back the timers of hidden pages, up to a minute; messages come through.
      this.flush();
    }
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const room of this.#dirty) {
      const at = this.#position(room);
      if (at && at.offset > 0) this.#send({ type: "ack", room, ...at });
    }
    this.#dirty.clear();
  }

  /** Forgets what was to be sent: a resume tells the positions anyway. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dirty.clear();
  }
}
