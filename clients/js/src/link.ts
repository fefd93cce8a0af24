import { Backoff } from "./backoff.ts";
import { CLOSE_ABNORMAL, CLOSE_AWAY, CLOSE_DONE, CLOSE_HANDSHAKE, CLOSE_LOST, closeAction } from "./closecodes.ts";
import type { CloseAction } from "./closecodes.ts";
import { Connection } from "./connection.ts";
import type { SocketConstructor } from "./connection.ts";
import { HeddleError } from "./errors.ts";
import { SUBPROTOCOL, TOKEN_PREFIX } from "./protocol.ts";
import type { Envelope } from "./protocol.ts";
import type { Tokens } from "./token.ts";

/**
 * - `idle`: connect() was not called.
 * - `connecting`: a token is fetched, or the WebSocket opens.
 * - `syncing`: the session is opened or resumed.
 * - `active`: requests are answered.
 * - `draining`: still active, but the server has asked to reconnect soon.
 * - `waiting`: for the next attempt to connect, or for goOnline().
 * - `closed`: for good, until connect() is called again.
 */
export type State = "idle" | "connecting" | "syncing" | "active" | "draining" | "waiting" | "closed";

export interface LinkConfig {
  url: string;
  backoffBaseMs: number;
  backoffCapMs: number;
  handshakeMs: number;
  /** How long a connection must have lasted for the backoff to begin anew. */
  stableMs: number;
}

export interface LinkDeps {
  socket: SocketConstructor;
  tokens: Tokens;
  /** The first envelope of a connection. */
  opening(): Envelope;
  received(envelope: Envelope): void;
  changed(state: State, previous: State, retryInMs?: number): void;
  /** A connection ended, whoever ended it. */
  ended(code: number, reason: string, action: CloseAction): void;
  /** Something failed, and the link goes on. */
  troubled(error: HeddleError): void;
  /** The link gives up. */
  failed(error: HeddleError): void;
}

// With it no delay is longer than half of the time that the server has been away, and
// a base: doubling would let it be twice that time.
const GROWTH = 1.5;

// An attempt that is younger is left alone when the network comes back: it may have
// begun because of that.
const FRESH_MS = 500;

/** Keeps one connection to the server: opens it, watches its state, and opens the next one when it ends. */
export class Link {
  readonly #config: LinkConfig;
  readonly #deps: LinkDeps;
  readonly #backoff: Backoff;
  #state: State = "idle";
  #retryInMs: number | undefined; // as changed() was told
  #connection: Connection | undefined;
  #attempts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attemptedAt = 0;
  #activeSince = 0;
  #notBefore = 0;
  #held = false;
  #freshTokenTried = false;

  constructor(config: LinkConfig, deps: LinkDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#backoff = new Backoff(config.backoffBaseMs, config.backoffCapMs, Math.random, GROWTH);
  }

  get state(): State {
    return this.#state;
  }

