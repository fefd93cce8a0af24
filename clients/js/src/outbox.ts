import { Backoff } from "./backoff.ts";
import { HeddleError, fromEnvelope } from "./errors.ts";
import { newId } from "./ids.ts";
import type { Ack, Envelope, ErrorData } from "./protocol.ts";

export interface RequestOptions {
  /** Milliseconds to wait for the answer to one attempt, while connected. */
  timeout?: number;
  /** How often to send again, under the same id, after a timeout or a retryable error. 0: never, not even after a reconnect. */
  retries?: number;
  /** The id to use; by default a new one. The same id stores one event, for minutes. */
  id?: string;
  /** Milliseconds after which it is given up if it still waits, for a connection or an answer; by default that of the client. */
  expiry?: number;
  /**
   * Asked when the server has refused one attempt and it would be sent again in `waitMs`:
   * false rejects with the error at once. Without it there is no word of such attempts.
   */
  retry?: (error: HeddleError, waitMs: number) => boolean;
}

export interface OutboxConfig {
  timeoutMs: number;
  retries: number;
  /** Requests that may wait for a connection or an answer; more are refused with `queue_full`. */
  limit: number;
  /** How long a request may wait unless it says so itself; undefined: for ever. */
  expiryMs: number | undefined;
  /** Requests that may be unanswered at once; the server stops reading at 256. */
  window: number;
  /** How long the server is sure to know an id again, in milliseconds. */
  idempotencyMs: number;
}

export interface OutboxDeps {
  /** Hands JSON to the connection; false if it can never be sent (too large). */
  write(json: string): boolean;
  /** An answer is overdue: the connection may be dead. */
  suspect(): void;
}

interface Pending {
  readonly id: string;
  readonly action: string;
  readonly room: string | undefined;
  readonly json: string;
  readonly timeout: number;
  readonly retries: number;
  readonly resolve: (ack: Ack) => void;
  readonly reject: (error: HeddleError) => void;
  readonly retry: RequestOptions["retry"];
  readonly backoff: Backoff;
  readonly expiresAt: number;
  /** When it expires, with or without a connection. */
  end: ReturnType<typeof setTimeout> | undefined;
  status: "queued" | "sent" | "delayed";
  failures: number;
  firstSent: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

// Repeating these changes nothing, however late.
const SAFE = new Set([
  "session:ping", "session:devices", "auth:refresh", "message:read", "presence:subscribe", "presence:unsubscribe",
  "room:join", "room:leave", "room:members", "room:history",
]);

/**
 * The requests that have no answer yet, in the order in which they were made.
 * They wait while there is no connection, are sent again after one was lost, and
 * keep their id all the while.
 */
export class Outbox {
  readonly #config: OutboxConfig;
  readonly #deps: OutboxDeps;
  #pending = new Map<string, Pending>();
  #inFlight = 0;
  #open = false;
  #held = false;
  #quiet: (() => void) | undefined;

  constructor(config: OutboxConfig, deps: OutboxDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** How many requests wait for their answer, sent or not. */
  get size(): number {
    return this.#pending.size;
  }

  request(action: string, room: string | undefined, data: unknown, options: RequestOptions = {}): Promise<Ack> {
    const id = options.id ?? newId();
    if (this.#pending.has(id)) {
      return Promise.reject(new HeddleError("conflict", `a request with the id ${id} waits already`, { action, room }));
    }
    if (this.#pending.size >= this.#config.limit) {
      return Promise.reject(new HeddleError("queue_full", `${this.#config.limit} requests wait already`, { action, room }));
    }
    const envelope: Envelope = { type: "event", id, payload: { action, data: data ?? {} } };
    if (room !== undefined) envelope.room = room;
    const expiry = options.expiry ?? this.#config.expiryMs;
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        id, action, room, resolve, reject, retry: options.retry,
        json: JSON.stringify(envelope),
        timeout: options.timeout ?? this.#config.timeoutMs,
        retries: options.retries ?? this.#config.retries,
        backoff: new Backoff(500, 20_000),
        expiresAt: expiry === undefined ? Infinity : Date.now() + expiry,
        status: "queued", failures: 0, firstSent: 0, timer: undefined, end: undefined,
      };
      if (expiry !== undefined) pending.end = setTimeout(() => this.#expire(pending), expiry);
      this.#pending.set(id, pending);
      this.#pump();
    });
  }

  /** The session is active: sends what waits, oldest first. */
  open(): void {
    this.#open = true;
    this.release();
  }

