import { Backoff } from "./backoff.ts";
import type { Choice } from "./choice.ts";
import { CLOSE_ABNORMAL, CLOSE_AWAY, CLOSE_DONE, CLOSE_HANDSHAKE, CLOSE_LOST, CLOSE_REPLACED, CLOSE_SILENT, closeAction } from "./closecodes.ts";
import type { CloseAction } from "./closecodes.ts";
import type { Connection, ConnectionHandlers } from "./connection.ts";
import { HeddleError } from "./errors.ts";
import { hidden } from "./network.ts";
import type { Transport } from "./options.ts";
import { UNSERVED } from "./poll.ts";
import type { Envelope } from "./protocol.ts";
import type { Tokens } from "./token.ts";
import { Upgrade } from "./upgrade.ts";

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
  backoffBaseMs: number;
  backoffCapMs: number;
  handshakeMs: number;
  /** For a WebSocket, where polling is left to be tried. */
  socketMs: number;
  /** How long a connection must have lasted for the backoff to begin anew. */
  stableMs: number;
}

export interface LinkDeps {
  choice: Choice;
  /** Begins to open a connection, which throws if it never can. */
  dial(transport: Transport, token: string | undefined, handlers: ConnectionHandlers): Connection;
  tokens: Tokens;
  /** The first envelope of a connection; with a token if the connection has not brought it. */
  opening(token?: string): Envelope;
  received(envelope: Envelope): void;
  /** Something came from the server. */
  heard(): void;
  /** Holds requests back and resolves when none is unanswered, within a bound. */
  quiet(): Promise<void>;
  /** Requests need not be held back any more. */
  release(): void;
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

// How long the server may take to act on an opening that was given up: until then it
// may close what came after with session_replaced.
const STRAY_MS = 60_000;

// How long a connection is listened to whose session has moved on.
const RETIRE_MS = 5000;

/** Keeps one connection to the server: opens it, watches its state, and opens the next one when it ends. */
export class Link {
  readonly #config: LinkConfig;
  readonly #deps: LinkDeps;
  readonly #backoff: Backoff;
  #state: State = "idle";
  #retryInMs: number | undefined; // as changed() was told
  #connection: Connection | undefined;
  #transport: Transport = "websocket";
  #upgrade: Upgrade | undefined;
  #upgradeTimer: ReturnType<typeof setTimeout> | undefined;
  #retiring: Connection | undefined;
  #retireTimer: ReturnType<typeof setTimeout> | undefined;
  #orphaned = false; // the connection has ended, and the upgrade has the session
  #answered = false; // something came over the connection
  #heardAt = 0;
  #strayAt = -Infinity; // an opening was sent, and its answer not waited for
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

