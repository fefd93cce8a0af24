import { newId } from "./ids.ts";
import type { Connection, ConnectionHandlers } from "./connection.ts";
import type { Envelope } from "./protocol.ts";

export interface UpgradeDeps {
  /** Begins to open a WebSocket. */
  dial(handlers: ConnectionHandlers): Connection;
  /** Resolves when nothing is unanswered, or it has waited for long enough; nothing new is sent until then. */
  quiet(): Promise<void>;
  /** What resumes the session. */
  opening(): Envelope;
  /** Something came behind that, on the connection that is now the session's. */
  received(envelope: Envelope): void;
  heard(): void;
  /** It did not work; nothing is called after that. */
  failed(code: number): void;
  /** The connection has ended that was won. */
  ended(code: number, reason: string): void;
}

/**
 * One attempt to take a session from polling to a WebSocket. That must first have
 * answered, because some proxies open WebSockets and then let nothing through; then
 * the session is resumed over it. Polling goes on meanwhile.
 */
export class Upgrade {
  readonly connection: Connection;
  /** The session is being resumed: the server may already have ended the other connection. */
  moving = false;
  readonly #deps: UpgradeDeps;
  readonly #probe = newId();
  readonly #timer: ReturnType<typeof setTimeout>;
  #over = false;

  constructor(boundMs: number, deps: UpgradeDeps) {
    this.#deps = deps;
    this.#timer = setTimeout(() => this.#fail(0), boundMs);
    this.connection = deps.dial({
      // It is refused, as anything before the session is opened; an answer is all that is wanted.
      opened: () => this.#write({ type: "event", id: this.#probe, payload: { action: "session:ping", data: {} } }),
      received: (envelope) => this.#received(envelope),
      heard: () => this.moving && deps.heard(),
      closed: (code, reason) => (this.#over ? deps.ended(code, reason) : this.#fail(code)),
    });
  }

  /** The session goes on over the connection, which from then on is the caller's. */
  won(): void {
    this.#end();
  }

  /** Gives up. */
  cancel(): void {
    this.#end();
    this.connection.drop(1000, "");
  }

  #received(envelope: Envelope): void {
    if (this.moving) this.#deps.received(envelope);
    else if (envelope.ref === this.#probe) void this.#move();
  }

  async #move(): Promise<void> {
    await this.#deps.quiet();
    if (this.#over) return;
    this.moving = true;
    this.#write(this.#deps.opening());
  }

  #write(envelope: Envelope): void {
    this.connection.write(JSON.stringify(envelope));
  }

  #fail(code: number): void {
    if (this.#over) return;
    this.cancel();
    this.#deps.failed(code);
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }
}
