import type { TypingUpdate } from "./actions.ts";
import type { Client } from "./client.ts";
import { Emitter } from "./emitter.ts";
import type { HeddleError } from "./errors.ts";
import type { Envelope } from "./protocol.ts";

// Where an event has no time to live: a little longer than rooms are told again.
const SHOWN_MS = 8000;
const NOBODY: TypingUpdate = { users: [], others: 0 };
const OFF = new Set(["unknown_action", "forbidden", "not_found"]);

interface Typers extends TypingUpdate {
  timer: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Tells the room that the user is typing, no oftener than it must be told, and
 * knows who else is. What it tells is lost, rather than late, without a connection.
 */
export class Typing {
  readonly #client: Client;
  readonly #everyMs: number;
  readonly #events = new Emitter<{ change: string }>();
  readonly #off: (() => void)[];
  #rooms = new Map<string, Typers>();
  #deaf = new Set<string>();
  #room: string | undefined;
  #told = 0;
  #silence: ReturnType<typeof setTimeout> | undefined;

  /** `everyMs`: how often typing:start is sent, and how long a silence ends it. */
  constructor(client: Client, everyMs = 3000) {
    this.#client = client;
    this.#everyMs = everyMs;
    this.#off = [
      client.on("event", (event) => this.#heard(event)),
      client.on("close", () => {
        this.#room = undefined;
        clearTimeout(this.#silence);
        for (const room of [...this.#rooms.keys()]) this.#show(room, NOBODY, 0);
      }),
    ];
  }

  /** The user pressed a key that changed the text for this room. */
  input(room: string): void {
    if (this.#room !== room) this.stop();
    const now = Date.now();
    if (this.#room === undefined || now - this.#told >= this.#everyMs) {
      if (!this.#tell("typing:start", room)) return;
      this.#room = room;
      this.#told = now;
    }
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.stop(), this.#everyMs);
  }

  /** The text was sent or emptied, or another room is shown. */
  stop(): void {
    clearTimeout(this.#silence);
    if (this.#room !== undefined) this.#tell("typing:stop", this.#room);
    this.#room = undefined;
  }

  /** Who else is typing in a room: at most ten by name, and how many others. */
  who(room: string): TypingUpdate {
    const { users, others } = this.#rooms.get(room) ?? NOBODY;
    return { users, others };
  }

  /** Calls `listener` with the room whenever who() has changed. */
  onChange(listener: (room: string) => void): () => void {
    return this.#events.on("change", listener);
  }

  /** Ends listening to the client. */
  close(): void {
    this.stop();
    for (const off of this.#off) off();
    for (const { timer } of this.#rooms.values()) clearTimeout(timer);
    this.#rooms.clear();
  }

  #tell(action: "typing:start" | "typing:stop", room: string): boolean {
    if ((this.#client.state !== "active" && this.#client.state !== "draining") || this.#deaf.has(room)) return false;
    this.#client.request(action, { room }, { retries: 0 }).catch((error: HeddleError) => {
      if (OFF.has(error.code)) this.#deaf.add(room);
    });
    return true;
  }

  #heard({ room, payload, timestamp, expires_at }: Envelope): void {
    if (room === undefined || payload?.action !== "typing:update") return;
    const { users, others } = payload.data as TypingUpdate;
    // The server's clock is not ours: only the difference counts.
    const shownMs = expires_at && timestamp ? expires_at - timestamp : SHOWN_MS;
    this.#show(room, { users: users.filter((user) => user !== this.#client.session?.user), others }, shownMs);
  }

  #show(room: string, { users, others }: TypingUpdate, forMs: number): void {
    const known = this.#rooms.get(room);
    clearTimeout(known?.timer);
    if (users.length + others > 0) {
      const gone = (): void => this.#show(room, NOBODY, 0);
      this.#rooms.set(room, { users, others, timer: setTimeout(gone, forMs) });
      if (known && known.others === others && known.users.join() === users.join()) return;
    } else if (!this.#rooms.delete(room)) return;
    this.#events.emit("change", room);
  }
}