  connect(): void {
    if (this.#state !== "idle" && this.#state !== "closed") return;
    this.#backoff.reset();
    this.#freshTokenTried = false;
    if (this.#held) this.#change("waiting");
    else void this.#attempt();
  }

  /** Sends an envelope with the next frame; false if it is too large for any. */
  write(json: string): boolean {
    return this.#connection?.write(json) ?? true;
  }

  /** The session is open. */
  established(maxFrameBytes: number): void {
    clearTimeout(this.#timer);
    if (this.#connection && maxFrameBytes > 0) this.#connection.maxFrameBytes = maxFrameBytes;
    this.#activeSince = Date.now();
    this.#freshTokenTried = false;
    this.#change("active");
  }

  /** The server refused to open the session, or to resume it. */
  refused(error: HeddleError, resuming: boolean): void {
    if (error.code === "session_lost" || (resuming && error.code === "invalid")) this.#end(CLOSE_LOST, error.code);
    else if (error.code === "unauthenticated" || error.code === "token_expired") this.#end(4402, error.code, error);
    else if (error.retryable) {
      this.postpone(error.retryAfterMs);
      this.#end(CLOSE_ABNORMAL, error.code);
    } else this.#end(CLOSE_DONE, error.code, error);
  }

  /** The server names a time before which it does not want to be asked again. */
  postpone(ms: number | undefined): void {
    if (ms) this.#notBefore = Math.max(this.#notBefore, Date.now() + ms);
  }

  /** The server goes away: reconnect in `ms`, and not earlier. */
  drain(ms: number): void {
    if (this.#state !== "active") return;
    this.#notBefore = Date.now() + Math.max(0, ms);
    this.#change("draining");
    this.#timer = setTimeout(() => this.#end(CLOSE_AWAY, "draining"), Math.max(0, ms));
  }

  /** Ends the connection as a lost network would, and connects again. */
  drop(code: number, reason: string): void {
    if (this.#connection) this.#end(code, reason);
  }

  /** Ends the connection and stays offline until release(). */
  hold(): void {
    this.#held = true;
    clearTimeout(this.#timer);
    if (this.#connection) this.#end(CLOSE_ABNORMAL, "offline");
    else if (this.#state === "connecting" || this.#state === "waiting") this.#schedule();
  }

  release(): void {
    this.#held = false;
    this.wake();
  }

  /** There is a reason to think that an attempt would succeed: do not wait for the timer. */
  wake(): void {
    if (this.#state !== "waiting" || this.#held) return;
    this.#backoff.reset();
    this.#schedule(0);
  }

  /** The network is said to be back: an attempt that began without it may hang for long. */
  restored(): void {
    const trying = this.#state === "connecting" || this.#state === "syncing";
    if (trying && Date.now() - this.#attemptedAt > FRESH_MS) {
      clearTimeout(this.#timer);
      const connection = this.#connection;
      this.#connection = undefined;
      connection?.drop(CLOSE_AWAY, "network");
      if (connection) this.#deps.ended(CLOSE_AWAY, "network", "resume");
      this.#backoff.reset();
      this.#schedule(0);
    } else this.wake();
  }

  /** Ends for good. */
  stop(): void {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    this.#attempts++;
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close(CLOSE_DONE, "");
    this.#change("closed");
    if (connection) this.#deps.ended(CLOSE_DONE, "", "stop");
  }

  async #attempt(): Promise<void> {
    clearTimeout(this.#timer);
    const attempt = ++this.#attempts;
    this.#attemptedAt = Date.now();
    this.#change("connecting");
    this.#timer = setTimeout(() => this.#end(CLOSE_HANDSHAKE, "handshake_timeout"), this.#config.handshakeMs);
    try {
      const token = await this.#deps.tokens.current();
      if (attempt !== this.#attempts) return;
      this.#open(token);
    } catch (thrown) {
      if (attempt !== this.#attempts) return;
      // Only the token may fail and be tried again: a WebSocket whose constructor throws never works.
      if (thrown instanceof HeddleError) {
        this.#deps.troubled(thrown);
        this.#schedule();
      } else this.#fail(new HeddleError("connect_failed", "the WebSocket cannot be made", { cause: thrown }));
    }
  }

  #open(token: string | undefined): void {
    const protocols = token === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, TOKEN_PREFIX + token];
    this.#connection = new Connection(this.#deps.socket, this.#config.url, protocols, {
      opened: () => {
        this.#change("syncing");
        this.write(JSON.stringify(this.#deps.opening()));
      },
      received: (envelope) => this.#deps.received(envelope),
      closed: (code, reason) => this.#end(code, reason),
    });
  }

  // Every connection ends here, once.
  #end(code: number, reason: string, cause?: HeddleError): void {
    clearTimeout(this.#timer);
    this.#connection?.drop(code >= 4000 && code < 4100 ? code : CLOSE_AWAY, reason);
    this.#connection = undefined;
    // A browser cannot tell a refused token (401) from a server that is away.
    if (this.#state === "connecting") this.#deps.tokens.refresh();
    if (this.#activeSince > 0 && Date.now() - this.#activeSince >= this.#config.stableMs) this.#backoff.reset();
    this.#activeSince = 0;
    let action = closeAction(code);
    if (action === "token" && (this.#freshTokenTried || !this.#deps.tokens.refresh())) action = "stop";
    this.#freshTokenTried ||= action === "token";
    this.#deps.ended(code, reason, action);
    if (action === "stop") {
      this.#fail(cause ?? new HeddleError(reason.split(":", 1)[0] || "closed", reason || `closed with ${code}`, { closeCode: code }));
    } else this.#schedule();
  }

  #schedule(delay?: number): void {
    clearTimeout(this.#timer);
    this.#attempts++;
    if (this.#held) {
      this.#change("waiting");
      return;
    }
    const hint = this.#notBefore - Date.now();
    const wait = hint > 0 ? hint : this.#state === "draining" ? 0 : (delay ?? this.#backoff.next());
    this.#change("waiting", wait);
    this.#timer = setTimeout(() => void this.#attempt(), wait);
  }

  #fail(error: HeddleError): void {
    clearTimeout(this.#timer);
    this.#attempts++;
    this.#change("closed");
    this.#deps.failed(error);
  }

  #change(state: State, retryInMs?: number): void {
    const previous = this.#state;
    if (state === previous && retryInMs === undefined && this.#retryInMs === undefined) return;
    this.#state = state;
    this.#retryInMs = retryInMs;
    this.#deps.changed(state, previous, retryInMs);
  }
}
