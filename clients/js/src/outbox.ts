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
    return new Promise((resolve, reject) => {
      this.#pending.set(id, {
        id, action, room, resolve, reject, retry: options.retry,
        json: JSON.stringify(envelope),
        timeout: options.timeout ?? this.#config.timeoutMs,
        retries: options.retries ?? this.#config.retries,
        backoff: new Backoff(500, 20_000),
        status: "queued", failures: 0, firstSent: 0, timer: undefined,
      });
      this.#pump();
    });
  }

  /** The session is active: sends what waits, oldest first. */
  open(): void {
    this.#open = true;
    this.#pump();
  }

  /** The connection is lost: what was not answered waits for the next one. */
  pause(): void {
    this.#open = false;
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
    return true;
  }

  /** Rejects everything that waits. */
  failAll(code: string, message: string, cause?: unknown): void {
    this.#open = false;
    for (const p of [...this.#pending.values()]) this.#fail(p, new HeddleError(code, message, { ...p, cause }));
  }

  #pump(): void {
    if (!this.#open) return;
    for (const p of [...this.#pending.values()]) {
      if (this.#inFlight >= this.#config.window) return;
      if (p.status === "queued") this.#send(p);
    }
  }

  #send(p: Pending): void {
    const now = Date.now();
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
    if (p.status === "sent") this.#inFlight--;
    this.#pending.delete(p.id);
  }
}