  /**
   * Sends nothing until release(), and resolves when all that was sent is answered, or
   * after a while.
   */
  hold(ms: number): Promise<void> {
    this.#held = true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#quiet?.(), ms);
      this.#quiet = () => {
        clearTimeout(timer);
        this.#quiet = undefined;
        resolve();
      };
      this.#calm();
    });
  }

  release(): void {
    this.#held = false;
    this.#quiet?.();
    this.#pump();
  }

  /** The session goes on over another connection: what may be sent again is, where it has not been answered. */
  moved(): void {
    for (const p of this.#pending.values()) if (p.status === "sent" && p.retries > 0) this.#unsend(p);
    this.release();
  }

  /** The connection is lost: what was not answered waits for the next one. */
  pause(): void {
    this.#open = false;
    this.release();
    for (const p of [...this.#pending.values()]) {
      if (p.status !== "sent") continue;
      this.#unsend(p);
      if (p.retries === 0) this.#fail(p, new HeddleError("connection_lost", "the connection was lost before the answer came", p));
    }
  }

  /** Takes an ack or error; false if nothing waits for it. */
  settle(envelope: Envelope): boolean {
    const p = envelope.ref === undefined ? undefined : this.#pending.get(envelope.ref);
    if (!p) return false;
    if (envelope.type === "error") this.#refused(p, fromEnvelope(envelope.payload?.data as ErrorData, p.action, p.room));
    else {
      this.#remove(p);
      const { id, timestamp, room, epoch, offset } = envelope;
      const ack: Ack = { data: envelope.payload?.data ?? {} };
      p.resolve(Object.assign(ack, { id, timestamp, room, epoch, offset }));
    }
    this.#pump();
    this.#calm();
    return true;
  }

  /** Rejects everything that waits. */
  failAll(code: string, message: string, cause?: unknown): void {
    this.#open = false;
    for (const p of [...this.#pending.values()]) this.#fail(p, new HeddleError(code, message, { ...p, cause }));
  }

  #pump(): void {
    if (!this.#open || this.#held) return;
    for (const p of [...this.#pending.values()]) {
      if (this.#inFlight >= this.#config.window) return;
      if (p.status === "queued") this.#send(p);
    }
  }

  #send(p: Pending): void {
    const now = Date.now();
    if (now >= p.expiresAt) { // its timer slept, as all of a page do that is not looked at
      this.#expire(p);
      return;
    }
    if (p.firstSent > 0 && now - p.firstSent > this.#config.idempotencyMs && !SAFE.has(p.action)) {
      this.#fail(p, new HeddleError("outcome_unknown", "sent long ago and never answered; sending it again could store it twice", p));
      return;
    }
    if (!this.#deps.write(p.json)) {
      this.#fail(p, new HeddleError("frame_too_large", "larger than the server's frames may be", p));
      return;
    }
    p.firstSent ||= now;
    p.status = "sent";
    this.#inFlight++;
    p.timer = setTimeout(() => this.#overdue(p), p.timeout);
  }

  #overdue(p: Pending): void {
    this.#unsend(p);
    if (++p.failures > p.retries) this.#fail(p, new HeddleError("ack_timeout", `no answer within ${p.timeout} ms`, p));
    this.#deps.suspect();
    this.#pump();
    this.#calm();
  }

  #refused(p: Pending, error: HeddleError): void {
    if (p.status === "sent") this.#unsend(p);
    clearTimeout(p.timer);
    const wait = error.retryAfterMs ?? p.backoff.next();
    p.status = "delayed"; // whatever p.retry does: it may make requests
    if (!error.retryable || ++p.failures > p.retries || p.retry?.(error, wait) === false) {
      this.#fail(p, error);
      return;
    }
    p.timer = setTimeout(() => {
      p.status = "queued";
      this.#pump();
    }, wait);
  }

  #expire(p: Pending): void {
    this.#fail(p, p.firstSent > 0
      ? new HeddleError("outcome_unknown", "expired before the answer came", p)
      : new HeddleError("queue_expired", "expired before it could be sent", p));
    this.#pump();
    this.#calm();
  }

  #calm(): void {
    if (this.#inFlight === 0) this.#quiet?.();
  }

  #unsend(p: Pending): void {
    clearTimeout(p.timer);
    p.status = "queued";
    this.#inFlight--;
  }

  #fail(p: Pending, error: HeddleError): void {
    this.#remove(p);
    p.reject(error);
  }

  #remove(p: Pending): void {
    clearTimeout(p.timer);
    clearTimeout(p.end);
    if (p.status === "sent") this.#inFlight--;
    this.#pending.delete(p.id);
  }
}