  /** What the connection goes over, or the last one went. */
  get transport(): Transport {
    return this.#transport;
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

  /** The session is open. True if it was before, over another transport. */
  established(maxFrameBytes: number): boolean {
    clearTimeout(this.#timer);
    const moved = this.#upgrade?.moving === true;
    if (moved) this.#move();
    if (this.#connection && maxFrameBytes > 0) this.#connection.maxFrameBytes = maxFrameBytes;
    this.#activeSince = Date.now();
    this.#freshTokenTried = false;
    this.#deps.choice.worked(this.#transport);
    this.#change("active");
    this.#planUpgrade();
    return moved;
  }

  /** The server refused to open the session, or to resume it. */
  refused(error: HeddleError, resuming: boolean): void {
    if (this.#upgrade?.moving) {
      this.#upgrade.cancel();
      this.#stay();
    } else if (error.code === "session_lost" || (resuming && error.code === "invalid")) this.#end(CLOSE_LOST, error.code);
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
    this.#cancelUpgrade();
    this.#notBefore = Date.now() + Math.max(0, ms);
    this.#change("draining");
    this.#timer = setTimeout(() => this.#end(CLOSE_AWAY, "draining"), Math.max(0, ms));
  }

  /** Ends the connection as a lost network would, and connects again. */
  drop(code: number, reason: string): void {
    if (this.#connection) this.#end(code, reason, undefined, code === CLOSE_SILENT);
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
    this.#deps.choice.forget();
    if (this.#state === "active") this.#planUpgrade();
    if (trying && Date.now() - this.#attemptedAt > FRESH_MS) {
      clearTimeout(this.#timer);
      this.#stray();
      const connection = this.#connection;
      this.#connection = undefined;
      connection?.drop(CLOSE_AWAY, "network");
      if (connection) this.#deps.ended(CLOSE_AWAY, "network", "resume");
      this.#backoff.reset();
      this.#schedule(0);
    } else this.wake();
  }

  /** The page is looked at again. */
  looked(): void {
    this.wake();
    if (this.#state === "active" && this.#upgrade === undefined) this.#planUpgrade();
  }

  /** Ends for good. */
  stop(): void {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    this.#stray();
    this.#deps.choice.stop();
    this.#cancelUpgrade();
    this.#retired();
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
    this.#timer = setTimeout(() => this.#end(CLOSE_HANDSHAKE, "handshake_timeout", undefined, true), this.#config.handshakeMs);
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
    const { choice } = this.#deps;
    const transport = (this.#transport = choice.next());
    if (transport === "websocket" && choice.spare) {
      clearTimeout(this.#timer);
      const ms = Math.min(this.#config.socketMs, this.#config.handshakeMs);
      this.#timer = setTimeout(() => this.#end(CLOSE_HANDSHAKE, "handshake_timeout", undefined, true), ms);
    }
    this.#answered = false;
    const connection: Connection = this.#deps.dial(transport, token, {
      opened: () => {
        this.#change("syncing");
        this.write(JSON.stringify(this.#deps.opening(transport === "polling" ? token : undefined)));
      },
      received: (envelope) => {
        if (connection === this.#connection) this.#received(envelope);
        // Of a session that has moved on: what happened before, and nothing of the connection itself.
        else if (envelope.type !== "event" || envelope.room !== undefined) this.#deps.received(envelope);
      },
      heard: () => {
        if (connection === this.#connection) this.#heard();
      },
      closed: (code, reason, retryAfterMs) => {
        if (connection === this.#retiring) this.#retired();
        else if (this.#upgrade?.moving) this.#orphaned = true;
        else {
          this.postpone(retryAfterMs);
          this.#end(code, reason, undefined, true);
        }
      },
    });
    this.#connection = connection;
  }

  #received(envelope: Envelope): void {
    this.#answered = true;
    this.#deps.received(envelope);
  }

  #heard(): void {
    this.#heardAt = Date.now();
    this.#deps.heard();
  }

  // Sees to it that a session over polling will be tried to move to a WebSocket.
  #planUpgrade(): void {
    clearTimeout(this.#upgradeTimer);
    const { choice } = this.#deps;
    if (this.#transport !== "polling" || this.#upgrade || !choice.upgradable) return;
    this.#upgradeTimer = setTimeout(() => {
      // While nobody looks, there is no hurry: looked() comes back to it.
      if (!hidden()) void this.#tryUpgrade();
    }, choice.pause);
  }

  async #tryUpgrade(): Promise<void> {
    const attempt = this.#attempts;
    const current = (): boolean => attempt === this.#attempts && this.#state === "active" && this.#upgrade === undefined;
    try {
      const token = await this.#deps.tokens.current();
      if (current()) this.#upgrade = this.#beginUpgrade(token);
    } catch {
      if (current()) this.#stay(); // no token, or no WebSocket: polling goes on
    }
  }

  #beginUpgrade(token: string | undefined): Upgrade {
    return new Upgrade(this.#config.socketMs, {
      dial: (handlers) => this.#deps.dial("websocket", token, handlers),
      quiet: () => this.#deps.quiet(),
      opening: () => this.#deps.opening(),
      received: (envelope) => this.#received(envelope),
      heard: () => this.#heard(),
      failed: (code) => {
        if (code === 4401 || code === 4402) this.#deps.tokens.refresh();
        this.#stay();
      },
      ended: (code, reason) => this.#end(code, reason, undefined, true),
    });
  }

  // The session is the WebSocket's. What the server said before that still comes by the poll.
  #move(): void {
    this.#deps.choice.ended(this.#transport, false, 0);
    this.#retiring = this.#connection;
    this.#retireTimer = setTimeout(() => this.#retired(), RETIRE_MS);
    if (this.#orphaned) this.#retired();
    this.#orphaned = false;
    this.#connection = this.#upgrade!.connection;
    this.#transport = "websocket";
    this.#upgrade!.won();
    this.#upgrade = undefined;
  }

  // The session stays with polling.
  #stay(): void {
    const moving = this.#upgrade?.moving;
    this.#upgrade = undefined;
    this.#deps.choice.stayed();
    this.#deps.release();
    if (moving) this.#strayAt = Date.now();
    if (this.#orphaned) this.#end(CLOSE_ABNORMAL, "upgrade");
    else this.#planUpgrade();
  }

  #cancelUpgrade(): void {
    clearTimeout(this.#upgradeTimer);
    if (this.#upgrade?.moving) this.#strayAt = Date.now();
    if (this.#upgrade) this.#deps.release();
    this.#upgrade?.cancel();
    this.#upgrade = undefined;
    this.#orphaned = false;
  }

  #retired(): void {
    clearTimeout(this.#retireTimer);
    this.#retiring?.drop(CLOSE_DONE, "");
    this.#retiring = undefined;
  }

  #stray(): void {
    if (this.#state === "syncing") this.#strayAt = Date.now();
  }

  // What the end of a connection says of its transport.
  #judge(code: number, reason: string): void {
    const { choice } = this.#deps;
    const broken = code < 4000 || code === CLOSE_HANDSHAKE || code === CLOSE_SILENT;
    if (this.#transport === "polling" && reason === UNSERVED) choice.unserved();
    else if (this.#activeSince > 0) choice.ended(this.#transport, broken, this.#heardAt - this.#activeSince);
    else if (broken && !this.#answered) choice.failed(this.#transport);
  }

  // Every connection ends here, once.
  #end(code: number, reason: string, cause?: HeddleError, byNetwork = false): void {
    clearTimeout(this.#timer);
    this.#cancelUpgrade();
    this.#retired();
    this.#stray();
    if (byNetwork) this.#judge(code, reason);
    else if (this.#activeSince > 0) this.#deps.choice.ended(this.#transport, false, 0);
    this.#connection?.drop(code >= 4000 && code < 4100 ? code : CLOSE_AWAY, reason);
    this.#connection = undefined;
    // A browser cannot tell a refused token (401) from a server that is away.
    if (this.#state === "connecting") this.#deps.tokens.refresh();
    if (this.#activeSince > 0 && Date.now() - this.#activeSince >= this.#config.stableMs) this.#backoff.reset();
    this.#activeSince = 0;
    let action = closeAction(code);
    if (code === CLOSE_REPLACED && Date.now() - this.#strayAt < STRAY_MS) {
      this.#strayAt = -Infinity; // once: the next time it is somebody else
      action = "resume";
    }
    if (action === "token" && (this.#freshTokenTried || !this.#deps.tokens.refresh())) action = "stop";
    this.#freshTokenTried ||= action === "token";
    this.#deps.ended(code, reason, action);
    if (action === "stop") {
      this.#fail(cause ?? new HeddleError(reason.split(":", 1)[0] || "closed", reason || `closed with ${code}`, { closeCode: code }));
    } else this.#schedule(reason === UNSERVED ? 0 : undefined);
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
    this.#deps.choice.stop();
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
